package conformance

import (
	"fmt"
	"net/http"
	"strings"
)

// stray is a registration id of the right form that nobody has.
const stray = "0123456789abcdef0123"

// setDevice changes a device without the library.
func (s *session) setDevice(rid string, body object) {
	s.Helper()
	if status := s.n.Call(s.T, s.app, http.MethodPost, "/v3/devices/"+rid, body, nil); status != http.StatusOK {
		s.Fatalf("device %s: status %d", rid, status)
	}
}

// device reads a device without the library.
func (s *session) device(rid string) (out struct {
	Tags          []string
	Alias, Mobile string
}) {
	s.Helper()
	if status := s.n.Call(s.T, s.app, http.MethodGet, "/v3/devices/"+rid, nil, &out); status != http.StatusOK {
		s.Fatalf("device %s: status %d", rid, status)
	}
	return out
}

// pushCalls are those of the push API.
var pushCalls = []call{
	{"push.audience", "`POST /v3/push`: all, registration_id, alias, tag, tag_and", func(s *session) {
		s.setDevice(s.android, object{"alias": "ann", "tags": object{"add": list{"staff", "beta"}}})
		s.setDevice(s.ios, object{"alias": "bob", "tags": object{"add": list{"staff"}}})
		s.pushed("push", audience("all"), s.android, s.ios)
		s.sent = s.pushed("push", to([]string{s.android, s.ios}), s.android, s.ios)
		s.pushed("push", audience(object{"alias": list{"ann", "nobody"}}), s.android)
		s.pushed("push", audience(object{"tag": list{"staff", "nothing"}}), s.android, s.ios)
		s.pushed("push", audience(object{"tag_and": list{"staff", "beta"}}), s.android)
		s.pushed("push", audience(object{"tag": list{"staff"}, "alias": list{"bob"}}), s.ios)
		s.pushed("push", audience(object{"registration_id": list{s.android}}, "parts", "message"), s.android)
		s.refused("app", "push", audience(object{"tag": list{"nobody"}}), http.StatusBadRequest, 1011)
		s.refused("app", "push", to([]string{stray}), http.StatusBadRequest, 1011)
		s.refused("app", "push", audience(object{"tag": anys(many(21))}), http.StatusBadRequest, 1003)
		s.refused("app", "push", to([]string{s.android}, "options", object{"time_to_live": -7}), http.StatusBadRequest, 1003)
		s.credentials("push", to([]string{s.android}), pushCodes)
	}},
	{"push.tag_not", "`POST /v3/push`: tag_not", func(s *session) {
		s.setDevice(s.ios, object{"tags": object{"add": list{"muted"}}})
		s.pushed("push", audience(object{"registration_id": list{s.android, s.ios}, "tag_not": list{"muted"}}), s.android)
		s.refused("app", "push", audience(object{"registration_id": list{s.ios}, "tag_not": list{"muted"}}), http.StatusBadRequest, 1011)
	}},
	{"push.segment", "`POST /v3/push`: segment, abtest", func(s *session) {
		s.refused("app", "push", audience(object{"segment": list{"none"}}), http.StatusBadRequest, 1011)
		s.refused("app", "push", audience(object{"abtest": list{"none"}}), http.StatusBadRequest, 1011)
	}},
	{"push.full", "`POST /v3/push`: every part the library builds", func(s *session) {
		want := object{"msg_id": digits, "sendno": "40712"}
		sent := s.ok("push", to([]string{s.android, s.ios}, "parts", "full"), want)
		s.delivered(text(sent, "msg_id"), s.android, s.ios)
	}},
	{"push.shorts", "`POST /v3/push`: short texts for vendors, beside `extras`", func(s *session) {
		s.pushed("push.shorts", to([]string{s.android}, "parts", "shorts"), s.android)
	}},
	{"push.inapp", "`POST /v3/push`: inapp_message", func(s *session) {
		s.pushed("push.inapp", to([]string{s.android}, "parts", "inapp"), s.android)
	}},
	{"push.live", "`POST /v3/push`: live_activity", func(s *session) {
		follow := object{"live_activity_id": "order-17", "push_token": "80c1"}
		if status := s.n.Call(s.T, s.self[s.ios], http.MethodPut, "/device/v1/live-activities", follow, nil); status != http.StatusNoContent {
			s.Fatalf("to follow: status %d", status)
		}
		s.pushed("push.live", object{"id": "order-17"}, s.ios)
		s.refused("app", "push.live", object{"id": "none"}, http.StatusBadRequest, 1011)
		s.credentials("push.live", object{"id": "none"}, pushCodes)
	}},
	{"push.raw", "`POST /v3/push` with an object of the caller's", func(s *session) {
		raw := func(change object) object { return object{"body": pushBody(s.android, change)} }
		s.pushed("push.raw", raw(nil), s.android)
		s.refused("app", "push.raw", raw(object{"notifications": object{}}), http.StatusBadRequest, 1009)
		s.refused("app", "push.raw", raw(object{"notification": nil}), http.StatusBadRequest, 1002)
		s.refused("app", "push.raw", raw(object{"audience": "everybody"}), http.StatusBadRequest, 1003)
		s.refused("app", "push.raw", raw(object{"notification": object{"alert": strings.Repeat("x", 5000)}}), http.StatusBadRequest, 1005)
		s.credentials("push.raw", raw(nil), pushCodes)
	}},
	{"push.callback", "`POST /v3/push` by the API with callbacks", func(s *session) {
		s.pushed("push.callback", to([]string{s.android}), s.android)
	}},
	{"push.shortcuts", "`POST /v3/push` by eleven short forms", func(s *session) {
		s.setDevice(s.android, object{"alias": "ann"})
		s.setDevice(s.ios, object{"alias": "bob"})
		one := object{"msg_id": digits, "sendno": digits}
		sent := s.ok("push.shortcuts", object{"rid": s.android, "ios": s.ios, "alias": "ann", "ios_alias": "bob"},
			list{one, one, one, one, one, one, one, one, one, one, one})
		for i := range 2 {
			s.delivered(text(sent, i, "msg_id"), s.android, s.ios)
		}
		for i := range 5 {
			s.delivered(text(sent, 2+i, "msg_id"), s.android)
		}
		for i := range 4 {
			s.delivered(text(sent, 7+i, "msg_id"), s.ios)
		}
	}},
	{"push.sm2", "`POST /v3/push` encrypted by SM2", func(s *session) {
		// Only the vendor holds the key that the libraries have built in.
		if a := s.refused("app", "push.sm2", to([]string{s.android}), http.StatusBadRequest, 1003); !strings.Contains(a.Error.Message, "encrypted") {
			s.Errorf("the refusal does not say why: %s", a.text)
		}
	}},
	{"validate", "`POST /v3/push/validate`", func(s *session) {
		s.pushed("validate", to([]string{s.android, s.ios}))
		s.pushed("validate", to([]string{s.android}, "parts", "full"))
		s.refused("app", "validate", audience(object{"tag": list{"nobody"}}), http.StatusBadRequest, 1011)
		s.refused("app", "validate", to([]string{s.android}, "options", object{"time_to_live": -7}), http.StatusBadRequest, 1003)
		s.credentials("validate", to([]string{s.android}), pushCodes)
	}},
	{"cid", "`GET /v3/push/cid`", func(s *session) {
		cid := matching(s.app.Key + "-.+")
		s.ok("cid", object{"count": 3, "type": "push"}, object{"cidlist": list{cid, cid, cid}})
		s.ok("cid", object{"count": 1, "type": "schedule"}, object{"cidlist": list{cid}})
		s.outOfRange("cid", object{"count": 1001, "type": "push"}, http.StatusBadRequest, 1003)
		s.credentials("cid", object{"count": 1, "type": "push"}, pushCodes)
	}},
	{"push.cid", "`POST /v3/push` twice with one cid", func(s *session) {
		var pool struct {
			CIDList []string `json:"cidlist"`
		}
		s.n.Call(s.T, s.app, http.MethodGet, "/v3/push/cid", nil, &pool)
		body := object{"body": pushBody(s.android, object{"cid": pool.CIDList[0]})}
		first := s.pushed("push.raw", body, s.android)
		if again := s.pushed("push.raw", body); again != first {
			s.Errorf("the second call answered %s, the first %s", again, first)
		}
	}},
	{"batch.regid", "`POST /v3/push/batch/regid/single`", func(s *session) {
		s.batch("batch.regid", s.android, stray, s.silent)
		s.credentials("batch.regid", object{"items": list{object{"target": s.android, "text": "x"}}}, pushCodes)
	}},
	{"batch.alias", "`POST /v3/push/batch/alias/single`", func(s *session) {
		s.setDevice(s.android, object{"alias": "ann"})
		s.setDevice(s.silent, object{"alias": "sam"})
		s.batch("batch.alias", "ann", "nobody", "sam")
		s.credentials("batch.alias", object{"items": list{object{"target": "ann", "text": "x"}}}, pushCodes)
	}},
	{"withdraw", "`DELETE /v3/push/{msg_id}`", func(s *session) {
		id := push(s.T, s.n, s.app, alert("withdrawn", s.silent))
		s.ok("withdraw", object{"id": id}, object{})
		s.ok("withdraw", object{"id": id}, object{})
		s.refused("app", "withdraw", object{"id": "1"}, http.StatusBadRequest, 1003)
		s.credentials("withdraw", object{"id": id}, pushCodes)
	}},
	{"quota", "`GET /v3/push/quota`", func(s *session) {
		detail := object{"total": matching("-?[0-9]+"), "used": matching("-?[0-9]+")}
		vendor := object{"system?": detail, "operation?": detail}
		s.ok("quota", object{}, object{"code": 0, "message": some, "data": object{
			"xiaomi_quota?": vendor, "oppo_quota?": vendor, "vivo_quota?": vendor,
		}})
		s.credentials("quota", object{}, pushCodes)
	}},
	{"template", "`POST /v3/push/template`", func(s *session) {
		s.offered("template", "stranger")
		args := s.templated("t-1")
		sent := s.ok("template", args, object{"code": 0, "message": some, "data": object{
			"push_list": list{object{"code": 0, "message": some, "message_id": digits, "trace_id": "t-1"}},
		}})
		s.delivered(text(sent, "data", "push_list", 0, "message_id"), s.android)
		s.credentials("template", args, pushCodes)
		args["id"] = "none"
		s.refused("app", "template", args, http.StatusBadRequest, 1003)
	}},
	{"template.schedule", "`POST /v3/push/template/schedule`", func(s *session) {
		s.offered("template.schedule", "stranger")
		args := s.templated("t-2")
		args["schedule_name"], args["trigger"] = "greet", object{"single": object{"time": inDays(30)}}
		s.ok("template.schedule", args, object{"code": 0, "message": some, "data": object{
			"schedule_list": list{object{"code": 0, "message": some, "schedule_id": uuid, "trace_id": "t-2"}},
		}})
		s.credentials("template.schedule", args, pushCodes)
		args["id"] = "none"
		s.refused("app", "template.schedule", args, http.StatusBadRequest, 1003)
	}},
}

