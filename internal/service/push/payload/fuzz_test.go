package payload

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"borealis/internal/kernel/web/compat"
)

func FuzzParse(f *testing.F) {
	for _, file := range files(f, "testdata/push/*.json") {
		var c pushCase
		readJSON(f, file, &c)
		f.Add(c.body(f), c.Rules.StrictKeys)
	}
	f.Add([]byte(typical), true)
	f.Fuzz(func(t *testing.T, body []byte, strict bool) {
		checkAny(t, body, Rules{StrictKeys: strict})
	})
}

// checkAny checks what holds of every body.
func checkAny(t *testing.T, body []byte, rules Rules) {
	t.Helper()
	p, err := Parse(body, rules)
	if err != nil {
		var e *compat.Error
		if !errors.As(err, &e) || e.HTTP != 400 || e.Message == "" || !utf8.ValidString(e.Message) {
			t.Fatalf("%#v", err)
		}
		if strings.Contains(e.Message, "msg_id") || strings.Contains(e.Message, "schedule_id") {
			t.Fatalf("message %q", e.Message)
		}
		if p != nil {
			t.Fatal("both a push and an error")
		}
		return
	}
	if !json.Valid(body) || !utf8.Valid(p.Raw) || !json.Valid(p.Raw) {
		t.Fatalf("%q kept as %q", body, p.Raw)
	}
	checkAccepted(t, p, rules)
}

// FuzzScan holds the scanner against the standard library: what it accepts is valid JSON, and what it refuses is not,
// or has one of the faults that JSON allows and we do not.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{typical, `[]`, `[1,-0.5e+3,"\ud83d\ude00",null,true,{"a":{}}]`, `01`, `"\u0000"`, `{"a":1,}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		nodes, err := scan(text)
		valid := json.Valid(text)
		if err == nil {
			if !valid || int(nodes[0].next) != len(nodes) {
				t.Fatalf("%q accepted", text)
			}
			c := checker{src: text, nodes: nodes}
			c.writeValue(0)
			first := string(c.out)
			again, err := scan(c.out)
			if err != nil {
				t.Fatalf("%q written as %q: %v", text, first, err)
			}
			second := checker{src: []byte(first), nodes: again}
			second.writeValue(0)
			if string(second.out) != first {
				t.Fatalf("%q written as %q, then as %q", text, first, second.out)
			}
			if !sameMeaning(t, text, []byte(first)) {
				t.Fatalf("%q written as %q", text, first)
			}
			return
		}
		for _, ours := range []string{"UTF-8", "nested", "too many", "U+0000", "surrogate"} {
			if strings.Contains(err.Error(), ours) {
				return
			}
		}
		if valid {
			t.Fatalf("%q refused: %v", text, err)
		}
	})
}

// sameMeaning compares two JSON texts as the standard library reads them; numbers beyond its range compare as text.
func sameMeaning(t *testing.T, a, b []byte) bool {
	t.Helper()
	return string(encode(t, clone(t, json.RawMessage(a)))) == string(encode(t, clone(t, json.RawMessage(b))))
}

// TestAnyPush makes pushes out of right and wrong parts, which random bytes hardly ever hit.
func TestAnyPush(t *testing.T) {
	t.Parallel()
	parts := []struct {
		path  string
		shape *shape
	}{
		{"options", optionsShape}, {"message", messageShape}, {"callback", callbackShape}, {"sms_message", smsShape},
		{"notification.android", androidShape}, {"notification.ios", iosShape}, {"notification.hmos", hmosShape},
		{"notification.quickapp", quickAppShape},
	}
	accepted := 0
	rapid.Check(t, func(r *rapid.T) {
		object := map[string]any{}
		scalar := rapid.OneOf(
			rapid.Just[any](nil), rapid.Just[any](true), rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Map(rapid.IntRange(-3, 200), func(i int) any { return i }), rapid.Just[any]("all"), rapid.Just[any]("1"),
			rapid.Just[any](map[string]any{}), rapid.Just[any]([]any{}), rapid.Just[any]([]any{"a"}),
			rapid.Just[any](map[string]any{"url": "a://b"}), rapid.Just[any](map[string]any{"k": "\"\\}{"}),
		)
		part := func(s *shape) map[string]any {
			m := map[string]any{}
			for range rapid.IntRange(0, 4).Draw(r, "members") {
				m[s.fields[rapid.IntRange(0, len(s.fields)-1).Draw(r, "field")].name] = scalar.Draw(r, "value")
			}
			return m
		}
		object["platform"] = rapid.SampledFrom([]any{"all", []string{"android"}, []string{"ios", "web"}, "hmos"}).Draw(r, "platform")
		object["audience"] = "all"
		if rapid.Bool().Draw(r, "general") {
			object["notification"] = map[string]any{"alert": "x"}
		}
		for _, some := range parts {
			if rapid.IntRange(0, 3).Draw(r, some.path) == 0 {
				set(object, some.path, part(some.shape))
			}
		}
		body := encode(t, object)
		checkAny(t, body, Rules{})
		if _, err := Parse(body, Rules{}); err == nil {
			accepted++
		}
	})
	if accepted == 0 {
		t.Error("no push was accepted, so nothing was tested")
	}
}
