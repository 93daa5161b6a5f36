package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"borealis/internal/kernel/web/compat"
)

// fieldCase is a file of testdata/fields, see testdata/README.md.
type fieldCase struct {
	Field  string         `json:"field"`
	About  string         `json:"about"`
	With   map[string]any `json:"with"`
	Accept []struct {
		Value   any             `json:"value"`
		Becomes json.RawMessage `json:"becomes"`
		Absent  bool            `json:"absent"`
	} `json:"accept"`
	Refuse []struct {
		Value any    `json:"value"`
		Code  int    `json:"code"`
		Names string `json:"names"`
	} `json:"refuse"`
}

func readJSON(t testing.TB, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func files(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases %s: %v", pattern, err)
	}
	return found
}

func caseName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".json") }

func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

func clone(t testing.TB, v any) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(encode(t, v)))
	d.UseNumber()
	var copied any
	if err := d.Decode(&copied); err != nil {
		t.Fatal(err)
	}
	return copied
}

func set(object map[string]any, path string, value any) {
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		inner, ok := object[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[key] = inner
		}
		object = inner
	}
	object[keys[len(keys)-1]] = value
}

func get(t *testing.T, raw []byte, path string) (json.RawMessage, bool) {
	t.Helper()
	for key := range strings.SplitSeq(path, ".") {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			t.Fatalf("%s in %s: %v", path, raw, err)
		}
		inner, ok := members[key]
		if !ok {
			return nil, false
		}
		raw = inner
	}
	return raw, true
}

func (c *fieldCase) body(t *testing.T, value any) []byte {
	push := map[string]any{"platform": "all", "audience": "all", "notification": map[string]any{"alert": "base"}}
	if strings.HasPrefix(c.Field, "audience.") {
		delete(push, "audience")
	}
	// Shorter paths first: a path may reach into what another one sets.
	for length := range 6 {
		for path, v := range c.With {
			if strings.Count(path, ".") == length {
				set(push, path, clone(t, v))
			}
		}
	}
	set(push, c.Field, value)
	return encode(t, push)
}