// outOfRange is refused, by the library itself if that checks its arguments.
func (s *session) outOfRange(name string, args any, status, code int) {
	s.Helper()
	if s.client.checks == "" {
		s.refused("app", name, args, status, code)
		return
	}
	if a := s.do(name, "app", args); a.OK || a.Error.Type != s.client.checks {
		s.Fatalf("%s: %s, want %s", name, a.text, s.client.checks)
	}
}

// batch sends to three targets, of whom nobody has the second; android has the first.
func (s *session) batch(name, first, second, third string) {
	s.Helper()
	items := list{}
	for _, target := range []string{first, second, third} {
		items = append(items, object{"target": target, "text": "to " + target})
	}
	got := s.ok(name, object{"items": items}, func(got any) error {
		all, isObject := got.(object)
		if !isObject || len(all) != len(items) {
			return fmt.Errorf("%v, want %d items", got, len(items))
		}
		return nil
	}).(object)
	sent, failed := []string{}, 0
	for cid, item := range got {
		if err := matching(s.app.Key + "-.+")(cid); err != nil {
			s.Errorf("cid: %v", err)
		}
		if s.client.match(object{"msg_id": digits}, item) == nil {
			sent = append(sent, text(item, "msg_id"))
			continue
		}
		failed++
		if err := s.client.match(object{"error": object{"code": 1011, "message": some}}, item); err != nil {
			s.Errorf("%v", err)
		}
	}
	if failed != 1 || len(sent) != 2 {
		s.Fatalf("%v, want one failure", got)
	}
	if id := idOf(s.T, next(s.T, s.devices[s.android])); id != sent[0] && id != sent[1] {
		s.Errorf("%s got %s, sent are %v", s.android, id, sent)
	}
}

// templated makes a template and is a push to android with it.
func (s *session) templated(trace string) object {
	s.Helper()
	s.setDevice(s.android, object{"alias": "ann"})
	var made struct {
		ID string `json:"id"`
	}
	status := s.n.Call(s.T, s.app, http.MethodPost, "/api/v1/apps/"+s.app.Key+"/templates", object{
		"name": trace, "push": object{"platform": "all", "notification": object{"alert": "Hi {{name}}"}},
	}, &made)
	if status != http.StatusCreated {
		s.Fatalf("template: status %d", status)
	}
	return object{"id": made.ID, "params": list{object{
		"audience": object{"alias": list{"ann"}}, "keys": object{"name": "Ann"}, "trace_id": trace,
	}}}
}

func anys(texts []string) list {
	out := list{}
	for _, t := range texts {
		out = append(out, t)
	}
	return out
}
