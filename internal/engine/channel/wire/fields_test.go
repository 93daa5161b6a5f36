package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/engine/channel/wire"
)

func TestCredentialsAreReadStrictly(t *testing.T) {
	t.Parallel()
	type account struct {
		AppID string `json:"app_id"`
		Inner struct {
			Key string `json:"key"`
		} `json:"inner"`
	}
	for raw, field := range map[string]string{
		`{"app_id":"1","inner":{"key":"k"}}`:     "",
		`{"app_id":"1","app_secrets":"hunter2"}`: "app_secrets",
		`{"app_id":17}`:                          "app_id",
		`{"inner":{"key":["hunter2"]}}`:          "inner.key",
		`{"inner":{"other":1}}`:                  "other",
		`["hunter2"]`:                            "credentials",
		`null`:                                   "credentials",
		``:                                       "credentials",
		`{"app_id":"hunter2`:                     "credentials",
		`{"app_id":"1"} {"app_id":"2"}`:          "credentials",
		`{"app_id":"` + strings.Repeat("x", 70_000):  "credentials",
		`{"` + strings.Repeat("hunter", 90) + `":1}`: strings.Repeat("hunter", 11)[:64],
	} {
		var a account
		err := wire.ReadFields([]byte(raw), &a)
		if field == "" {
			if err != nil || a.AppID != "1" || a.Inner.Key != "k" {
				t.Errorf("%s: %+v, %v", raw, a, err)
			}
			continue
		}
		wrong, ok := errors.AsType[*wire.FieldError](err)
		if !ok || wrong.Field != field || wrong.Reason == "" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60s: %v, want field %s", raw, err, field)
		}
	}
}

func TestAppsGetExtrasBesideTheID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		m    wire.Message
		want string
	}{
		{wire.Message{ID: "7", Title: "t", Body: "b"}, `{"_j_msgid":"7"}`},
		{wire.Message{ID: "7", Extras: json.RawMessage(`{"a":1,"_j_msgid":"8"}`)}, `{"_j_msgid":"7","a":1}`},
		{wire.Message{ID: "7", Extras: json.RawMessage(`null`)}, `{"_j_msgid":"7"}`},
		{
			wire.Message{ID: "7", Kind: wire.Data, Title: "t", Body: "b", ContentType: "text", Extras: json.RawMessage(`{"a":{"b":[]}}`)},
			`{"_j_content":"b","_j_content_type":"text","_j_msgid":"7","_j_title":"t","a":{"b":[]}}`,
		},
	} {
		data, err := c.m.AppData()
		got, _ := json.Marshal(data)
		if err != nil || string(got) != c.want {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
	if _, err := (&wire.Message{Extras: json.RawMessage(`[1]`)}).AppData(); err == nil {
		t.Error("extras that are a list were taken")
	}
}

func TestATextIsCutToTheLongestThatFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, limit := rapid.String().Draw(t, "text"), rapid.IntRange(-1, 40).Draw(t, "limit")
		got, ok := wire.Fit(s, func(s string) bool { return len(s) <= limit })
		if ok != (limit >= 0) {
			t.Fatalf("%q within %d: %v", s, limit, ok)
		}
		if want := wire.CutBytes(s, max(0, limit)); ok && got != want {
			t.Fatalf("%q within %d is %q, want %q", s, limit, got, want)
		}
	})
}

func TestKeysCanStandInAHeader(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"k", strings.Repeat("k", 256), "a+/=~!,"} {
		if err := wire.CheckKey("app_key", good, true); err != nil {
			t.Errorf("%.20q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " k", "k\n", "密", strings.Repeat("k", 257), "\x7f"} {
		var field *wire.FieldError
		if err := wire.CheckKey("app_key", bad, true); !errors.As(err, &field) || field.Field != "app_key" {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	if err := wire.CheckKey("app_id", "", false); err != nil {
		t.Errorf("an optional one: %v", err)
	}
}
