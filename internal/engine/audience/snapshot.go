package audience

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// snapshotRules say when a snapshot is written, and how.
type snapshotRules struct {
	// devices is the size from which an app has snapshots; the rows of a smaller one are read as fast.
	devices int
	// growth is the number of entries after which a snapshot is written anew; more in apps with more than growthShare
	// times as many devices, because the cost of writing grows with them.
	growth int64
	// age is the time after which it is written anew if there is any new entry.
	age time.Duration
	// keep is how many entries after the newest snapshot are kept. A snapshot is written long before there are so many,
	// unless no node uses the app.
	keep int64
	// part is the size from which a part has enough pieces, in bytes.
	part int
}

const growthShare = 40

func defaultSnapshotRules() snapshotRules {
	return snapshotRules{devices: 20_000, growth: 50_000, age: 24 * time.Hour, keep: 2_000_000, part: 64 << 10}
}

const (
	// claimFor is how long a node that stopped writing a snapshot keeps others from it.
	claimFor = 2 * time.Minute
	// pruneBatch is how many parts of old snapshots one transaction deletes.
	pruneBatch = 16
)

var (
	// errClaimed says that another node is writing a snapshot, or has taken over this one's place.
	errClaimed = errors.New("another node writes a snapshot")
	// errReloaded says that the sets were loaded again while they were copied.
	errReloaded = errors.New("the sets were loaded again")
)

// due tells whether this node should write a snapshot of an app that is loaded here.
func (x *Index) due(ctx context.Context, s *state, h header) (bool, error) {
	s.mu.RLock()
	known, pos := s.sets.known, s.sets.pos
	s.mu.RUnlock()
	switch {
	case h.gen == 0:
		return known >= x.snap.devices, nil
	case h.format != snapshotFormat, h.gen == s.spoiled.Load():
		return true, nil
	}
	if ok, err := covered(ctx, x.db, s.id, h.pos); err != nil || !ok {
		return err == nil, err
	}
	grown := pos - h.pos
	return grown > 0 && (grown >= max(x.snap.growth, int64(known/growthShare)) ||
		x.clock.Now().Sub(clock.FromMillis(h.at)) >= x.snap.age), nil
}

