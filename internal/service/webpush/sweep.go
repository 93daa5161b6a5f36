package webpush

import (
	"context"
	"errors"
	"slices"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	sweepTick = time.Hour
	sweepPage = 500
)

// Run wakes who waits for receipts, and forgets the subscriptions of devices that have ended and what is too old, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticker, look := time.NewTicker(sweepTick), time.NewTicker(lookTick)
	defer ticker.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if err := s.look(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("receipts not looked for", "err", err)
			}
		case <-ticker.C:
			if err := errors.Join(s.sweep(ctx), s.sweepReceipts(ctx)); err != nil && ctx.Err() == nil {
				s.Log.Warn("subscriptions of ended devices, or old receipts, not deleted", "err", err)
			}
		}
	}
}

// sweepReceipts deletes receipts and receipt subscriptions that are too old.
func (s *Service) sweepReceipts(ctx context.Context) error {
	now := s.Clock.Now()
	for more := true; more && ctx.Err() == nil; {
		err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			more, err = deleteOldReceipts(ctx, tx, clock.Millis(now.Add(-receiptsLife)), clock.Millis(now), sweepPage)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) sweep(ctx context.Context) error {
	var last int64
	synced := make(map[int64]bool)
	for {
		page, err := queryOwners(ctx, s.DB, last, sweepPage)
		if err != nil || len(page) == 0 {
			return err
		}
		last = page[len(page)-1].id
		for _, o := range page {
			if !synced[o.app] {
				if err := s.Devices.Sync(ctx, o.app); err != nil {
					return err
				}
				synced[o.app] = true
			}
		}
		// Those of one device lie together or not; either way it is asked for in memory.
		ended := slices.DeleteFunc(page, func(o *owner) bool { return len(s.Devices.Known(o.app, []uint32{o.ordinal})) > 0 })
		for _, o := range ended {
			if err := s.forget(ctx, o); err != nil {
				return err
			}
		}
	}
}

// forget deletes a subscription whose device has ended.
func (s *Service) forget(ctx context.Context, o *owner) error {
	err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := deleteSubscription(ctx, tx, o.app, o.ordinal, o.id)
		return err
	})
	if err != nil {
		return err
	}
	return s.Sender.WithdrawAll(ctx, o.app, o.ordinal, o.id)
}
