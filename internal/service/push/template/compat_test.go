package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

const greeting = `{"platform":"all","notification":{"alert":"Hi {{name}}","android":{"extras":{"n":"{{name}}"}}},
	"options":{"time_to_live":60,"sendno":"{{no}}","apns_production":false}}`

func TestEachElementIsAPushWithItsOwnCopy(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.template(greeting)
		body := func(params ...string) string {
			return `{"id":"` + id + `","params":[` + strings.Join(params, ",") + `]}`
		}

		r.want(r.call("POST", "/v3/push/template", body(`{"audience":{"alias":["u1001"]},"keys":{"name":"Ann","no":"7"},"trace_id":"t-1"}`)),
			`200 {"code":0,"message":"success","data":{"push_list":[{"code":0,"message":"success","message_id":"58546795154341","trace_id":"t-1"}]}}`)
		r.want(r.call("POST", "/v3/push/template/", body(
			`{"audience":{"alias":["u1"]},"keys":{"name":"A\"nn","no":8,"more":true},"options":{"time_to_live":30,"apns_production":null},"trace_id":9}`,
			`{"audience":{"alias":["u2"]},"keys":{"no":"9"},"trace_id":"t-2"}`,
			`{"audience":{"alias":["nobody"]},"keys":{"name":"Bo","no":"9"}}`,
			`{"audience":{"alias":["u3"],"tag":[]},"keys":{"name":"Cy","no":"many"},"trace_id":"t-4"}`,
			`{"audience":{"alias":["u4"],"tag":null},"keys":{"name":"Di"},"options":{"sendno":10,"geofence":null},"trace_id":null}`,
			`{"audience":{"alias":["u5"]},"keys":{"name":"`+strings.Repeat("x", 4000)+`","no":"1"},"trace_id":"t-6"}`,
			`{"audience":{"alias":["u6"]},"keys":{"name":"`+strings.Repeat("x", maxRendered)+`","no":"1"},"trace_id":"t-7"}`,
		)), `200 {"code":0,"message":"success","data":{"push_list":[`+
			`{"code":0,"message":"success","message_id":"58546795154342","trace_id":"9"},`+
			`{"code":1003,"message":"keys: the template needs a value for \"name\"","message_id":"","trace_id":"t-2"},`+
			`{"code":1011,"message":"cannot find user by this audience","message_id":"","trace_id":""},`+
			`{"code":1003,"message":"options.sendno must be an integer","message_id":"","trace_id":"t-4"},`+
			`{"code":0,"message":"success","message_id":"58546795154343","trace_id":""},`+
			`{"code":1005,"message":"notification.android with message must not be larger than 4000 bytes","message_id":"","trace_id":"t-6"},`+
			`{"code":1005,"message":"the push must not be larger than 65536 bytes","message_id":"","trace_id":"t-7"}]}}`)
		if r.parent.calls != 2 {
			t.Errorf("%d transactions of two calls", r.parent.calls)
		}
		got := r.parent.accepted
		if len(got) != 3 {
			t.Fatalf("%d accepted", len(got))
		}
		if o := got[0].Options; o.TTL != time.Minute || o.SendNo != 7 || o.APNsProduction {
			t.Errorf("options %+v", o)
		}
		// An element's options replace one by one, and null leaves the parser's default.
		if o := got[1].Options; o.TTL != 30*time.Second || o.SendNo != 8 || !o.APNsProduction || !slices.Equal(got[1].Audience.Alias, []string{"u1"}) {
			t.Errorf("options %+v", o)
		}
		if text := string(got[1].Alert()); text != `"Hi A\"nn"` {
			t.Errorf("alert %s", text)
		}
		if o := got[2].Options; o.SendNo != 10 || o.TTL != time.Minute {
			t.Errorf("options %+v", o)
		}
	})
}

func TestCallOfAThousand(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	id := r.template(`{"platform":"all","notification":{"alert":"Hi {{name}}"}}`)
	params := make([]string, maxElements)
	for i := range params {
		params[i] = fmt.Sprintf(`{"audience":{"registration_id":["rid%d"]},"keys":{"name":"%d"},"trace_id":"%d"}`, i, i, i)
	}
	got := r.call("POST", "/v3/push/template", `{"id":"`+id+`","params":[`+strings.Join(params, ",")+`]}`)
	if strings.Count(got, `"code":0`) != maxElements+1 || r.parent.calls != 1 {
		t.Errorf("%d successes, %d calls", strings.Count(got, `"code":0`)-1, r.parent.calls)
	}
	for i, p := range r.parent.accepted {
		if string(p.Alert()) != fmt.Sprintf(`"Hi %d"`, i) || p.Audience.RegistrationID[0] != fmt.Sprintf("rid%d", i) {
			t.Fatalf("push %d: %s", i, p.Raw)
		}
	}
	r.refused(r.call("POST", "/v3/push/template", `{"id":"`+id+`","params":[`+strings.Join(slices.Concat(params, params[:1]), ",")+`]}`), codeInvalid)
	r.refused(r.call("POST", "/v3/push/template", `{"id":"`+id+`","params":[{"audience":{"registration_id":["a","b"]}},`+strings.Join(params[1:], ",")+`]}`), codeInvalid)
}

