package audience

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
)

// Stat says how large an app's sets are, and what a start would find of them.
type Stat struct {
	// Devices known, and of these joined. Tags with or without devices. Aliases that somebody has.
	Devices, Joined, Tags, Aliases int
	// Pos is the position of the log up to which changes are contained.
	Pos int64
	// FromSnapshot says whether the sets were loaded from a snapshot, or else from the device rows.
	FromSnapshot bool
	// Snapshot is the newest complete one, nil if there is none.
	Snapshot *SnapshotStat
}

// SnapshotStat is about one snapshot.
type SnapshotStat struct {
	// Pos is the position of the log from which a start follows it.
	Pos int64
	// Parts are the rows it takes, Bytes the sum of what is in them.
	Parts, Bytes int64
	// At is when it was completed.
	At time.Time
}

// Stat loads the sets if need be. It takes milliseconds for millions of devices.
func (x *Index) Stat(ctx context.Context, app int64) (Stat, error) {
	if err := x.Sync(ctx, app); err != nil {
		return Stat{}, err
	}
	h, err := x.header(ctx, app)
	if err != nil {
		return Stat{}, fmt.Errorf("audience: read snapshot of app %d: %w", app, err)
	}
	s := x.state(app)
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := Stat{
		Devices: s.sets.known, Joined: int(s.sets.joined.n), Tags: len(s.sets.tags), Aliases: s.sets.aliases.count(),
		Pos: s.sets.pos, FromSnapshot: s.sets.gen != 0,
	}
	if h.gen != 0 {
		out.Snapshot = &SnapshotStat{Pos: h.pos, Parts: h.parts, Bytes: h.bytes, At: clock.FromMillis(h.at)}
	}
	return out, nil
}
