package payload

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/audience"
)

// pushCase is a file of testdata/push, see testdata/README.md.
type pushCase struct {
	About   string          `json:"about"`
	Request json.RawMessage `json:"request"`
	Text    *string         `json:"text"`
	Rules   Rules           `json:"rules"`
	Refuse  *struct {
		Code  int    `json:"code"`
		Names string `json:"names"`
	} `json:"refuse"`
	Dropped   []string                   `json:"dropped"`
	Canonical json.RawMessage            `json:"canonical"`
	Frames    map[string]json.RawMessage `json:"frames"`
}

func (c *pushCase) body(t testing.TB) []byte {
	t.Helper()
	if c.Text != nil {
		return []byte(*c.Text)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, c.Request); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPushes(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/push/*.json") {
		t.Run(caseName(file), func(t *testing.T) {
			t.Parallel()
			var c pushCase
			readJSON(t, file, &c)
			body := c.body(t)
			p, err := Parse(body, c.Rules)
			if c.Refuse != nil {
				checkRefused(t, body, err, c.Refuse.Code, c.Refuse.Names)
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if len(c.Frames) == 0 {
				t.Fatal("the case expects nothing")
			}
			checkAccepted(t, p, c.Rules)
			if !reflect.DeepEqual(p.Dropped, c.Dropped) {
				t.Errorf("dropped %q, want %q", p.Dropped, c.Dropped)
			}
			if c.Canonical != nil && !sameJSON(t, p.Raw, c.Canonical) {
				t.Errorf("kept as\n%s, want\n%s", p.Raw, c.Canonical)
			}
			got := map[string][]byte{}
			for name, want := range c.Frames {
				platform, ok := audience.ParsePlatform(name)
				if !ok {
					t.Fatalf("no platform %q", name)
				}
				data, ok := p.Resolve(7, platform, 1790000000000)
				if ok == (string(want) == "null") || ok && !sameJSON(t, data, want) {
					t.Errorf("%s gets\n%s, want\n%s", name, data, want)
				}
				got[name] = data
			}
			for a := range got {
				for b := range got {
					if got[a] != nil && got[b] != nil && sameJSON(t, got[a], got[b]) && !bytes.Equal(got[a], got[b]) {
						t.Errorf("%s and %s get the same in different bytes:\n%s\n%s", a, b, got[a], got[b])
					}
				}
			}
		})
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		code  int
		names string
	}{
		"invalid UTF-8":         {`{"platform":"` + "\xff" + `"}`, 1003, "invalid UTF-8 at byte 13"},
		"surrogate in UTF-8":    {`{"platform":"` + "\xed\xa0\x80" + `"}`, 1003, "invalid UTF-8"},
		"invalid UTF-8 outside": {"\xfe{}", 1003, "invalid UTF-8 at byte 0"},
		"too large":             {`{"platform":"` + strings.Repeat("x", MaxBody) + `"}`, 1005, "body"},
		"too many values":       {`{"a":[` + strings.Repeat("1,", 1<<16) + `1]}`, 1003, "too many values"},
		"endless nesting":       {strings.Repeat("[", 1<<19), 1003, "nested too deeply"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(c.body), Rules{})
			checkRefused(t, []byte(c.body), err, c.code, c.names)
		})
	}
}

// TestParsedValues checks the fields of a Push, which the case files see only in their JSON form.
func TestParsedValues(t *testing.T) {
	t.Parallel()
	body := []byte(`{"cid":"k-1","platform":["ios","web"],"audience":{"tag":["a","汉"],"tag_and":["b"],"tag_not":["c"],
		"alias":["d"],"registration_id":["e\"","f"],"segment":[7],"abtest":["g"]},
		"options":{"sendno":"40712","time_to_live":60,"override_msg_id":"9007199254740991","apns_production":false,
		"apns_collapse_id":"col","big_push_duration":30,"classification":1,"target_event":["jg_app_show"],"receipt_id":"r",
		"business_operation_code":"plan","portal_extra":{"task":"t"},"notification_3rd_ver":"v2","test_message":1,
		"test_model":true,"alternate_set":"true","auto_truncation":0,"mkt_enable":true,"notification_switch_filter":true,
		"geofence":{"id": 1},"third_party_channel":{"fcm":{"distribution":"fcm"}},"odd":1},
		"notification":{"alert":"Hi","ios":{"badge":1},"voip":{"x":1}},"message":{"msg_content":"c"},
		"notification_3rd":{"ios":{"alert":"3"}},
		"sms_message":{"temp_id":5,"delay_time":"90","signid":6,"temp_para":{"code":"1"},"active_filter":false},
		"callback":{"url":"https://a.example/r","params":{"k":"v"},"type":9}}`)
	p, err := Parse(body, Rules{AppKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	clear(body) // the Push must keep nothing of it
	want := Push{
		CID: "k-1", Platforms: PlatformSet(0).With(IOS).With(Web), HasNotification: true, HasMessage: true,
		Audience: Audience{Tag: []string{"a", "汉"}, TagAnd: []string{"b"}, TagNot: []string{"c"}, Alias: []string{"d"},
			RegistrationID: []string{`e"`, "f"}, Segment: []string{"7"}, ABTest: []string{"g"}},
		Options: Options{SendNo: 40712, TTL: time.Minute, OverrideID: 9007199254740991, APNsCollapseID: "col",
			BigPushDuration: 30, Classification: 1, TargetEvent: []string{"jg_app_show"}, ReceiptID: "r",
			BusinessOperationCode: "plan", PortalTask: "t", Notification3rdVersion: 2, TestMessage: true, TestModel: true,
			AlternateSet: true, MktEnable: true, NotificationSwitchFilter: true, Geofence: json.RawMessage(`{"id":1}`),
			ThirdPartyChannel: json.RawMessage(`{"fcm":{"distribution":"fcm"}}`)},
		SMS:      &SMS{TemplateID: 5, SignID: 6, Delay: 90 * time.Second, Params: json.RawMessage(`{"code":"1"}`)},
		Callback: &Callback{URL: "https://a.example/r", Params: json.RawMessage(`{"k":"v"}`), Type: 9},
		Dropped:  []string{"options.odd"},
		Raw:      p.Raw, views: p.views,
	}
	if !reflect.DeepEqual(*p, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *p, want)
	}
	for name, part := range map[string][2]string{
		"alert":            {string(p.Alert()), `"Hi"`},
		"ios":              {string(p.Notification(IOS)), `{"badge":1}`},
		"android":          {string(p.Notification(Android)), ``},
		"no platform":      {string(p.Notification(99)), ``},
		"voip":             {string(p.VoIP()), `{"x":1}`},
		"message":          {string(p.Message()), `{"msg_content":"c"}`},
		"notification_3rd": {string(p.Notification3rd()), `{"ios":{"alert":"3"}}`},
		"live_activity":    {string(p.LiveActivity()), ``},
	} {
		if part[0] != part[1] {
			t.Errorf("%s is %s, want %s", name, part[0], part[1])
		}
	}
	checkAccepted(t, p, Rules{AppKey: "k"})
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	parse := func(options string, rules Rules) Options {
		t.Helper()
		p, err := Parse([]byte(`{"platform":"all","audience":"all","message":{"msg_content":"x"}`+options+`}`), rules)
		if err != nil {
			t.Fatal(err)
		}
		return p.Options
	}
	want := Options{TTL: DefaultTTL, APNsProduction: true, AutoTruncation: true, Notification3rdVersion: 1}
	if got := parse("", Rules{}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for options, ttl := range map[string]time.Duration{
		``:                                       2 * time.Hour,
		`,"options":{"time_to_live":0}`:          0,
		`,"options":{"time_to_live":3600}`:       time.Hour,
		`,"options":{"time_to_live":10801}`:      3 * time.Hour,
		`,"options":{"time_to_live":9223372036}`: 3 * time.Hour,
	} {
		if got := parse(options, Rules{MaxTTL: 3 * time.Hour, DefaultTTL: 2 * time.Hour}).TTL; got != ttl {
			t.Errorf("%s: %s, want %s", options, got, ttl)
		}
	}
	if got := parse("", Rules{MaxTTL: time.Hour}).TTL; got != time.Hour {
		t.Errorf("default above the maximum: %s", got)
	}
}

// TestDecodeOutlivesLimits reads back what was accepted under wider limits, with keys that are unknown today.
func TestDecodeOutlivesLimits(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"cid":"other-1","platform":["android"],"audience":{"tag":["no longer a tag"]},"old_key":{"a":1},` +
		`"notification":{"android":{"alert":"` + strings.Repeat("x", 5000) + `","old_key":1}}}`)
	if _, err := Parse(raw, Rules{AppKey: "k"}); err == nil {
		t.Fatal("Parse must refuse it")
	}
	p, err := Decode(raw, Rules{AppKey: "k", StrictKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.CID != "other-1" || len(p.Audience.Tag) != 1 {
		t.Errorf("got %+v", p)
	}
	if _, ok := p.Resolve(1, Android, 2); !ok {
		t.Error("no frame")
	}
	if _, err := Decode([]byte(`{"platform":`), Rules{}); err == nil {
		t.Error("Decode accepts half an object")
	}
}

func TestDroppedIsBounded(t *testing.T) {
	t.Parallel()
	var options []string
	for i := range 100 {
		options = append(options, `"odd`+strings.Repeat("y", i)+`":1`)
	}
	p, err := Parse([]byte(`{"platform":"all","audience":"all","notification":{"alert":"x"},"options":{`+strings.Join(options, ",")+`}}`), Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Dropped) != maxDropped {
		t.Errorf("%d names", len(p.Dropped))
	}
	for _, name := range p.Dropped {
		if len(name) > len("options.")+maxEchoBytes+len("…") {
			t.Errorf("%q is too long", name)
		}
	}
}
