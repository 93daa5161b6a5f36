package conformance

import (
	"net/http"
	"strings"
)

// defect is one of a library itself. try passes as long as the library has it, and fails when it has gone: then it is
// to be taken off the list.
type defect struct {
	// reason is for people.
	reason string
	try    func(*session)
}

// pythonBugs are those of jpush 3.4.1.
var pythonBugs = map[string]defect{
	"schedule.msg_ids": {"`get_msg_ids` names a constant that the library no longer has, and raises AttributeError", func(s *session) {
		if a := s.do("schedule.msg_ids", "app", object{"id": nobodysID}); a.OK || a.Error.Type != "AttributeError" || !strings.Contains(a.Error.Message, "BASE_SCHEDULEURL") {
			s.Errorf("%s", a.text)
		}
	}},
	"push.shorts": {"`android(mipns_content_forshort=…)` and its kin are put beside `extras` and not inside, where the API has them: 1009", func(s *session) {
		s.refused("app", "push.shorts", to([]string{s.android}, "parts", "shorts"), http.StatusBadRequest, 1009)
	}},
}

// noQuery is why the calls below do less than they say.
const noQuery = "the library sends paths without their query, so "

// asyncBugs are those of jpush-async 4.2.0.
var asyncBugs = map[string]defect{
	"push.callback": {"the push is sent, then its answer is handed to the callback as an error", func(s *session) {
		if a := s.do("push.callback", "app", to([]string{s.android})); a.OK {
			s.Errorf("%s", a.text)
		}
		next(s.T, s.devices[s.android])
	}},
	"report.received":        {noQuery + "the server is asked for no message: 1002", unasked("report.received")},
	"report.received.detail": {noQuery + "the server is asked for no message: 1002", unasked("report.received.detail")},
	"report.messages":        {noQuery + "the server is asked for no message: 1002", unasked("report.messages")},
	"report.messages.detail": {noQuery + "the server is asked for no message: 1002", unasked("report.messages.detail")},
	"report.users": {noQuery + "the server is asked for no time", func(s *session) {
		if a := s.do("report.users", "app", object{"unit": "DAY", "start": today(), "duration": 1}); a.OK || a.Error.Code == nil {
			s.Errorf("%s", a.text)
		}
	}},
	"schedule.list": {noQuery + "every page is the first", func(s *session) {
		s.firstPage(1)
		s.firstPage(2)
		s.credentials("schedule.list", object{"page": 1}, scheduleCodes)
	}},
	"alias.get": {noQuery + "the platform is not heeded", func(s *session) {
		s.setDevice(s.android, object{"alias": "ann"})
		s.setDevice(s.ios, object{"alias": "ann"})
		s.aliased(object{"alias": "ann"}, s.android, s.ios)
		s.aliased(object{"alias": "ann", "platform": "ios"}, s.android, s.ios)
		s.refused("app", "alias.get", object{"alias": strings.Repeat("a", 41)}, http.StatusBadRequest, 7002)
		s.credentials("alias.get", object{"alias": "ann"}, deviceCodes)
	}},
	"alias.delete": {noQuery + "the alias is deleted on every platform", func(s *session) {
		s.setDevice(s.android, object{"alias": "ann"})
		s.ok("alias.delete", object{"alias": "ann", "platform": "ios"}, object{})
		s.has(s.android, "", "", s.device(s.android).Tags...)
		s.credentials("alias.delete", object{"alias": "ann"}, deviceCodes)
	}},
	"tags.delete": {noQuery + "the tag is deleted on every platform", func(s *session) {
		s.tagAll("old")
		s.ok("tags.delete", object{"tag": "old", "platform": "ios"}, object{})
		s.tagged("old")
		s.credentials("tags.delete", object{"tag": "old"}, deviceCodes)
	}},
}

// unasked is a report without the ids it was to be about.
func unasked(name string) func(*session) {
	return func(s *session) {
		s.refused("app", name, object{"ids": "1"}, http.StatusBadRequest, 1002)
		s.credentials(name, object{"ids": "1"}, reportCodes)
	}
}

// undated are the calls whose answer has a time that the library cannot read.
func undated(name string) func(*session) {
	return func(s *session) {
		if a := s.do(name, "app", object{"id": s.file}); a.OK || a.Error.Type != "JsonSyntaxException" {
			s.Errorf("%s", a.text)
		}
		s.credentials(name, object{"id": s.file}, pushCodes)
	}
}

const notADate = "`create_time` is read with Gson's own format of dates, which no API has: JsonSyntaxException"

// jpushClientBugs are those of jpush-client 3.7.7.
var jpushClientBugs = map[string]defect{
	"file.list": {notADate, undated("file.list")},
	"file.get":  {notADate, undated("file.get")},
	"report.group": {"the client refuses the user name `group-…` that group reports need: IllegalArgumentException", func(s *session) {
		s.account()
		for _, name := range []string{"report.group.messages", "report.group.users"} {
			args := object{"ids": "1", "unit": "DAY", "start": today(), "duration": 1}
			if a := s.do(name, "groupreport", args); a.OK || a.Error.Type != "IllegalArgumentException" {
				s.Errorf("%s", a.text)
			}
			s.refused("app", name, args, http.StatusUnauthorized, 3001)
		}
	}},
	"admin.certificate": {"the client throws the answer away, so its caller sees no refusal", func(s *session) {
		s.account()
		path := s.write("dev.p12", "no certificate")
		for _, as := range []string{"dev", "devforger"} {
			s.okAs(as, "admin.certificate", object{"key": s.app.Key, "path": path, "secret": "x"}, nil)
		}
	}},
}
