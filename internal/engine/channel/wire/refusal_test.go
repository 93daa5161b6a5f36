package wire_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

func TestMessagesWithoutAnAccessTokenWereNotSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want wire.Status
	}{
		"credentials are wrong":   {&wire.FieldError{Field: "app_key", Reason: "is unknown"}, wire.Denied},
		"the vendor said no":      {&wire.RefusalError{Outcome: wire.NewOutcome(wire.Limited, "429", "")}, wire.Limited},
		"the answer was not read": {&wire.RefusalError{Outcome: wire.NewOutcome(wire.Unknown, "200", "")}, wire.Failed},
		"no answer":               {errors.New("connection refused"), wire.Failed},
		"no time":                 {context.DeadlineExceeded, wire.Failed},
	} {
		if got := wire.Unauthorized(c.err); got.Status != c.want {
			t.Errorf("%s: %s", name, got.Status)
		}
	}
}

// An access token that is refused is fetched anew once, and no more.
func TestARefusedAccessTokenIsFetchedOnceMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stale   func(token string) bool
		calls   []string
		fetched int
	}{
		"taken":         {func(string) bool { return false }, []string{"1"}, 1},
		"revoked":       {func(token string) bool { return token == "1" }, []string{"1", "2"}, 2},
		"refused twice": {func(string) bool { return true }, []string{"1", "2"}, 2},
	} {
		tokens := wire.NewAccessTokens(clock.NewFake(time.Unix(0, 0)))
		fetched := 0
		fetch := func(context.Context) (string, time.Duration, error) {
			fetched++
			return string(rune('0' + fetched)), time.Hour, nil
		}
		var calls []string
		err := tokens.Use(t.Context(), "a", fetch, func(token string) bool {
			calls = append(calls, token)
			return c.stale(token)
		})
		if err != nil || len(calls) != len(c.calls) || calls[len(calls)-1] != c.calls[len(c.calls)-1] || fetched != c.fetched {
			t.Errorf("%s: calls %v, %d fetched, %v", name, calls, fetched, err)
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	err := wire.NewAccessTokens(clock.System{}).Use(done, "a", nil, func(string) bool { t.Error("called without time"); return false })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
