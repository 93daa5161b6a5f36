package apns

import (
	"time"

	"borealis/internal/engine/channel/wire"
)

const (
	// batch is how many tokens one Send takes, streams how many of its requests are under way at once.
	batch   = 500
	streams = 100
	// maxTTL is how long Apple keeps a notification.
	maxTTL = 30 * 24 * time.Hour
)

// Vendor is Apple's push service. It is safe for concurrent use.
type Vendor struct {
	deps   wire.Deps
	tokens *wire.AccessTokens
	lines  *lines
}

// New returns the vendor. With Deps.BaseURL the hosts for development are below <base>/sandbox, and http:// means HTTP/2 without TLS.
func New(d wire.Deps) *Vendor {
	return &Vendor{deps: d, tokens: wire.NewAccessTokens(d.Clock), lines: newLines(d)}
}

// Traits of APNs. Apple publishes no rate.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.APNs, Batch: batch, Parallel: 4, Idempotent: true,
		Kinds:  []wire.Kind{wire.Notification, wire.Data, wire.VoIP, wire.Live},
		MaxTTL: maxTTL,
	}
}
