package push

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/lease"
)

const (
	// One answer to an edge holds at most so many frames and about so many bytes; the edge asks again for the rest.
	owedFrames = 200
	owedBytes  = 1 << 20
)

// due is one message a device is owed.
type due struct {
	*message
	frame    []byte // of a wide message
	platform audience.Platform
	wide     *wide
}

// Owed answers what a device is owed, oldest first. Right after CONNECT the newest N of the app's setting are chosen
// and older ones are settled as displaced. A device that has switched push off is told only what to take off its screen.
func (s *Service) Owed(ctx context.Context, r edgewire.OwedRequest) (edgewire.Owed, error) {
	app := s.gate.AppByID(r.App)
	if app == nil {
		return edgewire.Owed{}, fmt.Errorf("push: owed: no app %d", r.App)
	}
	own := s.ownership(edgewire.Partition(r.App))
	if own == nil {
		return edgewire.Owed{}, lease.ErrLost
	}
	keep := app.Settings.OfflineMessages
	choose := !r.Reload && keep > 0
	rowLimit := owedFrames + 1
	if choose {
		rowLimit = keep + 1
	}
	now := clock.Millis(s.clock.Now())
	list, err := s.owedRows(ctx, r, true, now, choose, rowLimit)
	if err != nil {
		return edgewire.Owed{}, err
	}
	orders, err := s.owedRows(ctx, r, false, now, false, owedFrames+1)
	if err != nil {
		return edgewire.Owed{}, err
	}
	if err := s.loadRecentWides(ctx, r.App, now); err != nil {
		return edgewire.Owed{}, err
	}
	off, err := s.switchedOff(ctx, r.App, r.Ordinal)
	if err != nil {
		return edgewire.Owed{}, err
	}
	wides := s.owedWides(r.App, r.Ordinal, now, r.Reload)
	isOrder := func(d due) bool { return d.Kind != kindPush }
	list = mergeByAge(list, slices.DeleteFunc(slices.Clone(wides), isOrder))
	orders = mergeByAge(orders, slices.DeleteFunc(wides, func(d due) bool { return !isOrder(d) }))
	if off {
		list, choose = nil, false
	}
	if choose && len(list) > keep {
		displaced := list[:len(list)-keep]
		list = list[len(list)-keep:]
		if err := s.displace(ctx, r.App, r.Ordinal, list[0].message, displaced, now); err != nil {
			return edgewire.Owed{}, err
		}
	}
	out, err := s.frames(ctx, mergeByAge(list, orders))
	if err == nil && (s.ownership(edgewire.Partition(r.App)) != own || !s.owns(r.App)) {
		// The partition went away meanwhile, and with it what was in memory: the answer may be short.
		err = lease.ErrLost
	}
	return out, err
}

// switchedOff tells whether a device takes no pushes. That one which is connected is not in audiences can also mean that this
// node has not heard of its joining yet, so that is asked before it is believed.
func (s *Service) switchedOff(ctx context.Context, app int64, ordinal uint32) (bool, error) {
	if s.audience.Joined(app, ordinal) {
		return false, nil
	}
	if err := s.audience.Sync(ctx, app); err != nil {
		return false, fmt.Errorf("push: audience: %w", err)
	}
	return !s.audience.Joined(app, ordinal), nil
}

// owedRows lists what the rows of pushes, or of messages of the other kinds, owe a device, oldest first: the newest if they are chosen.
func (s *Service) owedRows(ctx context.Context, r edgewire.OwedRequest, pushes bool, now int64, newest bool, limit int) ([]due, error) {
	rows, err := queryOwedRows(ctx, s.db, r.App, r.Ordinal, pushes, now, r.Reload, newest, limit)
	if err != nil {
		return nil, err
	}
	list := make([]due, 0, len(rows))
	for _, row := range rows {
		list = append(list, due{message: &row.message, platform: row.platform})
	}
	if newest { // newest first from the database
		slices.Reverse(list)
	}
	return list, nil
}

// owns tells whether the lease of the app's partition is still this node's.
func (s *Service) owns(app int64) bool {
	_, err := s.leases.Fence(edgewire.Partition(app))
	return err == nil
}

// recentWides is how far back a wide message may be unknown here although it was accepted: its notice is on the way, or lost
// until the next rescan.
const recentWides = time.Minute

// loadRecentWides makes sure that the wide messages committed before this call are in memory. Without it a device that
// connects between the commit on another node and the notice here would miss one.
func (s *Service) loadRecentWides(ctx context.Context, app, now int64) error {
	ids, err := queryWidesSince(ctx, s.db, app, now-recentWides.Milliseconds())
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := s.wideOf(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// owedWides lists the live wide messages owed to a device, oldest first.
func (s *Service) owedWides(app int64, ordinal uint32, now int64, withOnlineOnly bool) []due {
	var out []due
	for _, w := range s.liveWides(app) {
		if w.ExpiresAt <= now || w.OnlineOnly && !withOnlineOnly {
			continue
		}
		w.mu.RLock()
		frame, owes := w.owes(ordinal, now)
		w.mu.RUnlock()
		if owes {
			out = append(out, due{message: &w.message, frame: frame, wide: w})
		}
	}
	return out
}

// mergeByAge merges two lists that are in order of acceptance.
func mergeByAge(a, b []due) []due {
	if len(b) == 0 {
		return a
	}
	out := make([]due, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].older(b[0].message) {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// displace settles what is older than the oldest message kept.
func (s *Service) displace(ctx context.Context, app int64, ordinal uint32, oldest *message, displaced []due, now int64) error {
	marks := make([]mark, 0, len(displaced))
	for _, d := range displaced {
		if d.wide != nil {
			marks = append(marks, mark{msg: d.ID, stage: failed(Overflow), set: roaring.BitmapOf(ordinal)})
		}
	}
	if len(marks) < len(displaced) { // there are rows, and there may be more than were read
		err := s.asOwner(ctx, app, func(ctx context.Context, tx *db.Tx) error {
			ids, err := displaceRows(ctx, tx, app, ordinal, oldest, now)
			rows := make(map[int64][]uint32, len(ids))
			for _, id := range ids {
				rows[id] = []uint32{ordinal}
			}
			if err != nil {
				return err
			}
			return s.endedIn(ctx, tx, app, rows, Overflow, now)
		})
		if err != nil {
			return err
		}
	}
	if len(marks) == 0 {
		return nil
	}
	return s.merge(ctx, app, marks)
}

// frames renders the messages within the limits of one answer.
func (s *Service) frames(ctx context.Context, list []due) (edgewire.Owed, error) {
	var (
		out  edgewire.Owed
		size int
	)
	for _, d := range list {
		if len(out.Frames) == owedFrames {
			out.More = true
			break
		}
		frame := d.frame
		if d.wide == nil {
			m, err := queryMessage(ctx, s.db, d.ID)
			if err == nil && m != nil {
				frame, err = m.content(d.platform)
			}
			if err != nil {
				return out, fmt.Errorf("push: content of message %d: %w", d.ID, err)
			}
			if frame == nil {
				continue // deleted meanwhile
			}
		}
		if size > 0 && size+len(frame) > owedBytes {
			out.More = true
			break
		}
		size += len(frame)
		out.Frames = append(out.Frames, edgewire.Frame{Msg: d.ID, Payload: frame, Expires: d.ExpiresAt, Wide: d.Wide})
	}
	return out, nil
}
