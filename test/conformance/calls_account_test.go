package conformance

import (
	"net/http"
	"strings"

	"borealis/internal/app"
	"borealis/test/e2e"
)

// fixture is what a developer has beside apps.
type fixture struct {
	developer, group login
}

// newFixture makes a developer and a group of apps of theirs.
func newFixture(s *session, apps ...e2e.Credentials) *fixture {
	s.Helper()
	var developer app.AdminDeveloper
	s.n.Admin(s.T, http.MethodPost, "/developers", object{"name": "conformance"}, &developer)
	keys := []string{}
	for _, a := range apps {
		keys = append(keys, a.Key)
	}
	var group app.AdminGroup
	s.n.Admin(s.T, http.MethodPost, "/groups", app.AdminGroupRequest{DevKey: developer.DevKey, Name: "conformance", Apps: keys}, &group)
	return &fixture{developer: login{developer.DevKey, developer.DevSecret}, group: login{group.GroupKey, group.MasterSecret}}
}

// account makes the developer and the group, once, and tells the library their credentials.
func (s *session) account() {
	s.Helper()
	if s.group != nil {
		return
	}
	s.group = newFixture(s, s.app, s.member)
	wrong := strings.Repeat("x", 24)
	s.d.tell(s.T, object{"credentials": map[string]login{
		"group": s.group.group, "groupforger": {s.group.group.User, wrong}, "groupstranger": {wrong, wrong},
		"dev": s.group.developer, "devforger": {s.group.developer.User, wrong}, "devstranger": {wrong, wrong},
		"groupreport": {"group-" + s.group.group.User, s.group.group.Password},
	}})
}

var accountCalls = []call{
	{"group.push", "`POST /v3/grouppush`", func(s *session) {
		s.offered("group.push", "groupprobe")
		s.account()
		sent := object{"msg_id": digits, "sendno": matching("[0-9]+")}
		got := s.okAs("group", "group.push", audience("all"), object{"group_msgid": some, s.app.Key: sent, s.member.Key: sent})
		s.delivered(text(got, s.app.Key, "msg_id"), s.android, s.ios)
		s.grouped = text(got, "group_msgid")
		got = s.okAs("group", "group.push", to([]string{s.android}), object{
			"group_msgid": some, s.app.Key: sent, s.member.Key: object{"error": object{"code": 1011, "message": some}},
		})
		s.delivered(text(got, s.app.Key, "msg_id"), s.android)
		s.refused("groupforger", "group.push", audience("all"), http.StatusUnauthorized, 1004)
		s.refused("groupstranger", "group.push", audience("all"), http.StatusBadRequest, 1008)
	}},
	{"report.group", "`GET /v3/group/messages/detail`, `/v3/group/users`", func(s *session) {
		s.offered("report.group.messages", "stranger")
		s.account()
		s.okAs("groupreport", "report.group.messages", object{"ids": s.grouped}, anything)
		s.okAs("groupreport", "report.group.users", object{"unit": "DAY", "start": today(), "duration": 1}, anything)
	}},
	{"admin.app", "`POST /v1/app`, `/v1/app/{key}/delete`", func(s *session) {
		s.offered("admin.create", "stranger")
		s.account()
		args := object{"name": "Courier", "package": "com.example.a" + strings.ToLower(s.app.Key)}
		want := object{"app_key": key24, "android_package": args["package"], "is_new_created": true, "master_secret": key24}
		key := text(s.okAs("dev", "admin.create", args, want), "app_key")
		want["app_key"], want["is_new_created"] = key, false
		if s.client.typed {
			want["is_new_created?"] = want["is_new_created"]
			delete(want, "is_new_created")
		}
		s.okAs("dev", "admin.create", args, want)
		s.refused("dev", "admin.create", object{"name": "Courier", "package": "no package"}, http.StatusBadRequest, 4003)
		s.refused("dev", "admin.create", object{"name": "", "package": "com.example.b"}, http.StatusBadRequest, 4002)
		s.refused("devforger", "admin.create", args, http.StatusUnauthorized, 4005)
		s.refused("devstranger", "admin.create", args, http.StatusUnauthorized, 4004)
		s.okAs("dev", "admin.delete", object{"key": key}, object{"success": "Synchronized success"})
		// Errors of this API come with status 200.
		s.okAs("dev", "admin.delete", object{"key": key}, object{"error": object{"code": matching("101[35]"), "message": some}})
	}},
	{"admin.certificate", "`POST /v1/app/{key}/certificate`", func(s *session) {
		s.offered("admin.certificate", "stranger")
		s.account()
		s.okAs("dev", "admin.certificate", object{"key": s.app.Key, "path": s.write("dev.p12", "no certificate"), "secret": "x"}, nil)
	}},
}
