"""Drives the vendor's Python library, unmodified.

The first line on standard input configures it: credentials by name, zone, and zones (optional: rows that replace those
of the library's table of addresses). Each further line adds credentials, or is {"call": name, "as": credentials,
"args": {...}}, which is answered with one line: {"ok": true, "result": ...}, {"ok": false, "error": {...}}, or
{"absent": true} where the library has no such call.
"""
import json
import logging
import sys

import jpush
from jpush import common
from jpush.schedule import schedulepayload

logging.disable(logging.CRITICAL)  # the library logs every refusal

settings = json.loads(sys.stdin.readline())
for zone, rows in settings.get("zones", {}).items():
    common.ZONES.setdefault(zone, {}).update(rows)


class Absent(Exception):
    pass


def client(who):
    c = settings["credentials"][who]
    if who.startswith("group"):
        return jpush.GroupPush(c["user"], c["password"])
    if who.startswith("dev"):
        return jpush.Admin(c["user"], c["password"])
    return jpush.JPush(c["user"], c["password"], zone=settings.get("zone", "default"))


def audience(wanted):
    if wanted == "all":
        return jpush.all_
    kinds = []
    for kind, values in wanted.items():
        build = getattr(jpush, kind, None) or getattr(jpush.push, kind, None)
        if build is None:
            raise Absent()
        kinds.append(build(*values))
    return jpush.audience(*kinds)


def full():
    return jpush.notification(
        alert="hello",
        android=jpush.android(
            alert="to android", title="title", builder_id=1, extras={"k": "v", "n": {"deep": 1}}, priority=1, category="msg",
            style=1, alert_type=7, big_text="a long text", inbox={"1": "first"}, big_pic_path="https://example.com/a.png",
            large_icon="https://example.com/b.png", intent={"url": "intent:#Intent;component=a/b;end"}, channel_id="channel",
            small_icon_uri="https://example.com/c.png", uri_activity="com.example.A", uri_action="com.example.ACTION",
            badge_add_num=1, badge_set_num=2, badge_class="com.example.Main", sound="sound", show_begin_time="2030-01-01 00:00:00",
            show_end_time="2030-01-02 00:00:00", display_foreground="1",
            custom_buttons=[{"name": "open", "action_type": 3}], icon_bg_color="#ffffff"),
        ios=jpush.ios(
            alert={"title": "title", "body": "to ios"}, badge="+1", sound="default", content_available=True, mutable_content=True,
            category="category", extras={"k": "v"}, thread_id="thread", interruption_level="active"),
        hmos=jpush.hmos(
            alert="to hmos", title="title", category="IM", large_icon="https://example.com/d.png",
            intent={"url": "action.system.home"}, extras={"k": "v"}, style=2, inbox={"1": "first"}, badge_add_num=1, badge_set_num=2,
            test_message=True, receipt_id="receipt", push_type=0, display_foreground="1", sound="ring", sound_duration=5),
        quickapp=jpush.quickapp("to quickapp", "title", "page", extras={"k": "v"}),
        winphone=jpush.winphone("to winphone", extras={"k": "v"}),
        voip=jpush.voip({"k": "v"}))


def payload(who, wanted):
    push = client(who).create_push()
    push.platform = wanted.get("platform") or jpush.all_
    push.audience = audience(wanted["audience"])
    parts = wanted.get("parts")
    if parts == "full":
        push.notification = full()
        push.message = jpush.message("content", title="title", content_type="text", extras={"a": "b"})
        push.smsmessage = jpush.smsmessage(0, 1, temp_para={"code": "1"}, signid=1, active_filter=False)
        push.options = {"sendno": 40712, "time_to_live": 3600, "apns_production": False, "apns_collapse_id": "collapse",
                        "third_party_channel": {"xiaomi": {"distribution": "secondary_push"}}}
    elif parts == "message":
        push.message = jpush.message(wanted.get("text", "content"))
    elif parts == "shorts":
        push.notification = jpush.notification(android=jpush.android(
            alert="hello", mipns_content_forshort="mi", oppns_content_forshort="oppo", vpns_content_forshort="vivo",
            mzpns_content_forshort="meizu"))
    else:
        push.notification = jpush.notification(alert=wanted.get("text", "hello"))
    if "options" in wanted:
        push.options = dict(push.options or {}, **wanted["options"])
    return push


def single(args):
    return [{"platform": "all", "target": i["target"], "notification": jpush.notification(alert=i["text"])} for i in args["items"]]


def schedule(who, args):
    trigger = None
    if "single" in args.get("trigger", {}):
        trigger = schedulepayload.trigger(args["trigger"]["single"]["time"])
    elif "periodical" in args.get("trigger", {}):
        p = args["trigger"]["periodical"]
        trigger = schedulepayload.trigger(p["time"], p["start"], p["end"], p["time_unit"], p["frequency"], p.get("point"))
    push = payload(who, args["push"]).payload if "push" in args else None
    return schedulepayload.schedulepayload(args.get("name"), args.get("enabled"), trigger, push)


