package route

import (
	"context"
	"encoding/json"
	"time"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
)

// Broadcasts are the broadcast channels that an app has at Apple, for live activities. They are no part of pushes: Apple knows who follows
// a channel, and we do not. Errors of the methods are *apns.RefusedError, *wire.FieldError for credentials that cannot be used,
// or what prevented Apple's answer.
type Broadcasts struct {
	vendor *apns.Vendor
	creds  wire.Credentials
}

// Broadcasts finds what an app needs to speak about them. Errors: ErrNoChannel, and *wire.FieldError if the app has no credentials at Apple.
func (s *Service) Broadcasts(ctx context.Context, app int64) (*Broadcasts, error) {
	vendor, ok := s.Dispatcher.Vendor(wire.APNs).(*apns.Vendor)
	if !ok {
		return nil, ErrNoChannel
	}
	creds, err := s.credentials(ctx, app, wire.APNs)
	if err != nil {
		return nil, err
	}
	if creds == nil {
		return nil, &wire.FieldError{Field: "channel", Reason: "the app has no credentials for " + string(wire.APNs)}
	}
	return &Broadcasts{vendor: vendor, creds: creds}, nil
}

// Create makes a channel in an environment.
func (b *Broadcasts) Create(ctx context.Context, sandbox, stored bool) (apns.Channel, error) {
	return b.vendor.CreateChannel(ctx, b.creds, sandbox, stored)
}

// Channel reads one.
func (b *Broadcasts) Channel(ctx context.Context, sandbox bool, id string) (apns.Channel, error) {
	return b.vendor.Channel(ctx, b.creds, sandbox, id)
}

// List names all of an environment.
func (b *Broadcasts) List(ctx context.Context, sandbox bool) ([]string, error) {
	return b.vendor.Channels(ctx, b.creds, sandbox)
}

// Delete ends one for good.
func (b *Broadcasts) Delete(ctx context.Context, sandbox bool, id string) error {
	return b.vendor.DeleteChannel(ctx, b.creds, sandbox, id)
}

// Send brings the `ios` object of live_activity to all who follow a channel and returns Apple's id of the request. ttl is how long Apple keeps
// it, for channels that store; 0: not at all.
func (b *Broadcasts) Send(ctx context.Context, sandbox bool, to apns.Channel, live json.RawMessage, ttl time.Duration) (string, error) {
	o := b.vendor.Broadcast(ctx, b.creds, sandbox, to, &wire.Message{Kind: wire.Live, TTL: ttl, Apple: &wire.Apple{Live: live}})
	if o.Status != wire.Accepted {
		return "", &apns.RefusedError{Outcome: o}
	}
	return o.VendorID, nil
}
