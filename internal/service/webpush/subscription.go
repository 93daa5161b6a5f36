package webpush

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// maxSubscriptions is how many a device may have.
	maxSubscriptions = 50
	// maxInstance is the longest instance in bytes.
	maxInstance = 200
	// maxBase is the longest base of an endpoint in bytes.
	maxBase = 300
)

// Subscription is one of a device.
type Subscription struct {
	ID int64
	// Instance is the application on the device that the messages are for, in the words of the device.
	Instance string
	// VAPID is the public key that senders must have, base64url; "" for any.
	VAPID string
	// Endpoint is where messages are posted to.
	Endpoint string
	// CreatedAt and UsedAt (the last message; 0: none) are Unix milliseconds.
	CreatedAt, UsedAt int64

	base string
}

// Refusals.
var (
	// ErrMany: the device has maxSubscriptions.
	ErrMany = fmt.Errorf("the device has %d subscriptions already", maxSubscriptions)
	// ErrUnknown: the device has no such subscription.
	ErrUnknown = errors.New("the device has no such subscription")
)

// FieldError says which member is wrong and why.
type FieldError struct{ Field, Reason string }

// Error makes *FieldError an error.
func (e *FieldError) Error() string { return e.Field + " " + e.Reason }

// Subscribe gives an instance on a device its subscription. One that is there already with the same key stays; with another key it
// ends, and a new one takes its place. base is the public address. Errors: *FieldError, ErrMany.
func (s *Service) Subscribe(ctx context.Context, app int64, ordinal uint32, instance, vapid, base string) (*Subscription, error) {
	switch {
	case instance == "" || len(instance) > maxInstance || !utf8.ValidString(instance) || strings.ContainsRune(instance, 0):
		return nil, &FieldError{"instance", fmt.Sprintf("must have 1 to %d bytes of UTF-8", maxInstance)}
	case len(base) > maxBase:
		return nil, &FieldError{"host", fmt.Sprintf("makes a public address of more than %d bytes", maxBase)}
	}
	if vapid != "" {
		if _, err := decodeKey(vapid); err != nil {
			return nil, &FieldError{"vapid", err.Error()}
		}
		vapid = strings.TrimRight(vapid, "=")
	}
	id, err := s.ids.Next(ctx)
	if err != nil {
		return nil, err
	}
	wanted := Subscription{ID: id, Instance: instance, VAPID: vapid, CreatedAt: clock.Millis(s.Clock.Now()), base: base}
	sub, old, err := s.subscribe(ctx, app, ordinal, wanted)
	if errors.Is(err, errRaced) {
		sub, old, err = s.subscribe(ctx, app, ordinal, wanted)
	}
	if err != nil {
		return nil, err
	}
	if old != nil {
		if err := s.Sender.WithdrawAll(ctx, app, ordinal, old.ID); err != nil {
			return nil, err
		}
	}
	sub.Endpoint = s.address(app, ordinal, sub)
	return sub, nil
}

// subscribe stores a subscription unless it is there. old is the one whose place it took, nil for none.
func (s *Service) subscribe(ctx context.Context, app int64, ordinal uint32, wanted Subscription) (sub, old *Subscription, err error) {
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		copied := wanted
		sub = &copied
		if old, err = querySubscription(ctx, tx, app, ordinal, wanted.Instance); err != nil {
			return err
		}
		if old != nil && old.VAPID == wanted.VAPID {
			sub, old = old, nil
			sub.base = wanted.base
			return updateBase(ctx, tx, sub)
		}
		if old != nil {
			if _, err := deleteSubscription(ctx, tx, app, ordinal, old.ID); err != nil {
				return err
			}
		}
		n, err := countSubscriptions(ctx, tx, app, ordinal)
		if err == nil && n >= maxSubscriptions {
			err = ErrMany
		}
		if err != nil {
			return err
		}
		return insertSubscription(ctx, tx, app, ordinal, sub)
	})
	return sub, old, err
}

// List returns the subscriptions of a device, oldest first.
func (s *Service) List(ctx context.Context, app int64, ordinal uint32) ([]*Subscription, error) {
	list, err := querySubscriptions(ctx, s.DB, app, ordinal)
	for _, sub := range list {
		sub.Endpoint = s.address(app, ordinal, sub)
	}
	return list, err
}

// Delete ends a subscription of a device and forgets what waits for it. Error: ErrUnknown.
func (s *Service) Delete(ctx context.Context, app int64, ordinal uint32, id int64) error {
	var found bool
	err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		found, err = deleteSubscription(ctx, tx, app, ordinal, id)
		return err
	})
	if err != nil {
		return err
	}
	if !found {
		return ErrUnknown
	}
	return s.Sender.WithdrawAll(ctx, app, ordinal, id)
}