func TestRulesOfAudiences(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	id := r.template(`{"platform":"all","notification":{"alert":"x"}}`)
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") }
	for _, c := range []struct {
		params string
		code   int // 0: accepted
	}{
		{`{"audience":"all"}`, 0},
		{`{"audience":{"tag":["a"],"tag_and":["b"],"tag_not":["c"]}}`, 0},
		{`{"audience":{"tag_not":["c"]}}`, 0},
		{`{"audience":{"segment":["s"]}}`, 0},
		{`{"audience":{"segment":[7]}}`, 0},
		{`{"audience":{"abtest":["s"]}}`, 0},
		{`{"audience":{"file":{"file_id":"f"}}}`, 0},
		{`{"audience":{"live_activity_id":"l"}}`, 0},
		{`{"audience":{"live_activity_id":"l"}},{"audience":{"live_activity_id":"m"}}`, 0},
		{`{"audience":{"alias":["a","b"]}},{"audience":{"alias":["c"]}}`, 0},
		{`{"audience":{"registration_id":[` + many(600) + `]}},{"audience":{"registration_id":[` + many(400) + `]}}`, 0},
		{`{"audience":{"alias":["a"]},"geofence":{"id":"g"}}`, 0},
		{`{"geofence":{"id":"g"}}`, 0},
		{`{"audience":null,"options":{"geofence":{"id":"g"}}}`, 0},

		{`{"audience":"all"},{"audience":"all"}`, codeInvalid},
		{`{"audience":{"tag":["a"]}},{"audience":{"tag_and":["a"]}}`, codeInvalid},
		{`{"audience":{"segment":["s"]}},{"audience":{"segment":["s"]}}`, codeInvalid},
		{`{"audience":{"abtest":["s"]}},{"audience":{"abtest":["s"]}}`, codeInvalid},
		{`{"audience":{"file":{"file_id":"f"}}},{"audience":{"file":{"file_id":"f"}}}`, codeInvalid},
		{`{"geofence":{"id":"g"}},{"geofence":{"id":"g"}}`, codeInvalid},
		{`{"audience":{"alias":["a"]},"geofence":{"id":"g"}},{"audience":{"alias":["a"]}}`, codeInvalid},
		{`{"audience":{"alias":["a"]}},{"audience":{"registration_id":["a"]}}`, codeInvalid},
		{`{"audience":{"alias":["a"]}},{"audience":"all"}`, codeInvalid},
		{`{"audience":{"alias":["a"],"tag":["b"]}}`, codeInvalid},
		{`{"audience":{"alias":["a"],"registration_id":["b"]}}`, codeInvalid},
		{`{"audience":{"segment":["a"],"tag_not":["b"]}}`, codeInvalid},
		{`{"audience":{"registration_id":[` + many(600) + `]}},{"audience":{"registration_id":[` + many(401) + `]}}`, codeInvalid},
		{`{"audience":"everybody"}`, codeInvalid},
		{`{"audience":7}`, codeInvalid},
		{`{"audience":[1]}`, codeInvalid},
		{`{"audience":{"alias":["a"]}},{}`, codeMissing},
		{`{}`, codeMissing},
		{`{"audience":null}`, codeMissing},
		{`{"audience":{}}`, codeMissing},
		{`{"audience":[]}`, codeMissing},
		{`{"audience":{"tag":[]},"geofence":{}}`, codeMissing},
		{`{"audience":{"nothing":["a"]}}`, codeMissing},
	} {
		before := len(r.parent.accepted)
		got := r.call("POST", "/v3/push/template", `{"id":"`+id+`","params":[`+c.params+`]}`)
		if c.code != 0 {
			r.refused(got, c.code)
		} else if !strings.HasPrefix(got, "200 ") || strings.Count(got, `"code":0`) != 2+strings.Count(c.params, "},{") {
			t.Errorf("%s: %s", c.params, got)
		}
		if n := len(r.parent.accepted) - before; (n > 0) != (c.code == 0) {
			t.Errorf("%s: %d accepted", c.params, n)
		}
	}
	for _, p := range r.parent.accepted {
		if p.Audience.FileID == "" && p.Options.Geofence != nil && string(p.Options.Geofence) != `{"id":"g"}` {
			t.Errorf("geofence %s", p.Options.Geofence)
		}
	}
}

func TestBadCallsSendNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.template(greeting)
		foreign, err := r.Create(context.Background(), app(2), Template{Name: "n", Push: json.RawMessage(greeting)})
		if err != nil {
			t.Fatal(err)
		}
		good := `{"audience":{"alias":["a"]},"keys":{"name":"n","no":"1"}}`
		for body, code := range map[string]int{
			``: codeMissing, `null`: codeMissing, `[]`: codeMissing, `{}`: codeMissing,
			`{"id":"","params":[` + good + `]}`: codeMissing, `{"params":[` + good + `]}`: codeMissing,
			`{"id":"` + id + `"}`: codeMissing, `{"id":"` + id + `","params":null}`: codeMissing, `{"id":"` + id + `","params":[]}`: codeMissing,
			`{`: codeInvalid, `[1]`: codeInvalid, "\xff": codeInvalid, `{"id":["x"],"params":[` + good + `]}`: codeInvalid,
			`{"id":"` + id + `","params":{}}`: codeInvalid, `{"id":"` + id + `","params":"x"}`: codeInvalid, `{"id":"` + id + `","params":[7]}`: codeInvalid,
			`{"id":"nobody","params":[` + good + `]}`: codeInvalid, `{"id":"a\u0000b","params":[` + good + `]}`: codeInvalid,
			`{"id":"tpl_0123456789abcdef0123456789abcdef","params":[` + good + `]}`:                                                                    codeInvalid,
			`{"id":"` + foreign.ID + `","params":[` + good + `]}`:                                                                                      codeInvalid,
			`{"id":"` + id + `","params":[{"audience":"all","keys":[1]}]}`:                                                                             codeInvalid,
			`{"id":"` + id + `","params":[{"audience":"all","keys":{"msg_id":{}}}]}`:                                                                   codeInvalid,
			`{"id":"` + id + `","params":[{"audience":"all","options":"x"}]}`:                                                                          codeInvalid,
			`{"id":"` + id + `","params":[{"audience":"all","geofence":"x"}]}`:                                                                         codeInvalid,
			`{"id":"` + id + `","params":[{"audience":"all","trace_id":[]}]}`:                                                                          codeInvalid,
			`{"id":"` + id + `","params":[{"audience":"all","trace_id":"` + strings.Repeat("x", maxTraceBytes+1) + `"}]}`:                              codeInvalid,
			`{"id":"` + id + `","params":[` + strings.Repeat(" ", maxBody) + good + `]}`:                                                               codeSize,
			`{"id":"` + id + `","params":[` + strings.TrimSuffix(strings.Repeat(`{"audience":{"alias":["a"]},"keys":{}},`, maxElements+1), ",") + `]}`: codeInvalid,
		} {
			r.refused(r.call("POST", "/v3/push/template", body), code)
			scheduled := strings.Replace(body, `{"id"`, `{"schedule_name":"s","trigger":{"single":{}},"id"`, 1)
			r.refused(r.call("POST", "/v3/push/template/schedule", scheduled), code)
		}
		for _, lacks := range []string{`"trigger":{}`, `"schedule_name":"s"`, `"schedule_name":"s","trigger":null`, `"schedule_name":"","trigger":{}`} {
			r.refused(r.call("POST", "/v3/push/template/schedule", `{`+lacks+`,"id":"`+id+`","params":[`+good+`]}`), codeMissing)
		}
		if len(r.parent.accepted)+len(r.parent.schedules) > 0 {
			t.Errorf("%d pushes, %d schedules", len(r.parent.accepted), len(r.parent.schedules))
		}
	})
}

// A variable may be named like what clients take for a success.
func TestMissingVariableNeverLooksLikeSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	id := r.template(`{"platform":"all","notification":{"alert":"Hi {{msg_id}}"}}`)
	got := r.call("POST", "/v3/push/template", `{"id":"`+id+`","params":[{"audience":"all"}]}`)
	if !strings.Contains(got, `"code":1003,"message":"keys: the template needs a value for \"msg id\""`) || strings.Contains(got, "msg_id") {
		t.Error(got)
	}
}

func TestPushesOfACallAreBoundedTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	id := r.template(`{"platform":"all","message":{"msg_content":"` + strings.Repeat("{{a}}", 60) + `"}}`)
	element := `{"audience":{"alias":["a"]},"keys":{"a":"` + strings.Repeat("x", 1000) + `"}},` // 60 KB each
	got := r.call("POST", "/v3/push/template", `{"id":"`+id+`","params":[`+strings.TrimSuffix(strings.Repeat(element, 400), ",")+`]}`)
	r.refused(got, codeSize)
}

