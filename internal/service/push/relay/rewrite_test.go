package relay

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestRewrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, override, want string }{
		"everything": {`{"platform":"all","audience":"all","message":{"msg_content":"长<&>","extras":{"n":12345678901234567890}}}`, "",
			`{"audience":{"registration_id":["a","b"]},"cid":"c","message":{"msg_content":"长<&>","extras":{"n":12345678901234567890}},"options":{"time_to_live":90},"platform":"all"}`},
		"a platform by name": {`{"platform":"ios"}`, "", `{"audience":{"registration_id":["a","b"]},"cid":"c","options":{"time_to_live":90},"platform":"ios"}`},
		"only those online":  {`{"platform":["hmos"],"options":{"time_to_live":0}}`, "", `{"audience":{"registration_id":["a","b"]},"cid":"c","options":{"time_to_live":0},"platform":["hmos"]}`},
		"as a text":          {`{"platform":["hmos"],"options":{"time_to_live":"0"}}`, "", `{"audience":{"registration_id":["a","b"]},"cid":"c","options":{"time_to_live":"0"},"platform":["hmos"]}`},
		"replacing":          {`{"platform":"all","options":{"override_msg_id":1,"big_push_duration":5}}`, "9000", `{"audience":{"registration_id":["a","b"]},"cid":"c","options":{"override_msg_id":9000,"time_to_live":90},"platform":"all"}`},
		"without options":    {`{"platform":"all","options":null,"callback":{}}`, "", `{"audience":{"registration_id":["a","b"]},"cid":"c","options":{"time_to_live":90},"platform":"all"}`},
	} {
		got, err := rewrite([]byte(c.raw), []string{"a", "b"}, "c", 90*time.Second, c.override)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, c.want)
		}
	}
	for _, raw := range []string{`{"platform":["web","iot"]}`, `{"platform":"desktop"}`, `{"platform":[]}`} {
		if _, err := rewrite([]byte(raw), nil, "", time.Second, ""); !errors.Is(err, errNotForVendor) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for _, raw := range []string{``, `null`, `[]`, `{}`, `{"platform":1}`, `{"platform":"all","options":[]}`} {
		if got, err := rewrite([]byte(raw), nil, "", time.Second, ""); err == nil || errors.Is(err, errNotForVendor) {
			t.Errorf("%s: %s, %v", raw, got, err)
		}
	}
	for ttl, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", 300 * 24 * time.Hour: "864000"} {
		got, err := rewrite([]byte(`{"platform":"all"}`), nil, "", ttl, "")
		var o struct {
			Options struct {
				TTL json.Number `json:"time_to_live"`
			} `json:"options"`
		}
		if err != nil || json.Unmarshal(got, &o) != nil || o.Options.TTL.String() != want {
			t.Errorf("%s: %s, %v", ttl, got, err)
		}
	}
}

// What is sent is JSON, whatever was accepted.
func FuzzRewrite(f *testing.F) {
	f.Add([]byte(rawPush))
	f.Add([]byte(`{"platform":"all","options":{"x":[1,{"y":"<"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := rewrite(raw, []string{"a"}, "c", time.Minute, "")
		if err == nil && !json.Valid(got) {
			t.Errorf("%s became %s", raw, got)
		}
	})
}