func TestFields(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/fields/*.json") {
		t.Run(caseName(file), func(t *testing.T) {
			t.Parallel()
			var c fieldCase
			readJSON(t, file, &c)
			for _, accept := range c.Accept {
				body := c.body(t, accept.Value)
				p, err := Parse(body, Rules{})
				if err != nil {
					t.Errorf("%.200s: refused: %v", body, err)
					continue
				}
				want := encode(t, accept.Value)
				if accept.Becomes != nil {
					want = encode(t, accept.Becomes)
				}
				got, ok := get(t, p.Raw, c.Field)
				switch {
				case accept.Absent && ok:
					t.Errorf("%.200s: kept as %s, must be absent", body, got)
				case !accept.Absent && !sameJSON(t, got, want):
					t.Errorf("%.200s: kept as %.200s, want %.200s", body, got, want)
				}
				checkAccepted(t, p, Rules{})
			}
			for _, refuse := range c.Refuse {
				body := c.body(t, refuse.Value)
				_, err := Parse(body, Rules{})
				if refuse.Names == "" {
					refuse.Names = c.Field
				}
				checkRefused(t, body, err, refuse.Code, refuse.Names)
			}
		})
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

func checkRefused(t *testing.T, body []byte, err error, code int, names string) {
	t.Helper()
	var e *compat.Error
	switch {
	case err == nil:
		t.Errorf("%.200s: accepted, want %d", body, code)
	case !errors.As(err, &e):
		t.Errorf("%.200s: %T is no *compat.Error", body, err)
	case e.Code != code || e.HTTP != 400:
		t.Errorf("%.200s: %d %v, want %d", body, e.HTTP, e, code)
	case !strings.Contains(e.Message, names):
		t.Errorf("%.200s: message %q does not name %q", body, e.Message, names)
	case strings.Contains(e.Message, "msg_id") || strings.Contains(e.Message, "schedule_id"):
		t.Errorf("%.200s: message %q has a word that means success to some clients", body, e.Message)
	}
}

// checkAccepted checks what holds of every accepted push.
func checkAccepted(t *testing.T, p *Push, rules Rules) {
	t.Helper()
	again, err := Decode(p.Raw, rules)
	if err != nil {
		t.Fatalf("%.300s: not read back: %v", p.Raw, err)
	}
	same := *p
	same.Dropped = nil
	if !reflect.DeepEqual(&same, again) {
		t.Fatalf("read back differently:\n%+v\n%+v", &same, again)
	}
	if p.Platforms == 0 {
		t.Fatalf("%.300s: no platform", p.Raw)
	}
	content := len(p.LiveActivity()) > 0
	for platform := range All.Each {
		frame, ok := p.Resolve(7, platform, 1790000000000)
		content = content || ok
		if ok != (len(frame) > 0) {
			t.Fatalf("%s: ok is %v of %q", platform, ok, frame)
		}
		if !ok {
			continue
		}
		if !p.Platforms.Has(platform) {
			t.Fatalf("%s gets a frame without being asked for", platform)
		}
		checkFrame(t, p, frame)
	}
	if !content {
		t.Fatalf("%.300s: accepted without content", p.Raw)
	}
}

// frame is what devices make of a frame.
type frame struct {
	ID      string                     `json:"id"`
	Type    string                     `json:"type"`
	Title   *string                    `json:"title"`
	Alert   *string                    `json:"alert"`
	Extras  map[string]json.RawMessage `json:"extras"`
	Options map[string]json.RawMessage `json:"options"`
	Message *struct {
		Title       string                     `json:"title"`
		Content     *string                    `json:"content"`
		ContentType string                     `json:"content_type"`
		Extras      map[string]json.RawMessage `json:"extras"`
	} `json:"message"`
	Live      map[string]json.RawMessage `json:"live_activity"`
	LiveID    string                     `json:"live_activity_id"`
	Override  string                     `json:"override"`
	ExpiresAt int64                      `json:"expires_at"`
}

func checkFrame(t *testing.T, p *Push, data []byte) {
	t.Helper()
	var f frame
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || !json.Valid(data) {
		t.Fatalf("frame %s: %v", data, err)
	}
	if f.ID != "7" || f.ExpiresAt != 1790000000000 {
		t.Fatalf("frame %s: wrong id or end", data)
	}
	if (f.Message != nil) != p.HasMessage || f.Message != nil && f.Message.Content == nil {
		t.Fatalf("frame %s: wrong message", data)
	}
	if f.Type != "live_activity" && (f.Live != nil || f.LiveID != "") {
		t.Fatalf("frame %s: has more than it should", data)
	}
	switch f.Type {
	case "notification":
		if !p.HasNotification {
			t.Fatalf("frame %s: there is no notification", data)
		}
	case "message":
		if !p.HasMessage || f.Title != nil || f.Alert != nil || f.Extras != nil || f.Options != nil {
			t.Fatalf("frame %s: has more than a message", data)
		}
	case "live_activity":
		if p.HasNotification || p.HasMessage || f.LiveID != p.Audience.LiveActivityID || f.Live["event"] == nil || f.Live["content-state"] == nil {
			t.Fatalf("frame %s: no event of a live activity", data)
		}
		return
	default:
		t.Fatalf("frame %s: wrong type", data)
	}
}

// TestEveryFieldHasACase fails when a field is added to a shape without a file in testdata/fields.
func TestEveryFieldHasACase(t *testing.T) {
	t.Parallel()
	with := map[string]*shape{
		"": pushShape, "audience.": audienceShape, "audience.file.": audienceFileShape,
		"options.": optionsShape, "options.portal_extra.": portalExtraShape,
		"options.third_party_channel.": thirdPartyShape, "options.third_party_channel.huawei.": vendorShape,
		"notification.": notificationShape, "notification.android.": androidShape,
		"notification.android.intent.": intentShape, "notification.android.custom_buttons--": customButtonShape,
		"notification.ios.": iosShape, "notification.ios.alert.": iosAlertShape, "notification.ios.sound.": iosSoundShape,
		"notification.hmos.": hmosShape, "notification.quickapp.": quickAppShape, "notification.winphone.": winPhoneShape,
		"message.": messageShape, "inapp_message.": inAppShape, "notification_3rd.": thirdV1Shape,
		"sms_message.": smsShape, "callback.": callbackShape,
		"live_activity.ios.": liveActivityIOSShape, "live_activity.ios.alert.": liveAlertShape,
	}
	known := map[string]fieldCase{}
	for _, file := range files(t, "testdata/fields/*.json") {
		var c fieldCase
		readJSON(t, file, &c)
		known[caseName(file)] = c
	}
	for prefix, s := range with {
		if len(s.fields) > 64 {
			t.Errorf("%s has %d fields, a shape holds 64", prefix, len(s.fields))
		}
		for _, f := range s.fields {
			c, ok := known[prefix+f.name]
			if !ok || len(c.Accept) == 0 || len(c.Refuse) == 0 && c.About == "" {
				t.Errorf("testdata/fields/%s%s.json is missing or covers only one side", prefix, f.name)
			}
		}
	}
}