func TestFailureOfAPushIsInternal(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	id := r.template(greeting)
	r.parent.broken = true
	body := `{"schedule_name":"s","trigger":{},"id":"` + id + `","params":[{"audience":"all","keys":{"name":"n","no":"1"}}]}`
	r.want(r.call("POST", "/v3/push/template", body),
		`200 {"code":0,"message":"success","data":{"push_list":[{"code":1000,"message":"internal error","message_id":"","trace_id":""}]}}`)
	r.want(r.call("POST", "/v3/push/template/schedule", body), `500 {"code":1000,"message":"internal error"}`)
}

func TestEncryptedBodyIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	req := newRequest("POST", "/v3/push/template", `{"audience":"all","payload":"BHqC"}`)
	req.Header.Set("X-Encrypt-Type", "SM2")
	r.refused(r.serve(req), codeInvalid)
}

func TestSchedulesOfATemplate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.template(`{"platform":"all","notification":{"alert":"Hi {{name}}"},"options":{"sendno":1}}`)
		body := func(params ...string) string {
			return `{"id":"` + id + `","schedule_name":"greet","trigger":{"single":{"time":"2027-03-01 09:30:00"}},"params":[` + strings.Join(params, ",") + `]}`
		}
		ann := `{"audience":{"alias":["u1001"]},"keys":{"name":"Ann"},"trace_id":"t-2"}`
		r.want(r.call("POST", "/v3/push/template/schedule", body(ann)),
			`200 {"code":0,"message":"success","data":{"schedule_list":[{"code":0,"message":"success","schedule_id":"00000000-0000-4000-8000-000000000001","trace_id":"t-2"}]}}`)
		if want := `greet {"single":{"time":"2027-03-01 09:30:00"}} {"audience":{"alias":["u1001"]},"notification":{"alert":"Hi Ann"},"platform":"all","options":{"sendno":1}}`; r.parent.schedules[0] != want {
			t.Errorf("scheduled %s", r.parent.schedules[0])
		}

		// One push is refused by the parser, one before the first success and one after it by the schedules, one lacks a value.
		got := r.call("POST", "/v3/push/template/schedule", body(`{"audience":{"alias":["nobody"]},"keys":{"name":"x"},"trace_id":"a"}`, `{"audience":{"alias":["b"]},"trace_id":"b"}`,
			ann, `{"audience":{"alias":["`+strings.Repeat("x", 41)+`"]},"keys":{"name":"x"},"trace_id":"d"}`, `{"audience":{"alias":["nobody"]},"keys":{"name":"x"},"trace_id":"e"}`, ann))
		var answer struct {
			Data struct {
				List []scheduleItem `json:"schedule_list"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "200 ")), &answer); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		codes := ""
		for _, item := range answer.Data.List {
			codes += fmt.Sprintf("%s:%d ", item.TraceID, item.Code)
			if (item.Code == 0) != (item.ScheduleID != "") {
				t.Errorf("item %+v", item)
			}
		}
		if codes != "a:1003 b:1003 t-2:0 d:1003 e:1003 t-2:0 " || len(r.parent.schedules) != 3 {
			t.Errorf("codes %s", codes)
		}

		r.parent.trigger = compat.Errorf(400, 8100, "trigger: the time is over")
		r.want(r.call("POST", "/v3/push/template/schedule", body(ann, ann)), `400 {"code":8100,"message":"trigger: the time is over"}`)
	})
}

func FuzzCall(f *testing.F) {
	for _, body := range []string{
		`{"id":"tpl-17","params":[{"audience":{"alias":["u1001"]},"keys":{"name":"Ann"},"trace_id":"t-1"}]}`,
		`{"id":7,"schedule_name":"x","trigger":{},"params":[{"audience":"all","options":{"a":1},"geofence":[]},{"audience":{"tag":[1]}}]}`,
		`{"params":[null]}`, `[]`, ``,
	} {
		f.Add([]byte(body), true)
	}
	c, err := compile([]byte(greeting))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, scheduled bool) {
		parsed, err := parseCall(body, scheduled)
		if err != nil {
			var e *compat.Error
			if !errors.As(err, &e) || e.HTTP != 400 || e.Message == "" || e.Code != codeInvalid && e.Code != codeMissing {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, e := range parsed.elements {
			e.keys["name"], e.keys["no"] = "n", "1"
			raw, err := c.render(e.keys, e.audience, e.options)
			if err != nil || !json.Valid(raw) {
				t.Fatalf("%q rendered %q (%v)", body, raw, err)
			}
			if p, err := payload.Parse(raw, payload.Rules{IgnoreCID: true}); err == nil && string(p.Alert()) != `"Hi n"` {
				t.Fatalf("%q became %s", body, p.Raw)
			}
		}
	})
}
