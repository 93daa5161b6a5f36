package conformance

import (
	"fmt"
	"net/http"
	"time"

	"borealis/test/e2e"
)

// today is the day in the zone of the apps.
func today() string { return time.Now().In(beijing).Format(time.DateOnly) }

var reportCalls = []call{
	{"report.received", "`GET /v3/received`", func(s *session) {
		s.reported("report.received", object{
			"msg_id": s.sent, "android_received": 1, "ios_apns_sent": count, "ios_apns_received": count, "ios_msg_received": 1,
			"wp_mpns_sent": nil,
		})
	}},
	{"report.received.detail", "`GET /v3/received/detail`", func(s *session) {
		want := object{"msg_id": s.sent, "jpush_received": 1, "ios_msg_received": 1}
		for _, name := range []string{
			"android_pns_sent", "android_pns_received", "ios_apns_sent", "ios_apns_received", "live_acivity_sent", "live_acivity_received",
			"quickapp_jpush_received", "quickapp_pns_sent", "hmos_hmpns_sent", "hmos_hmpns_received", "hmos_msg_sent", "hmos_msg_received",
			"wp_mpns_sent",
		} {
			if s.client.typed {
				name += "?"
			}
			want[name] = count
		}
		s.reported("report.received.detail", want)
	}},
	{"report.messages", "`GET /v3/messages`", func(s *session) {
		side := func(names ...string) object {
			out := object{}
			for _, name := range names {
				out[name+"?"] = count
			}
			return out
		}
		s.reported("report.messages", object{
			"msg_id": s.sent, "android": side("received", "target", "online_push", "click", "msg_click"),
			"ios?": side("apns_sent", "apns_target", "apns_received", "click", "target", "received"), "winphone?": anything,
		})
	}},
	{"report.messages.detail", "`GET /v3/messages/detail`", func(s *session) {
		s.reported("report.messages.detail", object{
			"msg_id": s.sent, "jpush?": anything, "android_pns?": anything, "ios?": anything,
			"details": func(got any) error {
				details, isObject := got.(object)
				if !isObject {
					return fmt.Errorf("%v, want details", got)
				}
				notification, isObject := details["notification"].(object)
				if !isObject || fmt.Sprint(notification["target"]) != "2" || fmt.Sprint(notification["received"]) != "2" {
					return fmt.Errorf("%v, want 2 targets and 2 received", got)
				}
				return nil
			},
			"quickapp_jpush?": anything, "quickapp_pns?": anything, "winphone?": anything, "hmos?": anything,
		})
	}},
	{"report.status", "`POST /v3/status/message`", func(s *session) {
		args := func(rids ...any) object { return object{"id": s.sent, "rids": rids, "date": today()} }
		want := object{s.android: object{"status": 0}, s.silent: object{"status": 3}, "nobody": object{"status": 2}}
		e2e.Eventually(s.T, "the receipt is known", func() error {
			return s.client.match(want, s.do("report.status", "app", args(s.android, s.silent, "nobody")).Result)
		})
		s.credentials("report.status", args(s.android), reportCodes)
	}},
	{"report.users", "`GET /v3/users`", func(s *session) {
		args := object{"unit": "DAY", "start": today(), "duration": 1}
		side := object{"new?": count, "online?": count, "active?": count}
		busy := object{"new?": count, "online?": count, "active": digits}
		want := object{"time_unit": "DAY", "start": today(), "duration": 1, "items": list{object{
			"time": today(), "android": busy, "ios": busy, "quickapp?": side, "hmos?": side,
		}}}
		e2e.Eventually(s.T, "the devices of today are counted", func() error {
			a := s.do("report.users", "app", args)
			if !a.OK {
				s.Fatalf("%s", a.text)
			}
			return s.client.match(want, a.Result)
		})
		s.refused("app", "report.users", object{"unit": "DAY", "start": "2020-01-01", "duration": 1}, http.StatusBadRequest, 3005)
		s.credentials("report.users", args, reportCodes)
	}},
}

// reported waits until the report of the push that was received has the row, then tries what every report refuses.
func (s *session) reported(name string, row object) {
	s.Helper()
	if s.sent == "" {
		s.Fatal("no push was received")
	}
	e2e.Eventually(s.T, "the receipts are counted", func() error {
		a := s.do(name, "app", object{"ids": s.sent})
		if !a.OK {
			s.Fatalf("%s: %s", name, a.text)
		}
		return s.client.match(list{row}, a.Result)
	})
	s.ok(name, object{"ids": "1"}, list{})
	s.credentials(name, object{"ids": s.sent}, reportCodes)
}
