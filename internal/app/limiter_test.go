package app

import (
	"net/netip"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/ratelimit"
)

func TestRegistrationLimits(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	g := gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 100))
	limited := gate.App{ID: 1, Key: "limited", Settings: gate.DefaultSettings()}
	limited.Settings.RegisterRate = 3
	g.Publish(limited)
	g.Publish(gate.App{ID: 2, Key: "free", Settings: gate.DefaultSettings()})
	l := newLimiter(fake, g, 4)
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i, c := range []struct {
		app  int64
		from netip.Addr
		want bool
	}{
		{1, one, true}, {1, one, true}, {1, one, true},
		{1, two, false}, // the app has used its share
		{2, one, true},
		{2, one, false}, // the address has used its own
		{2, two, true},
	} {
		if got := l.AllowRegistration(c.app, c.from); got != c.want {
			t.Errorf("registration %d: %v", i, got)
		}
	}
	fake.Advance(time.Minute)
	if !l.AllowRegistration(1, one) {
		t.Error("still limited a minute later")
	}
}
