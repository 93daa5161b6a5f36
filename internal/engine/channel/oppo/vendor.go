package oppo

import (
	"context"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// maxTTL is what OPPO keeps a message at most.
const maxTTL = 10 * 24 * time.Hour

// Vendor is OPPO Push.
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

// Traits of OPPO. The rate is that of apps with less than 10 million users; OPPO counts users, not calls.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.OPPO, Batch: 1000, Parallel: 8, Rate: wire.Rate{PerSecond: 5000, Unit: wire.Messages},
		Idempotent: true, Kinds: []wire.Kind{wire.Notification}, MaxTTL: maxTTL, Marketing: 2,
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
