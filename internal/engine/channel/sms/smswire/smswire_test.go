package smswire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"+8613800138000": "+8613800138000", "13800138000": "+8613800138000", "+85291234567": "+85291234567", "+12025550123": "+12025550123",
		"+8623800138000": "", "+861380013800": "", "+86138001380000": "", "8613800138000": "", "+0123456789": "", "+12345": "", "+1234567890123456": "",
		"+1202555O123": "", "": "", "+": "", "+86": "", "23800138000": "",
	} {
		if got := smswire.Mobile(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if got := smswire.Mobile(rapid.String().Draw(t, "text")); got != "" && smswire.Mobile(got) != got {
			t.Fatalf("%q is no number any more", got)
		}
	})
}

func entries(t *testing.T, raw string) smswire.Entries {
	t.Helper()
	var e smswire.Entries
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestABookIsCheckedWhenItIsMade(t *testing.T) {
	t.Parallel()
	for raw, field := range map[string]string{
		`{"templates":{"1":"a"},"signs":{"0":"s"}}`:                                   "",
		`{"templates":{"1":{"id":"a","parameters":["x"]}},"signs":{"0":"s","7":"t"}}`: "",
		`{"signs":{"0":"s"}}`:                                                      "templates",
		`{"templates":{"0":"a"},"signs":{"0":"s"}}`:                                "templates",
		`{"templates":{"x":"a"},"signs":{"0":"s"}}`:                                "templates",
		`{"templates":{"01":"a"},"signs":{"0":"s"}}`:                               "templates",
		`{"templates":{"-1":"a"},"signs":{"0":"s"}}`:                               "templates",
		`{"templates":{"1":""},"signs":{"0":"s"}}`:                                 "templates",
		`{"templates":{"1":7},"signs":{"0":"s"}}`:                                  "templates",
		`{"templates":{"1":{"id":"a","x":1}},"signs":{"0":"s"}}`:                   "templates",
		`{"templates":{"1":{"id":"a","parameters":[""]}},"signs":{"0":"s"}}`:       "templates",
		`{"templates":{"1":"a"}}`:                                                  "signs",
		`{"templates":{"1":"a"},"signs":{"1":"s"}}`:                                "signs",
		`{"templates":{"1":"a"},"signs":{"0":"s","1":""}}`:                         "signs",
		`{"templates":{"1":"a"},"signs":{"0":"s","x":"y"}}`:                        "signs",
		`{"templates":{"1":"` + strings.Repeat("a", 257) + `"},"signs":{"0":"s"}}`: "templates",
	} {
		_, err := smswire.NewBook(entries(t, raw), true)
		var wrong *wire.FieldError
		if field == "" && err != nil || field != "" && (!errors.As(err, &wrong) || wrong.Field != field) {
			t.Errorf("%s: %v, want %q", raw, err, field)
		}
	}
	if _, err := smswire.NewBook(entries(t, `{"templates":{"1":"a"}}`), false); err != nil {
		t.Errorf("a provider without signatures: %v", err)
	}
	many := smswire.Entries{Templates: map[string]json.RawMessage{}, Signs: map[string]string{"0": "s"}}
	for i := range 1001 {
		many.Templates[fmt.Sprint(i+1)] = json.RawMessage(`"a"`)
	}
	if _, err := smswire.NewBook(many, true); err == nil {
		t.Error("1001 templates pass")
	}
}

func TestAMessageIsCheckedAgainstTheBook(t *testing.T) {
	t.Parallel()
	b, err := smswire.NewBook(entries(t, `{"templates":{"1":"a","2":{"id":"b","parameters":["x","y"]}},"signs":{"0":"s","3":"t"}}`), true)
	if err != nil {
		t.Fatal(err)
	}
	good := smswire.Message{ID: "1", Mobile: "+8613800138000", Template: 2, Sign: 3, Parameters: map[string]string{"x": "1", "y": "2", "z": "3"}}
	if err := b.Check(&good); err != nil || b.Template(&good).ID != "b" || b.Sign(&good) != "t" {
		t.Fatalf("%v", err)
	}
	big := make(map[string]string)
	for i := range 51 {
		big[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		change func(*smswire.Message)
		field  string
		status wire.Status
	}{
		"template":  {func(m *smswire.Message) { m.Template = 9 }, "temp_id", wire.Rejected},
		"signature": {func(m *smswire.Message) { m.Sign = 9 }, "signid", wire.Rejected},
		"parameter": {func(m *smswire.Message) { m.Parameters = map[string]string{"x": "1"} }, "temp_para", wire.Rejected},
		"too many":  {func(m *smswire.Message) { m.Template, m.Parameters = 1, big }, "temp_para", wire.Rejected},
		"too long":  {func(m *smswire.Message) { m.Parameters = map[string]string{"x": strings.Repeat("v", 1001), "y": ""} }, "temp_para", wire.Rejected},
		"number":    {func(m *smswire.Message) { m.Mobile = "13800138000" }, "mobile", wire.Invalid},
		"another":   {func(m *smswire.Message) { m.Mobile = "x" }, "mobile", wire.Invalid},
		"none":      {func(m *smswire.Message) { m.Mobile = "" }, "mobile", wire.Invalid},
	} {
		m := good
		c.change(&m)
		err := b.Check(&m)
		var wrong *wire.FieldError
		if !errors.As(err, &wrong) || wrong.Field != c.field || smswire.Refuse(err).Status != c.status {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADayOfAFlowEndsAtMidnight(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC)
	if o := smswire.Flow(time.Minute, now, "c", "r"); o.After != time.Minute || o.Status != wire.Quota {
		t.Errorf("%+v", o)
	}
	if o := smswire.Flow(24*time.Hour, now, "c", "r"); o.After != 6*time.Hour+30*time.Minute {
		t.Errorf("%+v", o)
	}
}
