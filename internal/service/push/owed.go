package push

import (
	"context"
	"fmt"
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
// and older ones are settled as displaced.
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
	rows, err := queryOwedRows(ctx, s.db, r.App, r.Ordinal, now, r.Reload, choose, rowLimit)
	if err != nil {
		return edgewire.Owed{}, err
	}
	list := make([]due, 0, len(rows))
	for _, row := range rows {
		list = append(list, due{message: &row.message, platform: row.platform})
	}
	if choose { // newest first from the database
		reverse(list)
	}
	if err := s.loadRecentWides(ctx, r.App, now); err != nil {
		return edgewire.Owed{}, err
	}
	list = mergeByAge(list, s.owedWides(r.App, r.Ordinal, now, r.Reload))
	if choose && len(list) > keep {
		displaced := list[:len(list)-keep]
		list = list[len(list)-keep:]
		if err := s.displace(ctx, r.App, r.Ordinal, list[0].message, displaced, now); err != nil {
			return edgewire.Owed{}, err
		}
	}
	out, err := s.frames(ctx, list)
	if err == nil && (s.ownership(edgewire.Partition(r.App)) != own || !s.owns(r.App)) {
		// The partition went away meanwhile, and with it what was in memory: the answer may be short.
		err = lease.ErrLost
	}
	return out, err
}

// owns tells whether the lease of the app's partition is still this node's.
func (s *Service) owns(app int64) bool {
	_, err := s.leases.Fence(edgewire.Partition(app))
	return err == nil
}

func reverse(list []due) {
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
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
		err := s.settleRows(ctx, app, func(ctx context.Context, tx *db.Tx) (int64, error) {
			return displaceRows(ctx, tx, app, ordinal, oldest, now)
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