// writeSnapshot writes one and deletes the one before.
func (x *Index) writeSnapshot(ctx context.Context, s *state) error {
	began := x.clock.Now()
	w, err := x.beginSnapshot(ctx, s)
	if err != nil {
		return err
	}
	for done := false; !done; {
		//nolint:forbidigo // a measure of this goroutine's own pace, not a time of the domain
		start := time.Now()
		if done, err = w.step(ctx); err != nil {
			return errors.Join(err, w.abandon(ctx))
		}
		//nolint:forbidigo // see above
		if err := pause(ctx, time.Since(start)); err != nil { // at most half of the writer's time
			return err
		}
	}
	x.log.Info("audience snapshot written", "app", s.id, "devices", w.devices, "bytes", w.bytes, "took", x.clock.Now().Sub(began))
	return x.prune(ctx, s.id)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// snapshot is one that is being written. A crash after any step leaves the one before as it is.
type snapshot struct {
	x       *Index
	s       *state
	from    *collector
	gen     int64
	pos     int64
	devices int
	parts   int64
	bytes   int64
	buf     []byte
}

// beginSnapshot claims the right to write the next snapshot of an app that is loaded; errClaimed: another node has it.
func (x *Index) beginSnapshot(ctx context.Context, s *state) (*snapshot, error) {
	now := x.clock.Now()
	stale := clock.Millis(now.Add(-claimFor))
	if x.alone { // nobody else is there, and this process writes one at a time
		stale = math.MaxInt64
	}
	w := &snapshot{x: x, s: s}
	err := x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return tx.QueryRow(ctx, `insert into audience_snapshot (`+headerColumns+`) values ($1, 0, 0, 0, 0, 0, 0, 0, 0, 1, $2)
			on conflict (app_id) do update set last = audience_snapshot.last + 1, claimed_at = $2
			where audience_snapshot.claimed_at = 0 or audience_snapshot.claimed_at < $3 returning last`,
			s.id, clock.Millis(now), stale).Scan(&w.gen)
	})
	if errors.Is(err, db.ErrNoRows) {
		return nil, errClaimed
	}
	if err != nil {
		return nil, fmt.Errorf("claim snapshot: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	w.from, w.pos = newCollector(s.sets)
	w.devices = s.sets.known
	return w, nil
}

// step writes the next part, or completes the snapshot when there is none.
func (w *snapshot) step(ctx context.Context) (done bool, err error) {
	w.s.mu.RLock()
	same := w.s.sets == w.from.sets
	if same {
		w.buf = w.from.collect(w.buf[:0], w.x.snap.part)
	}
	w.s.mu.RUnlock()
	if !same {
		return false, errReloaded
	}
	if len(w.buf) == 0 {
		return true, w.complete(ctx)
	}
	now := clock.Millis(w.x.clock.Now())
	err = w.x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update audience_snapshot set claimed_at = $3 where app_id = $1 and last = $2 and claimed_at > 0`, w.s.id, w.gen, now)
		if err != nil {
			return err
		}
		if n == 0 {
			return errClaimed
		}
		_, err = tx.Exec(ctx, `insert into audience_part (app_id, gen, no, crc, data) values ($1, $2, $3, $4, $5)`,
			w.s.id, w.gen, w.parts, checksum(w.buf, w.s.id, w.gen, w.parts), w.buf)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("write part %d: %w", w.parts, err)
	}
	w.parts++
	w.bytes += int64(len(w.buf))
	return false, nil
}

func (w *snapshot) complete(ctx context.Context) error {
	h := header{
		app: w.s.id, gen: w.gen, format: snapshotFormat, pos: w.pos, parts: w.parts, bytes: w.bytes, devices: int64(w.devices),
		at: clock.Millis(w.x.clock.Now()),
	}
	err := w.x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		ok, err := covered(ctx, tx, w.s.id, w.pos)
		if err != nil {
			return err
		}
		if !ok {
			return errTrimmed
		}
		n, err := tx.Exec(ctx, `update audience_snapshot set gen = $2, format = $3, pos = $4, parts = $5, bytes = $6, devices = $7, at = $8, crc = $9,
			claimed_at = 0 where app_id = $1 and last = $2 and claimed_at > 0`,
			h.app, h.gen, h.format, h.pos, h.parts, h.bytes, h.devices, h.at, h.sum())
		if err == nil && n == 0 {
			err = errClaimed
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("complete snapshot: %w", err)
	}
	return nil
}

// abandon gives the claim back. If it cannot, who claims next waits for a while.
func (w *snapshot) abandon(ctx context.Context) error {
	return w.x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `update audience_snapshot set claimed_at = 0 where app_id = $1 and last = $2`, w.s.id, w.gen)
		return err
	})
}

// prune deletes the parts of snapshots that neither are the newest complete one nor are being written.
func (x *Index) prune(ctx context.Context, app int64) error {
	for more := true; more; {
		err := x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			var gen, last, claimed int64
			// The update locks the row, so that nobody claims meanwhile.
			err := tx.QueryRow(ctx, `update audience_snapshot set last = last where app_id = $1 returning gen, last, claimed_at`,
				app).Scan(&gen, &last, &claimed)
			if more = err == nil; !more {
				if errors.Is(err, db.ErrNoRows) {
					err = nil
				}
				return err
			}
			if claimed == 0 {
				last = gen
			}
			more, err = x.pruneSome(ctx, tx, app, gen, last)
			return err
		})
		if err != nil {
			return fmt.Errorf("delete old snapshot: %w", err)
		}
	}
	return nil
}

// pruneSome deletes a batch of parts, of one snapshot that is neither gen nor last.
func (x *Index) pruneSome(ctx context.Context, tx *db.Tx, app, gen, last int64) (more bool, err error) {
	var old, first int64
	err = tx.QueryRow(ctx, `select gen, no from audience_part where app_id = $1 and gen <> $2 and gen <> $3 order by gen, no limit 1`,
		app, gen, last).Scan(&old, &first)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `delete from audience_part where app_id = $1 and gen = $2 and no < $3`, app, old, first+pruneBatch)
	return true, err
}

// snapshotOf writes a snapshot if one is due; otherwise it deletes what others left behind.
func (x *Index) snapshotOf(ctx context.Context, s *state, h header) error {
	due, err := x.due(ctx, s, h)
	if err != nil {
		return err
	}
	if due {
		return x.writeSnapshot(ctx, s)
	}
	for _, other := range []string{`gen < $2`, `gen > $2`} {
		gen, err := x.position(ctx, `select gen from audience_part where app_id = $1 and `+other+` limit 1`, s.id, h.gen)
		if err != nil {
			return err
		}
		if gen != 0 {
			return x.prune(ctx, s.id)
		}
	}
	return nil
}

// headers are those of all apps.
func (x *Index) headers(ctx context.Context) (map[int64]header, error) {
	rows, err := x.db.Query(ctx, `select `+headerColumns+` from audience_snapshot`)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]header)
	err = scan(rows, func() error {
		var h header
		err := h.scan(rows.Scan)
		out[h.app] = h
		return err
	})
	return out, err
}

// snapshots writes those that are due, of the apps that are loaded here, one after the other. An app whose snapshot
// fails does not keep others from theirs.
func (x *Index) snapshots(ctx context.Context) error {
	headers, err := x.headers(ctx)
	if err != nil {
		return fmt.Errorf("audience: read snapshots: %w", err)
	}
	apps := x.loadedApps()
	slices.Sort(apps)
	var errs []error
	for _, app := range apps {
		s := x.loaded(app)
		if s == nil {
			continue
		}
		err := x.snapshotOf(ctx, s, headers[app])
		if err != nil && !errors.Is(err, errClaimed) && !errors.Is(err, errReloaded) {
			errs = append(errs, fmt.Errorf("audience: snapshot of app %d: %w", app, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}
