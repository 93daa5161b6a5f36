package wire_test

import (
	"encoding/json"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/engine/channel/wire"
)

func TestExtrasBecomeTexts(t *testing.T) {
	t.Parallel()
	m := wire.Message{ID: "77", Extras: json.RawMessage(`{"s":"a \"b\"","n": 12345678901234567890, "o":{ "k": [1, 2] },"b":true,"z":null,
		"oppns_content_forshort":"short"}`)}
	got, err := m.Texts()
	want := map[string]string{"s": `a "b"`, "n": "12345678901234567890", "o": `{"k":[1,2]}`, "b": "true", "z": "null", "_j_msgid": "77"}
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	if m.Short(wire.ShortOPPO) != "short" || m.Short(wire.ShortVivo) != "" {
		t.Fatal("the short body is not found")
	}
	m.Extras = json.RawMessage(`[1]`)
	if _, err := m.Texts(); err == nil || m.Short(wire.ShortOPPO) != "" {
		t.Fatal("an array passes as extras")
	}
}

func TestNotificationNumbersArePositiveAndDiffer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[0-9]{1,16}|[a-z]{0,8}`).Draw(t, "id")
		if n := wire.NotifyID(id); n < 1 {
			t.Fatalf("%q: %d", id, n)
		}
	})
	a, b := wire.Message{ID: "9007199254740990"}, wire.Message{ID: "9007199254740991", Replaces: "9007199254740990"}
	if a.NotifyID() != b.NotifyID() || wire.NotifyID(a.ID) == wire.NotifyID(b.ID) {
		t.Fatalf("%d, %d", a.NotifyID(), b.NotifyID())
	}
}
