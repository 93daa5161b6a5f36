package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
)

func TestAStampIsTakenBackOnlyWithItsSecret(t *testing.T) {
	t.Parallel()
	stamp := wire.Stamp("secret", "9007199254740991")
	if len(stamp) > 40 {
		t.Errorf("%d bytes", len(stamp))
	}
	if id, ok := wire.Unstamp("secret", stamp); !ok || id != "9007199254740991" {
		t.Errorf("%q, %v", id, ok)
	}
	for _, bad := range []string{"", ".", "9007199254740991", "1" + stamp[1:], stamp + "x", stamp[:len(stamp)-1]} {
		if _, ok := wire.Unstamp("secret", bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, ok := wire.Unstamp("another", stamp); ok {
		t.Error("another secret takes it")
	}
}

func TestQuotasAreRenewedAtMidnightInShanghai(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]time.Duration{
		"2026-03-05T09:30:00Z": 6*time.Hour + 30*time.Minute,
		"2026-03-05T16:00:00Z": 24 * time.Hour,
		"2026-03-05T15:59:59Z": time.Second,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := wire.UntilHour(now, 0); got != want {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
}

func TestAppsDoNotGetExtrasForTheServer(t *testing.T) {
	t.Parallel()
	m := wire.Message{ID: "7", Kind: wire.Notification, Extras: json.RawMessage(`{"a":[1],"mipns_content_forshort":"s","mzpns_content_forshort":"s"}`)}
	if got, err := m.AppJSON(); err != nil || got != `{"_j_msgid":"7","a":[1]}` {
		t.Errorf("%s, %v", got, err)
	}
	m.Extras = json.RawMessage(`[]`)
	if got, err := m.AppJSON(); err == nil {
		t.Errorf("a list: %s", got)
	}
}
