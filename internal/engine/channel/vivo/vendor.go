package vivo

import (
	"context"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const (
	host = "https://api-push.vivo.com.cn"
	// maxTTL and minTTL are how long vivo keeps a message.
	maxTTL = 7 * 24 * time.Hour
	minTTL = time.Minute
	// tokenLife of an access token, which vivo asks to be renewed after one or two of its 24 hours.
	tokenLife = 2 * time.Hour
)

// Vendor is vivo Push.
type Vendor struct {
	caller *wire.Caller
	tokens *wire.AccessTokens
	clock  clock.Clock
}

var (
	_ wire.Vendor   = (*Vendor)(nil)
	_ wire.Receiver = (*Vendor)(nil)
)

// New returns the vendor.
func New(d wire.Deps) *Vendor {
	return &Vendor{caller: wire.NewCaller(d), tokens: wire.NewAccessTokens(d.Clock), clock: d.Clock}
}

// Traits of vivo. The rate is that of apps with less than 5 million users.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.Vivo, Batch: 1000, Parallel: 8, Rate: wire.Rate{PerSecond: 3000, Unit: wire.Messages},
		Idempotent: true, Kinds: []wire.Kind{wire.Notification, wire.Live}, MaxTTL: maxTTL, Marketing: 2,
	}
}

// Probe asks for an access token.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*Credentials)
	if !ok {
		return wire.ErrForeign
	}
	_, _, err := v.authenticate(ctx, creds)
	return err
}
