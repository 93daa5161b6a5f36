import cn.jiguang.sdk.api.DeviceApi;
import cn.jiguang.sdk.api.GroupPushApi;
import cn.jiguang.sdk.api.PushApi;
import cn.jiguang.sdk.api.ReportApi;
import cn.jiguang.sdk.bean.device.AliasDeleteParam;
import cn.jiguang.sdk.bean.device.DeviceClearParam;
import cn.jiguang.sdk.bean.device.DeviceSetParam;
import cn.jiguang.sdk.bean.device.DeviceStatusGetResult;
import cn.jiguang.sdk.bean.device.TagSetParam;
import cn.jiguang.sdk.bean.file.FileUploadParam;
import cn.jiguang.sdk.bean.image.ImageFileAddParam;
import cn.jiguang.sdk.bean.image.ImageFileUpdateParam;
import cn.jiguang.sdk.bean.image.ImageUrlAddParam;
import cn.jiguang.sdk.bean.image.ImageUrlUpdateParam;
import cn.jiguang.sdk.bean.push.GroupPushSendParam;
import cn.jiguang.sdk.bean.push.GroupPushSendResult;
import cn.jiguang.sdk.bean.push.PushSendParam;
import cn.jiguang.sdk.bean.push.SchedulePushSendParam;
import cn.jiguang.sdk.bean.push.ScheduleTemplatePushSendParam;
import cn.jiguang.sdk.bean.push.TemplatePushSendParam;
import cn.jiguang.sdk.bean.push.batch.BatchPushParam;
import cn.jiguang.sdk.bean.push.batch.BatchPushSendParam;
import cn.jiguang.sdk.bean.push.batch.BatchPushSendResult;
import cn.jiguang.sdk.bean.report.MessageStatusGetParam;
import cn.jiguang.sdk.enums.platform.Platform;
import cn.jiguang.sdk.exception.ApiErrorException;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Drives the newer of the vendor's Java clients, unmodified. The first line on standard input configures it (url and
 * credentials by name), each further line adds credentials, or is {"call": name, "as": credentials, "args": {…}},
 * which is answered with one line: {"ok": true, "result": …}, {"ok": false, "error": {…}}, or {"absent": true} where the
 * client has no such call.
 *
 * Parameters are the client's own objects, read from JSON by the names the client itself gives their fields, so a field
 * that the client does not have is an error here and not a text that passes by. A result holds what the client's objects
 * hold.
 */
public final class Driver {
    interface Call {
        Object make(String as, JsonNode args) throws Exception;
    }

