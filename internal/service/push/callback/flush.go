package callback

import (
	"context"
	"errors"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/webhook"
)

const (
	// perDelivery is the most records of one delivery, maxAge the longest a record waits for others.
	perDelivery = 100
	maxAge      = 10 * time.Second
	// perSlice and rowsPerSlice bound the records, and the rows that end, of one transaction.
	perSlice     = 1000
	rowsPerSlice = 500
	// slicesPerTurn and urlsPerTurn bound the turn of one app.
	slicesPerTurn = 10
	urlsPerTurn   = 128
)

// turn tells what is ripe of one app, for a bounded number of addresses and records. More tells that another turn may
// find more at once.
func (s *Service) turn(ctx context.Context, app *gate.App) (more bool, err error) {
	s.mu.Lock()
	after, begun := s.turns[app.ID]
	delete(s.turns, app.ID)
	s.mu.Unlock()
	progress := false
	for range urlsPerTurn {
		url, ok, err := queryURL(ctx, s.db, app.ID, after, !begun)
		if err != nil {
			return false, err
		}
		if !ok {
			return more, nil // the next turn begins with the first address again
		}
		after, begun = url, true
		told, left, err := s.flush(ctx, app, url)
		if err != nil && !errors.Is(err, errTaken) {
			return false, err
		}
		progress = progress || told > 0
		more = more || left
	}
	s.mu.Lock()
	s.turns[app.ID] = after
	s.mu.Unlock()
	return more || progress, nil
}

// flush tells what is ripe for one address. It returns how many records, and whether full deliveries and room for them
// are left.
func (s *Service) flush(ctx context.Context, app *gate.App, url string) (told int64, more bool, err error) {
	to := url
	if url == "" {
		to = app.Settings.CallbackURL
	}
	if _, err := webhook.ParseURL(to); err != nil {
		return 0, false, s.dropURL(ctx, app.ID, url) // the app has no address any more
	}
	room, err := s.hooks.Room(ctx, app.ID, to)
	if err != nil {
		return 0, false, err
	}
	defer func() {
		if told > 0 {
			s.metrics.enqueued.Add(float64(told))
			s.hooks.Wake()
		}
	}()
	var c cursor
	for range slicesPerTurn {
		if room <= 0 {
			return told, false, nil
		}
		sl, err := s.slice(ctx, app, url, room, &c)
		if err != nil || len(sl.told) == 0 && sl.begun == nil {
			return told, false, err
		}
		if err := s.commit(ctx, app.ID, to, url == "", sl); err != nil {
			return told, false, err
		}
		told += sl.records
		room -= len(sl.bodies)
		if !sl.more {
			return told, false, nil
		}
	}
	return told, room > 0, nil
}

// slice is what one transaction tells.
type slice struct {
	bodies  [][]byte
	records int64
	// told are rows that end with it. begun is a row that does not, told up to from, with waiting records left.
	told          []row
	begun         *row
	from, waiting int64
	// more: there may be another full delivery.
	more bool
}

// slice reads the oldest records for an address and writes them into at most room bodies. Bodies are full, or their
// oldest record is old enough.
func (s *Service) slice(ctx context.Context, app *gate.App, url string, room int, c *cursor) (slice, error) {
	rows, err := queryRows(ctx, s.db, app.ID, url, rowsPerSlice)
	if err != nil || len(rows) == 0 {
		return slice{}, err
	}
	ripe := clock.Millis(s.clock.Now().Add(-maxAge))
	want := min(int64(room)*perDelivery, perSlice)
	available := int64(0)
	for i := range rows {
		if available += rows[i].waiting; available >= want {
			break
		}
	}
	take := min(available, want)
	if rest := take % perDelivery; rest > 0 && !restIsRipe(rows, take-rest, ripe) {
		take -= rest
	}
	if take == 0 {
		return slice{}, nil
	}
	w := newWriter(app.Key, room)
	var out slice
	for i := range rows {
		r := &rows[i]
		told, done, err := s.tell(ctx, w, r, take-out.records, c)
		if errors.Is(err, errDevices) {
			s.log.Error("callback dropped", "app", app.ID, "message", r.msg, "err", err)
			told, done, err = 0, true, nil
		}
		if err != nil {
			return slice{}, err
		}
		out.records += told
		if !done {
			if told > 0 {
				out.begun, out.from, out.waiting = r, c.from, r.waiting-told
			}
			break
		}
		out.told = rows[:i+1]
	}
	out.more = available >= want || len(rows) == rowsPerSlice || w.full()
	out.bodies = w.finish()
	return out, nil
}

// restIsRipe tells whether the record after the first n was written before ripe.
func restIsRipe(rows []row, n, ripe int64) bool {
	for i := range rows {
		if n < rows[i].waiting {
			return rows[i].createdAt <= ripe
		}
		n -= rows[i].waiting
	}
	return false
}

// commit enqueues the bodies and takes what they tell out of the rows.
func (s *Service) commit(ctx context.Context, app int64, to string, own bool, sl slice) error {
	deliveries := make([]webhook.Delivery, len(sl.bodies))
	for i, b := range sl.bodies {
		deliveries[i] = webhook.Delivery{Kind: kind, Owner: app, URL: to, Basic: own, Body: b}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := deleteTold(ctx, tx, sl.told); err != nil {
			return err
		}
		if sl.begun != nil {
			if err := updateTold(ctx, tx, sl.begun, sl.from, sl.waiting); err != nil {
				return err
			}
		}
		return s.hooks.Enqueue(ctx, tx, deliveries...)
	})
}
