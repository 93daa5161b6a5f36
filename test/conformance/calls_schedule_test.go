package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"borealis/test/e2e"
)

// beijing is the zone in which an app's times are read, unless it is told another.
var beijing = time.FixedZone("CST", 8*60*60)

const (
	momentForm = "2006-01-02 15:04:05"
	nobodysID  = "00000000-0000-4000-8000-000000000000"
)

// inDays is a time so many days from now.
func inDays(n int) string { return time.Now().In(beijing).AddDate(0, 0, n).Format(momentForm) }

// planned is a schedule that sends to android.
func (s *session) planned(name string, trigger object) object {
	return object{"name": name, "enabled": true, "trigger": trigger, "push": to([]string{s.android})}
}

func single(at string) object { return object{"single": object{"time": at}} }

func periodical(unit string, point ...any) object {
	p := object{"start": inDays(1), "end": inDays(300), "time": "08:30:00", "time_unit": unit, "frequency": 2}
	if len(point) > 0 {
		p["point"] = point
	}
	return object{"periodical": p}
}

// whole is a schedule as it is read. The push is what the library made of it.
func whole(id, name string, enabled bool, trigger any) object {
	return object{"schedule_id": id, "name": name, "enabled": enabled, "trigger": trigger, "push": func(got any) error {
		push, isObject := got.(object)
		if !isObject || push["audience"] == nil || push["notification"] == nil {
			return fmt.Errorf("%v, want the push", got)
		}
		return nil
	}}
}

var scheduleCalls = []call{
	{"schedule.create", "`POST /v3/schedules`", func(s *session) {
		for name, trigger := range map[string]object{
			"daily": periodical("day"), "weekly": periodical("week", "MON", "THU"), "monthly": periodical("month", "01", "31"),
		} {
			s.ok("schedule.create", s.planned(name, trigger), object{"schedule_id": uuid, "name": name})
		}
		s.plan = text(s.ok("schedule.create", s.planned("once", single(inDays(30))), object{"schedule_id": uuid, "name": "once"}), "schedule_id")
		s.refused("app", "schedule.create", s.planned("past", single("2020-01-01 00:00:00")), http.StatusBadRequest, 8100)
		family := scheduleCodes
		if s.client.cidFirst {
			family = pushCodes
		}
		s.credentials("schedule.create", s.planned("once", single(inDays(30))), family)
	}},
	{"schedule.list", "`GET /v3/schedules`", func(s *session) {
		page := s.firstPage(1)
		last := page["schedules"].(list)[len(page["schedules"].(list))-1]
		if err := s.client.match(whole(s.plan, "once", true, anything), last); err != nil {
			s.Errorf("%v", err)
		}
		s.ok("schedule.list", object{"page": 2}, object{"total_count": 4, "total_pages": 1, "page": 2, "schedules": list{}})
		s.credentials("schedule.list", object{"page": 1}, scheduleCodes)
	}},
	{"schedule.get", "`GET /v3/schedules/{id}`", func(s *session) {
		want := whole(s.plan, "once", true, object{"single": object{"time": moment}})
		s.ok("schedule.get", object{"id": s.plan}, want)
		s.refused("app", "schedule.get", object{"id": nobodysID}, http.StatusNotFound, 8104)
		s.refused("app", "schedule.get", object{"id": "none"}, http.StatusNotFound, 8104)
		s.credentials("schedule.get", object{"id": s.plan}, scheduleCodes)
	}},
	{"schedule.update", "`PUT /v3/schedules/{id}`", func(s *session) {
		at := inDays(40)
		s.ok("schedule.update", object{"id": s.plan, "name": "later", "trigger": single(at)}, whole(s.plan, "later", true, single(at)))
		s.ok("schedule.update", object{"id": s.plan, "enabled": false}, whole(s.plan, "later", false, single(at)))
		s.refused("app", "schedule.update", object{"id": s.plan, "trigger": periodical("day")}, http.StatusBadRequest, 8100)
		s.refused("app", "schedule.update", object{"id": nobodysID, "enabled": false}, http.StatusNotFound, 8104)
		s.credentials("schedule.update", object{"id": s.plan, "enabled": false}, scheduleCodes)
	}},
	{"schedule.msg_ids", "`GET /v3/schedules/{id}/msg_ids`", func(s *session) {
		s.ok("schedule.msg_ids", object{"id": s.plan}, object{"count": 0, "msgids": list{}})
		s.refused("app", "schedule.msg_ids", object{"id": nobodysID}, http.StatusNotFound, 8104)
		s.credentials("schedule.msg_ids", object{"id": s.plan}, scheduleCodes)
		id := s.soon()
		fired := idOf(s.T, next(s.T, s.devices[s.android]))
		e2e.Eventually(s.T, "the message of the schedule is listed", func() error {
			a := s.do("schedule.msg_ids", "app", object{"id": id})
			if err := s.client.match(object{"count": 1, "msgids": list{some}}, a.Result); err != nil {
				return err
			}
			var sent struct {
				MsgID     string `json:"msg_id"`
				Error     struct{ Code int }
				NeedRetry bool  `json:"needRetry"`
				TS        int64 `json:"ts"`
			}
			if err := json.Unmarshal([]byte(text(a.Result, "msgids", 0)), &sent); err != nil {
				return err
			}
			if sent.MsgID != fired || sent.Error.Code != 0 || sent.NeedRetry || sent.TS == 0 {
				return fmt.Errorf("%+v, want %s", sent, fired)
			}
			return nil
		})
	}},
	{"schedule.delete", "`DELETE /v3/schedules/{id}`", func(s *session) {
		s.credentials("schedule.delete", object{"id": s.plan}, scheduleCodes)
		s.ok("schedule.delete", object{"id": s.plan}, nothing)
		if status := s.n.Call(s.T, s.app, http.MethodGet, "/v3/schedules/"+s.plan, nil, nil); status != http.StatusNotFound {
			s.Errorf("the deleted schedule is still there: status %d", status)
		}
		s.refused("app", "schedule.delete", object{"id": s.plan}, http.StatusNotFound, 8104)
	}},
}

// firstPage lists the four schedules that were made. page is what the library is asked for.
func (s *session) firstPage(page int) object {
	s.Helper()
	one := anything
	return s.ok("schedule.list", object{"page": page}, object{"total_count": 4, "total_pages": 1, "page": 1, "schedules": list{one, one, one, one}}).(object)
}

// soon makes, without the library, a schedule that sends to android in the next seconds, and returns its id.
func (s *session) soon() string {
	s.Helper()
	var made struct {
		ID string `json:"schedule_id"`
	}
	at := time.Now().In(beijing).Add(2 * time.Second).Format(momentForm)
	status := s.n.Call(s.T, s.app, http.MethodPost, "/v3/schedules", object{
		"name": "soon", "enabled": true, "trigger": single(at), "push": alert("scheduled", s.android),
	}, &made)
	if status != http.StatusOK {
		s.Fatalf("schedule: status %d", status)
	}
	return made.ID
}

// nothing is the answer of a call that has nothing to say.
func nothing(got any) error {
	if members, isObject := got.(object); got == nil || isObject && len(members) == 0 {
		return nil
	}
	return fmt.Errorf("%v, want nothing", got)
}