def tags(args):
    parts = []
    if args.get("add"):
        parts.append(jpush.add(*args["add"]))
    if args.get("remove"):
        parts.append(jpush.remove(*args["remove"]))
    return parts


def device_set(who, args):
    entity = {}
    if "alias" in args:
        entity.update(jpush.device_alias(args["alias"]))
    if tags(args):
        entity.update(jpush.device_tag(*tags(args)))
    return client(who).create_device().set_deviceinfo(args["rid"], entity)


def device_clear(who, args):
    entity = {}
    if args.get("tags"):
        entity.update(jpush.device_tag(""))
    if args.get("alias"):
        entity.update(jpush.device_alias(""))
    return client(who).create_device().set_deviceinfo(args["rid"], entity)


def device(who):
    return client(who).create_device()


def report(who):
    return client(who).create_report()


def schedules(who):
    return client(who).create_schedule()


CALLS = {
    "push": lambda w, a: payload(w, a).send(),
    "push.shorts": lambda w, a: payload(w, a).send(),
    "validate": lambda w, a: payload(w, a).send_validate(),
    "group.push": lambda w, a: payload(w, a).send(),
    "cid": lambda w, a: client(w).create_push().get_cid(a["count"], a["type"]),
    "batch.regid": lambda w, a: client(w).create_push().batch_push_by_regid(single(a)),
    "batch.alias": lambda w, a: client(w).create_push().batch_push_by_alias(single(a)),
    "schedule.create": lambda w, a: schedules(w).post_schedule(schedule(w, a)),
    "schedule.update": lambda w, a: schedules(w).put_schedule(schedule(w, a), a["id"]),
    "schedule.list": lambda w, a: schedules(w).get_schedule_list(a["page"]),
    "schedule.get": lambda w, a: schedules(w).get_schedule_by_id(a["id"]),
    "schedule.msg_ids": lambda w, a: schedules(w).get_msg_ids(a["id"]),
    "schedule.delete": lambda w, a: schedules(w).delete_schedule(a["id"]),
    "device.get": lambda w, a: device(w).get_deviceinfo(a["rid"]),
    "device.set": device_set,
    "device.clear": device_clear,
    "device.mobile": lambda w, a: device(w).set_devicemobile(a["rid"], jpush.device_mobile(a["mobile"])),
    "device.status": lambda w, a: device(w).get_device_status(a["rids"]),
    "alias.get": lambda w, a: device(w).get_aliasuser(a["alias"], a.get("platform")),
    "alias.delete": lambda w, a: device(w).delete_alias(a["alias"], a.get("platform")),
    "tags.list": lambda w, a: device(w).get_taglist(),
    "tags.check": lambda w, a: device(w).check_taguserexist(a["tag"], a["rid"]),
    "tags.update": lambda w, a: device(w).update_tagusers(a["tag"], jpush.device_regid(*tags(a))),
    "tags.delete": lambda w, a: device(w).delete_tag(a["tag"], a.get("platform")),
    "report.received": lambda w, a: report(w).get_received(a["ids"]),
    "report.received.detail": lambda w, a: report(w).get_received_detail(a["ids"]),
    "report.messages": lambda w, a: report(w).get_messages(a["ids"]),
    "report.messages.detail": lambda w, a: report(w).get_messages_detail(a["ids"]),
    "report.users": lambda w, a: report(w).get_users(a["unit"], a["start"], a["duration"]),
    "report.status": lambda w, a: report(w).get_status_message(int(a["id"]), a["rids"], a.get("date")),
    "admin.create": lambda w, a: client(w).create_app(a["name"], a["package"], a.get("group")),
    "admin.delete": lambda w, a: client(w).delete_app(a["key"]),
}


def visible(e):
    """What a caller can find out about a refusal."""
    error = {"type": type(e).__name__, "message": str(e), "status": None, "code": None}
    if isinstance(e, common.Unauthorized):
        error["status"] = 401
    if isinstance(e, common.JPushFailure):
        error.update(status=e.response.status_code, code=e.error_code, message=e.details)
        error.update({k: v for k, v in e.error.items() if k == "illegal_rids"})
    return error


for line in sys.stdin:
    request = json.loads(line)
    if "credentials" in request:
        settings["credentials"].update(request["credentials"])
        continue
    try:
        if request["call"] not in CALLS:
            raise Absent()
        answer = CALLS[request["call"]](request["as"], request["args"])
        out = {"ok": True, "result": answer.payload}
        if answer.get_status_code() != 200:
            out["status"] = answer.get_status_code()
    except Absent:
        out = {"absent": True}
    except Exception as e:  # whatever the library lets out is what its caller sees
        out = {"ok": False, "error": visible(e)}
    print(json.dumps(out), flush=True)
