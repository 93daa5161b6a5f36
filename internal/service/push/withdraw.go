package push

import (
	"context"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

// withdrawLife is how long a device that is away is told, when it comes back, to take a message off its screen.
const withdrawLife = 3 * 24 * time.Hour

// errUnknownMessage is the answer about a message that the app does not have.
var errUnknownMessage = compat.Errorf(400, 1003, "the app has no such push")

// Withdraw ends a message: who is owed it does not get it any more, and devices that may show it are told to take it
// away, unless it was clicked. Doing it again changes nothing. The refusal of an unknown id is a *compat.Error.
//
// The order to the devices is a message of its own (kindWithdraw). It is stored in one transaction with the end of the
// rows it withdraws; the sets of a wide message are ended by the owner, who learns of it from the order (replaceLater).
func (s *Service) Withdraw(ctx context.Context, app *gate.App, msg int64) error {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	m, err := queryMessage(ctx, s.db, msg)
	switch {
	case err != nil:
		return err
	case m == nil || m.App != app.ID || m.Kind != kindPush:
		return errUnknownMessage
	case m.WithdrawnAt > 0:
		return nil
	}
	id, err := s.ids.Next(ctx)
	if err != nil {
		return err
	}
	now := clock.Millis(s.clock.Now())
	o := &order{app: app, t: &targets{}, m: &message{
		ID: id, App: app.ID, Kind: kindWithdraw, Override: msg, Raw: []byte("{}"), AcceptedAt: now, ExpiresAt: now + withdrawLife.Milliseconds(),
	}}
	if m.Wide {
		if o.t, err = s.mayShow(ctx, m, now); err != nil {
			return err
		}
		o.m.Wide = o.t.many != nil
	}
	repeated := false
	err = s.db.InTxUrgent(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update push_message set withdrawn_at = $2 where msg_id = $1 and withdrawn_at = 0`, msg, now)
		if repeated = err == nil && n == 0; err != nil || repeated {
			return err
		}
		if !m.Wide {
			if err := s.withdrawRows(ctx, tx, m, o); err != nil {
				return err
			}
		}
		if err := s.parts.relay.Withdraw(ctx, tx, app.ID, msg); err != nil {
			return err
		}
		if err := s.parts.route.Withdraw(ctx, tx, app.ID, msg); err != nil {
			return err
		}
		o.m.Targets = o.t.count()
		return s.store(ctx, tx, o)
	})
	if err != nil || repeated {
		return err
	}
	s.parts.route.Wake()
	// What is on its way through an edge is not written any more.
	if err := s.bus.Publish(edgewire.SubjectWithdraw, edgewire.Withdraw{Msg: msg}); err != nil {
		s.log.Warn("edges not told of a withdrawal", "message", msg, "err", err)
	}
	if err := s.release(o); err != nil {
		s.log.Warn("withdrawal not handed to the edges; the owner will", "message", msg, "err", err)
	}
	return nil
}

// mayShow finds the devices that may show a wide message: it was written to them or may be on its way, and they have not
// clicked it.
func (s *Service) mayShow(ctx context.Context, m *message, now int64) (*targets, error) {
	w, err := s.wideOf(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	if w == nil {
		return nil, errUnknownMessage
	}
	w.mu.RLock()
	shown := w.sets[stageSent].Clone()
	onWay := w.owed()
	clicked := w.sets[stageClicked].Clone()
	w.mu.RUnlock()
	if w.Pace > 0 {
		onWay = w.pace().portion(onWay, 0, w.pace().stepAt(now))
	}
	for it := onWay.Iterator(); it.HasNext(); {
		if o := it.Next(); s.presence.Online(m.App, o) {
			shown.Add(o)
		}
	}
	shown.AndNot(clicked)
	t := &targets{many: make(map[audience.Platform]*roaring.Bitmap)}
	for p, set := range w.targets {
		if part := roaring.And(set, shown); !part.IsEmpty() {
			t.many[p] = part
		}
	}
	if t.count() <= int64(s.maxRows) {
		t.narrow()
	}
	return t, nil
}

// withdrawRows ends what the rows of a message owe and makes targets of the order of those who may show it.
func (s *Service) withdrawRows(ctx context.Context, tx *db.Tx, m *message, o *order) error {
	o.t = &targets{}
	rows, err := tx.Query(ctx, `select ordinal, platform, settled, sent_at from push_target where msg_id = $1 and clicked_at = 0`, m.ID)
	if err != nil {
		return fmt.Errorf("push: targets to be told: %w", err)
	}
	type row struct {
		audience.Target
		settled Outcome
		sentAt  int64
	}
	found, err := collect(rows, func(r *row, scan func(...any) error) error {
		return scan(&r.Ordinal, &r.Platform, &r.settled, &r.sentAt)
	})
	if err != nil {
		return err
	}
	for _, r := range found {
		if r.sentAt > 0 || r.settled == Owed && s.presence.Online(m.App, r.Ordinal) {
			o.t.few = append(o.t.few, r.Target)
		}
	}
	withdrawn, err := endRows(ctx, tx, m.ID, Withdrawn)
	if err != nil || len(withdrawn) == 0 {
		return err
	}
	return s.endedIn(ctx, tx, m.App, map[int64][]uint32{m.ID: withdrawn}, Withdrawn, o.m.AcceptedAt)
}