    static final ObjectMapper JSON = new ObjectMapper().registerModule(new JavaTimeModule())
        .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS).setSerializationInclusion(JsonInclude.Include.NON_NULL);

    static JsonNode settings;

    static final String EVERYTHING = """
        {"alert": "hello",
         "android": {"alert": "to android", "title": "title", "builder_id": 1, "channel_id": "channel", "category": "msg",
          "priority": 1, "style": 1, "alert_type": 7, "big_text": "a long text", "inbox": {"1": "first"},
          "big_pic_path": "https://example.com/a.png", "extras": {"k": "v", "n": {"deep": 1}},
          "large_icon": "https://example.com/b.png", "small_icon_uri": "https://example.com/c.png", "icon_bg_color": "#ffffff",
          "intent": {"url": "intent:#Intent;component=a/b;end"}, "uri_activity": "com.example.A",
          "uri_action": "com.example.ACTION", "badge_add_num": 1, "badge_set_num": 2, "badge_class": "com.example.Main",
          "sound": "sound", "show_begin_time": "2030-01-01 00:00:00", "show_end_time": "2030-01-02 00:00:00",
          "display_foreground": "1"},
         "ios": {"alert": {"title": "title", "body": "to ios"}, "sound": {"critical": 1, "name": "default", "volume": 1},
          "badge": "+1", "content-available": true, "mutable-content": true, "category": "category", "extras": {"k": "v"},
          "thread-id": "thread", "interruption-level": "active"},
         "hmos": {"alert": "to hmos", "title": "title", "category": "IM", "large_icon": "https://example.com/d.png",
          "intent": {"url": "action.system.home"}, "badge_add_num": 1, "badge_set_num": 2, "test_message": true,
          "receipt_id": "receipt", "extras": {"k": "v"}, "style": 2, "inbox": {"1": "first"}, "push_type": 0,
          "display_foreground": "1", "sound": "ring", "sound_duration": 5},
         "quickapp": {"title": "title", "alert": "to quickapp", "page": "page", "extras": {"k": "v"}},
         "voip": {"k": "v"}}""";

    static final String AROUND = """
        {"message": {"msg_content": "content", "title": "title", "content_type": "text", "extras": {"a": "b"}},
         "sms_message": {"delay_time": 0, "signid": 1, "temp_id": 1, "temp_para": {"code": "1"}, "active_filter": false},
         "callback": {"url": "https://example.com/receipts", "type": 3, "params": {"k": "v"}},
         "notification_3rd": {"android": {"alert": "instead", "title": "title"}, "ios": {"alert": "instead"},
          "hmos": {"alert": "instead", "category": "IM"}},
         "options": {"sendno": 40712, "time_to_live": 3600, "apns_production": false, "apns_collapse_id": "collapse",
          "third_party_channel": {"xiaomi": {"distribution": "secondary_push"}}, "classification": 1,
          "target_event": ["jg_app_show"], "test_message": false, "receipt_id": "receipt", "active_push": false,
          "need_backup": false, "notification_3rd_ver": "v2", "test_model": false}}""";

    static String user(String as) {
        return settings.get("credentials").get(as).get("user").asText();
    }

    static String password(String as) {
        return settings.get("credentials").get(as).get("password").asText();
    }

    static String url() {
        return settings.get("url").asText();
    }

    static PushApi push(String as) {
        return new PushApi.Builder().setHost(url()).setAppKey(user(as)).setMasterSecret(password(as)).build();
    }

    static DeviceApi device(String as) {
        return new DeviceApi.Builder().setHost(url()).setAppKey(user(as)).setMasterSecret(password(as)).build();
    }

    static ReportApi report(String as) {
        return new ReportApi.Builder().setHost(url()).setAppKey(user(as)).setMasterSecret(password(as)).build();
    }

    static GroupPushApi group(String as) {
        return new GroupPushApi.Builder().setHost(url()).setGroupKey(user(as)).setGroupMasterSecret(password(as)).build();
    }

    static String text(JsonNode args, String name) {
        return args.has(name) ? args.get(name).asText() : null;
    }

    static List<String> strings(JsonNode list) {
        List<String> out = new ArrayList<>();
        if (list != null) {
            list.forEach(e -> out.add(e.asText()));
        }
        return out.isEmpty() ? null : out;
    }

    /** The wire form of a push, which the client's classes are then read from. */
    static ObjectNode wire(JsonNode wanted) throws Exception {
        ObjectNode out = JSON.createObjectNode();
        out.put("platform", "all");
        for (String name : new String[] {"audience", "target"}) {
            if (wanted.has(name)) {
                out.set(name, wanted.get(name));
            }
        }
        if (wanted.has("file_id")) {
            out.putObject("audience").putObject("file").put("file_id", text(wanted, "file_id"));
        }
        String alert = wanted.has("text") ? text(wanted, "text") : "hello";
        switch (wanted.has("parts") ? text(wanted, "parts") : "") {
            case "full" -> {
                out.set("notification", JSON.readTree(EVERYTHING));
                out.setAll((ObjectNode) JSON.readTree(AROUND));
            }
            case "inapp" -> {
                out.putObject("notification").put("alert", alert);
                out.putObject("inapp_message").put("inapp_message", true);
            }
            case "live" -> out.set("live_activity", JSON.readTree("""
                {"ios": {"event": "update", "content-state": {"score": 1}, "alert": {"title": "title", "body": "body"},
                 "relevance-score": 1, "apns-priority": 5}}"""));
            case "message" -> out.putObject("message").put("msg_content", alert);
            default -> out.putObject("notification").put("alert", alert);
        }
        if (wanted.has("options")) {
            out.withObject("/options").setAll((ObjectNode) wanted.get("options"));
        }
        return out;
    }

    static PushSendParam payload(JsonNode wanted) throws Exception {
        return JSON.treeToValue(wire(wanted), PushSendParam.class);
    }

    static PushSendParam live(JsonNode a) throws Exception {
        ObjectNode wanted = JSON.createObjectNode().put("parts", "live");
        wanted.putObject("audience").put("live_activity_id", text(a, "id"));
        return payload(wanted);
    }

    /** The client leaves it to its caller to ask for the ids of a batch. */
    static BatchPushSendParam batch(String as, JsonNode args) throws Exception {
        JsonNode items = args.get("items");
        List<String> ids = push(as).getCidForPush(items.size()).getCidList();
        Map<String, BatchPushParam> all = new LinkedHashMap<>();
        for (int i = 0; i < items.size(); i++) {
            all.put(ids.get(i), JSON.treeToValue(wire(items.get(i)), BatchPushParam.class));
        }
        BatchPushSendParam param = new BatchPushSendParam();
        param.setSendParam(all);
        return param;
    }

    static SchedulePushSendParam schedule(JsonNode args) throws Exception {
        ObjectNode body = JSON.createObjectNode();
        body.put("name", text(args, "name")).put("enabled", args.get("enabled").asBoolean());
        ObjectNode trigger = args.get("trigger").deepCopy();
        if (trigger.has("periodical")) {
            ObjectNode p = (ObjectNode) trigger.get("periodical");
            p.put("time_unit", text(p, "time_unit").toUpperCase());
        }
        body.set("trigger", trigger);
        body.set("push", wire(args.get("push")));
        return JSON.treeToValue(body, SchedulePushSendParam.class);
    }

    static FileUploadParam upload(JsonNode args) {
        FileUploadParam param = new FileUploadParam();
        param.setFile(new File(text(args, "path")));
        param.setTtl(args.get("ttl").asInt());
        return param;
    }

    static Platform platform(JsonNode args) {
        return args.has("platform") ? Platform.valueOf(text(args, "platform")) : null;
    }

    static DeviceSetParam change(JsonNode args) {
        DeviceSetParam param = new DeviceSetParam();
        param.setAlias(text(args, "alias"));
        param.setMobile(text(args, "mobile"));
        if (args.has("add") || args.has("remove")) {
            DeviceSetParam.Tags tags = new DeviceSetParam.Tags();
            tags.setAdd(strings(args.get("add")));
            tags.setRemove(strings(args.get("remove")));
            param.setTags(tags);
        }
        return param;
    }

    interface Silent {
        void make() throws Exception;
    }

    /** The answer of a call that returns nothing. */
    static Object done(Silent call) throws Exception {
        call.make();
        return JSON.createObjectNode();
    }

    static Map<String, Call> calls() {
        Map<String, Call> m = new LinkedHashMap<>();
        m.put("push", (as, a) -> push(as).send(payload(a)));
        m.put("push.inapp", (as, a) -> push(as).send(payload(a)));
        m.put("push.raw", (as, a) -> push(as).send((Object) a.get("body")));
        m.put("push.live", (as, a) -> push(as).send(live(a)));
        m.put("push.sm2", (as, a) -> push(as).sendWithSM2(payload(a)));
        m.put("push.file", (as, a) -> push(as).sendByFile(payload(a)));
        m.put("validate", (as, a) -> push(as).validateSend(payload(a)));
        m.put("group.push", (as, a) -> group(as).send(JSON.treeToValue(wire(a), GroupPushSendParam.class)));
        m.put("cid", (as, a) -> a.get("type").asText().equals("push")
            ? push(as).getCidForPush(a.get("count").asInt()) : push(as).getCidForSchedulePush(a.get("count").asInt()));
        m.put("batch.regid", (as, a) -> push(as).batchSendByRegistrationId(batch(as, a)));
        m.put("batch.alias", (as, a) -> push(as).batchSendByAlias(batch(as, a)));
        m.put("withdraw", (as, a) -> done(() -> push(as).withdrawMessage(text(a, "id"))));
        m.put("quota", (as, a) -> push(as).getQuota());
        m.put("template", (as, a) -> push(as).templateSend(JSON.treeToValue(a, TemplatePushSendParam.class)));
        m.put("template.schedule", (as, a) ->
            push(as).scheduleTemplateSend(JSON.treeToValue(a, ScheduleTemplatePushSendParam.class)));
        m.put("schedule.create", (as, a) -> push(as).scheduleSend(schedule(a)));

        m.put("device.get", (as, a) -> device(as).getDevice(text(a, "rid")));
        m.put("device.set", (as, a) -> done(() -> device(as).setDevice(text(a, "rid"), change(a))));
        m.put("device.mobile", (as, a) -> done(() -> device(as).setDevice(text(a, "rid"), change(a))));
        m.put("device.clear", (as, a) -> done(() ->
            device(as).clearDevice(text(a, "rid"), DeviceClearParam.of(a.get("tags").asBoolean(), a.get("alias").asBoolean()))));
        m.put("device.status", (as, a) -> device(as).getDeviceStatus(strings(a.get("rids"))));
        m.put("alias.get", (as, a) -> device(as).getAlias(text(a, "alias"), platform(a)));
        m.put("alias.unbind", (as, a) -> done(() -> {
            AliasDeleteParam.RegistrationIds ids = new AliasDeleteParam.RegistrationIds();
            ids.setRemove(strings(a.get("rids")));
            AliasDeleteParam param = new AliasDeleteParam();
            param.setRegistrationIds(ids);
            device(as).deleteAliases(text(a, "alias"), param);
        }));
        m.put("alias.delete", (as, a) -> done(() -> device(as).deleteAlias(text(a, "alias"), platform(a))));
        m.put("tags.list", (as, a) -> device(as).getTags());
        m.put("tags.check", (as, a) -> device(as).getTag(text(a, "tag"), text(a, "rid")));
        m.put("tags.update", (as, a) -> done(() -> {
            TagSetParam.RegistrationIds ids = new TagSetParam.RegistrationIds();
            ids.setAdd(strings(a.get("add")));
            ids.setRemove(strings(a.get("remove")));
            TagSetParam param = new TagSetParam();
            param.setRegistrationIds(ids);
            device(as).setTag(text(a, "tag"), param);
        }));
        m.put("tags.delete", (as, a) -> done(() -> device(as).deleteTag(text(a, "tag"), platform(a))));

        m.put("report.received.detail", (as, a) -> report(as).getReceivedDetail(strings(JSON.valueToTree(text(a, "ids").split(",")))));
        m.put("report.messages.detail", (as, a) -> report(as).getMessageDetail(strings(JSON.valueToTree(text(a, "ids").split(",")))));
        m.put("report.users", (as, a) -> report(as).getUserDetail(LocalDate.parse(text(a, "start")), a.get("duration").asInt()));
        m.put("report.status", (as, a) -> {
            MessageStatusGetParam param = new MessageStatusGetParam();
            param.setMessageId(a.get("id").asLong());
            param.setRegistrationIds(strings(a.get("rids")));
            param.setDate(a.has("date") ? LocalDate.parse(text(a, "date")) : null);
            return report(as).getMessageStatus(param);
        });

        m.put("file.upload", (as, a) -> text(a, "type").equals("alias")
            ? push(as).uploadFileForAlias(upload(a)) : push(as).uploadFileForRegistrationId(upload(a)));
        m.put("file.list", (as, a) -> push(as).getFiles());
        m.put("file.get", (as, a) -> push(as).getFile(text(a, "id")));
        m.put("file.delete", (as, a) -> done(() -> push(as).deleteFile(text(a, "id"))));
        m.put("image.url.add", (as, a) -> {
            ImageUrlAddParam param = new ImageUrlAddParam();
            param.setImageType(1);
            param.setImageUrl(text(a, "url"));
            return push(as).addImageUrl(param);
        });
        m.put("image.url.update", (as, a) -> {
            ImageUrlUpdateParam param = new ImageUrlUpdateParam();
            param.setJiguangImageUrl(text(a, "url"));
            return push(as).updateImageUrl(text(a, "id"), param);
        });
        m.put("image.file.add", (as, a) -> {
            ImageFileAddParam param = new ImageFileAddParam();
            param.setImageType(2);
            param.setOppoImageFile(new File(text(a, "path")));
            return push(as).addImageFile(param);
        });
        m.put("image.file.update", (as, a) -> {
            ImageFileUpdateParam param = new ImageFileUpdateParam();
            param.setOppoImageFile(new File(text(a, "path")));
            return push(as).updateImageFile(text(a, "id"), param);
        });
        return m;
    }

    /** The result as the wire has it, without what the client adds: rate limits, and names for what are maps there. */
    static JsonNode json(Object result) {
        JsonNode tree;
        if (result instanceof DeviceStatusGetResult status) {
            tree = JSON.valueToTree(status.getResults());
        } else if (result instanceof BatchPushSendResult batch) {
            tree = JSON.valueToTree(batch.getSendResult());
        } else if (result instanceof GroupPushSendResult group) {
            ObjectNode all = JSON.createObjectNode().put("group_msgid", group.getGroupMessageId());
            group.getSuccesses().forEach((key, sent) -> all.set(key, JSON.valueToTree(sent)));
            group.getErrors().forEach((key, error) -> all.putObject(key).set("error", JSON.valueToTree(error)));
            tree = all;
        } else {
            tree = JSON.valueToTree(result);
        }
        strip(tree);
        return tree;
    }

    static void strip(JsonNode tree) {
        if (tree instanceof ObjectNode o) {
            o.remove("rateLimit");
        }
        tree.forEach(Driver::strip);
    }

    /** What a caller can find out about a refusal. */
    static JsonNode visible(Throwable e) {
        ObjectNode error = JSON.createObjectNode();
        error.put("type", e.getClass().getSimpleName());
        error.put("message", e.getMessage());
        if (e instanceof ApiErrorException refused) {
            error.put("status", refused.getStats());
            error.put("code", refused.getApiError().getError().getCode());
        }
        return error;
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        settings = JSON.readTree(in.readLine());
        Map<String, Call> calls = calls();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode request = JSON.readTree(line);
            if (request.has("credentials")) {
                ((ObjectNode) settings.get("credentials")).setAll((ObjectNode) request.get("credentials"));
                continue;
            }
            ObjectNode answer = JSON.createObjectNode();
            Call call = calls.get(request.get("call").asText());
            if (call == null) {
                answer.put("absent", true);
            } else {
                try {
                    answer.set("result", json(call.make(request.get("as").asText(), request.get("args"))));
                    answer.put("ok", true);
                } catch (Throwable e) { // whatever the client lets out is what its caller sees
                    answer.put("ok", false);
                    answer.set("error", visible(e));
                }
            }
            out.println(answer);
        }
        System.exit(0);
    }
}
