package route

import (
	"context"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/db"
)

const (
	// whyWithdraw marks the parts that take a message back.
	whyWithdraw = "withdraw"
	// retractLife is how long taking a message back is tried.
	retractLife = time.Hour
	// retractAtOnce is how many parts of a message are looked at in one step.
	retractAtOnce = 100
)

// Withdraw notes in the transaction that withdraws a message that it is to be taken back from the devices that vendors brought it to, where
// they can. The owner of the partition does it. Nothing happens if no channel may have carried it.
func (s *Service) Withdraw(ctx context.Context, tx *db.Tx, app, msg int64) error {
	_, err := tx.Exec(ctx, `update push_route set state = $3, next_ordinal = 0 where msg_id = $1 and app_id = $2 and state < $3`, msg, app, int64(retracting))
	if err != nil {
		return fmt.Errorf("route: withdraw message: %w", err)
	}
	return nil
}

// planRetraction makes parts of the devices that have a withdrawn message. Those that a call is under way for follow when it has ended
// (task.retraction).
func (s *Service) planRetraction(ctx context.Context, _ Messages, app int64, u unplanned) error {
	for next, more := u.next, true; more; {
		busy, err := queryClaimed(ctx, s.DB, u.msg)
		if err != nil || busy {
			return err
		}
		found, last, err := queryHaving(ctx, s.DB, u.msg, next, retractAtOnce)
		if err != nil {
			return err
		}
		to := retracting
		if more = last > 0; !more {
			to, last = retracted, next
		}
		var parts []*part
		for key, devices := range found {
			list, err := s.retraction(ctx, app, u.msg, key, devices)
			if err != nil {
				return err
			}
			parts = append(parts, list...)
		}
		err = s.owned(ctx, app, func(ctx context.Context, tx *db.Tx) error {
			if err := insertParts(ctx, tx, parts); err != nil {
				return err
			}
			return updatePlan(ctx, tx, u.msg, retracting, to, last)
		})
		if err != nil {
			return err
		}
		next = last
	}
	s.Wake() // parts are due
	return nil
}

// retraction are parts that take a message back from devices; none if the vendor cannot.
func (s *Service) retraction(ctx context.Context, app, msg int64, key havingKey, devices *roaring.Bitmap) ([]*part, error) {
	if _, can := s.Dispatcher.Vendor(key.name).(wire.Retractor); !can {
		return nil, nil
	}
	now := s.now()
	return s.newParts(ctx, part{
		msg: msg, app: app, name: key.name, platform: key.platform, why: whyWithdraw, dueAt: now, createdAt: now, expiresAt: now + retractLife.Milliseconds(),
	}, devices)
}

// claimRetraction takes up a part that takes a message back. It is for those of its devices that still have a token.
func (s *Service) claimRetraction(ctx context.Context, parent Messages, p *part, fact channelFact) (*task, error) {
	found, err := s.Devices.TokensOf(ctx, p.app, string(p.name), p.devices.ToArray())
	if err != nil {
		return nil, err
	}
	t := &task{plan: &plan{s: s, app: s.Gate.AppByID(p.app)}, parent: parent, part: p, fact: fact}
	if t.root, err = parent.Root(ctx, p.msg); err != nil {
		return nil, err
	}
	t.use(found)
	p.devices = roaring.BitmapOf(t.ordinals...)
	p.tries++
	return t, nil
}

// queryClaimed tells whether a call is under way that may bring a message to devices.
func queryClaimed(ctx context.Context, d *db.DB, msg int64) (bool, error) {
	var n int64
	err := d.QueryRow(ctx, `select count(*) from push_route_part where msg_id = $1 and state = $2`, msg, int64(claimed)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("route: find calls under way: %w", err)
	}
	return n > 0, nil
}

// havingKey is what devices have in common that a message is taken back from at once.
type havingKey struct {
	name     wire.Name
	platform audience.Platform
}

// queryHaving finds devices that vendors took a message over for, in some parts after one, and says which was the last of these: 0 if
// there are no more.
func queryHaving(ctx context.Context, d *db.DB, msg, after int64, limit int) (found map[havingKey]*roaring.Bitmap, last int64, err error) {
	err = d.QueryRow(ctx, `select coalesce(max(part_id), 0) from (select part_id from push_route_part
		where msg_id = $1 and part_id > $2 and why <> $3 and channel <> $4 order by part_id limit $5) t`, msg, after, whyWithdraw, string(sms), limit).Scan(&last)
	if err != nil {
		return nil, 0, fmt.Errorf("route: who has the message: %w", err)
	}
	if last == 0 {
		return nil, 0, nil
	}
	rows, err := d.Query(ctx, `select r.channel, p.platform, r.bits from push_route_result r join push_route_part p on p.part_id = r.part_id
		where r.msg_id = $1 and r.part_id > $2 and r.part_id <= $3 and r.status = $4 and p.why <> $5 and p.channel <> $6`,
		msg, after, last, int64(wire.Accepted), whyWithdraw, string(sms))
	if err != nil {
		return nil, 0, fmt.Errorf("route: who has the message: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found = make(map[havingKey]*roaring.Bitmap)
	for rows.Next() {
		var (
			key  havingKey
			bits []byte
			set  = roaring.New()
		)
		err := rows.Scan(&key.name, &key.platform, &bits)
		if err == nil {
			err = set.UnmarshalBinary(bits)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("route: who has the message: %w", err)
		}
		if found[key] == nil {
			found[key] = roaring.New()
		}
		found[key].Or(set)
	}
	return found, last, rows.Err()
}
