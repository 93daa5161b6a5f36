package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/kernel/db"
)

// maxIDs is how many registration ids one push at the vendor names.
const maxIDs = 1000

// Message is an accepted push, as far as it concerns the vendor.
type Message struct {
	App, ID int64
	// Raw is the push object as it was accepted.
	Raw []byte
	// Override is the id of the message of ours that this one replaces, 0 for none.
	Override int64
	// AcceptedAt and ExpiresAt are Unix milliseconds.
	AcceptedAt, ExpiresAt int64
	// Devices are the targets that were imported and are not claimed. It is not kept.
	Devices *roaring.Bitmap
}

// Record notes a message for the vendor in the transaction that accepts it. Without devices, and for platforms that the vendor
// does not know, it notes nothing.
func (s *Service) Record(ctx context.Context, tx *db.Tx, m Message) error {
	if m.Devices == nil || m.Devices.IsEmpty() {
		return nil
	}
	if _, err := rewrite(m.Raw, nil, "", time.Second, ""); err != nil {
		if errors.Is(err, errNotForVendor) {
			return nil
		}
		return err
	}
	n := m.Devices.GetCardinality()
	_, err := tx.Exec(ctx, `insert into push_relay (msg_id, app_id, state, wide, devices, override_id, payload, accepted_at, expires_at,
		next_ordinal, next_at, attempts, failure, left_out) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, '', 0)`,
		m.ID, m.App, int64(stateSending), n > maxIDs, int64(n), m.Override, m.Raw, m.AcceptedAt, m.ExpiresAt)
	if err != nil {
		return fmt.Errorf("relay: record message: %w", err)
	}
	return eachChunk(m.Devices, func(chunk uint32, bits []byte) error {
		_, err := tx.Exec(ctx, `insert into push_relay_set (msg_id, chunk, bits) values ($1, $2, $3)`, m.ID, int64(chunk), bits)
		if err != nil {
			return fmt.Errorf("relay: record devices: %w", err)
		}
		return nil
	})
}

// eachChunk visits the parts of a set that share the upper 16 bits, encoded as a set of the whole ordinals.
func eachChunk(set *roaring.Bitmap, visit func(chunk uint32, bits []byte) error) error {
	for it := set.Iterator(); it.HasNext(); {
		chunk := it.PeekNext() >> 16
		part := roaring.New()
		part.AddRange(uint64(chunk)<<16, uint64(chunk+1)<<16)
		part.And(set)
		part.RunOptimize()
		bits, err := part.ToBytes()
		if err != nil {
			return fmt.Errorf("relay: encode devices: %w", err)
		}
		if err := visit(chunk, bits); err != nil {
			return err
		}
		if chunk == 1<<16-1 {
			return nil
		}
		it.AdvanceIfNeeded((chunk + 1) << 16)
	}
	return nil
}

// Withdraw stops sending a message and takes back what the vendor accepted of it, in the caller's transaction. A message that
// was not recorded is left alone.
func (s *Service) Withdraw(ctx context.Context, tx *db.Tx, app, msg int64) error {
	_, err := tx.Exec(ctx, `update push_relay set state = $3, next_at = 0, attempts = 0 where msg_id = $1 and app_id = $2`, msg, app, int64(stateWithdrawing))
	if err != nil {
		return fmt.Errorf("relay: withdraw: %w", err)
	}
	return nil
}
