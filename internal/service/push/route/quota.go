package route

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
)

// maxLevels is the largest number of marketing messages of a day that can be counted.
const maxLevels = 20

// today is the vendors' day, counted from 1970.
func (s *Service) today() int64 { return wire.ShanghaiDay(s.Clock.Now()) }

// quotas are the counts that the owner of a partition works with. They are what the database has, read once under a lease.
type quotas struct {
	mu   sync.Mutex
	days map[lineKey]*quota
}

// quota is how many messages devices got on a day: levels[i] are those that got more than i. Only the line of its channel uses it.
type quota struct {
	fence, day int64
	levels     []*roaring.Bitmap
}

// quotaOf is the count of today; the line of the channel must be the caller's.
func (s *Service) quotaOf(ctx context.Context, app int64, name wire.Name) (*quota, error) {
	fence, err := s.Leases.Fence(edgewire.Partition(app))
	if err != nil {
		return nil, err
	}
	key, day := lineKey{app, name}, s.today()
	s.quotas.mu.Lock()
	q := s.quotas.days[key]
	s.quotas.mu.Unlock()
	if q != nil && q.fence == fence && q.day == day {
		return q, nil
	}
	if q, err = s.loadQuota(ctx, app, name, day); err != nil {
		return nil, err
	}
	q.fence = fence
	s.quotas.mu.Lock()
	defer s.quotas.mu.Unlock()
	if s.quotas.days == nil {
		s.quotas.days = make(map[lineKey]*quota)
	}
	maps.DeleteFunc(s.quotas.days, func(_ lineKey, old *quota) bool { return old.day != day })
	s.quotas.days[key] = q
	return q, nil
}

// forgetQuota makes the count be read again: a transaction that changed it failed.
func (s *Service) forgetQuota(app int64, name wire.Name) {
	s.quotas.mu.Lock()
	defer s.quotas.mu.Unlock()
	delete(s.quotas.days, lineKey{app, name})
}

func newQuota(day int64) *quota {
	q := &quota{day: day, levels: make([]*roaring.Bitmap, maxLevels)}
	for i := range q.levels {
		q.levels[i] = roaring.New()
	}
	return q
}

func (s *Service) loadQuota(ctx context.Context, app int64, name wire.Name, day int64) (*quota, error) {
	q := newQuota(day)
	rows, err := s.DB.Query(ctx, `select level, bits from push_route_quota where app_id = $1 and channel = $2 and day = $3`, app, string(name), day)
	if err != nil {
		return nil, fmt.Errorf("route: read counts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			level int
			bits  []byte
			set   = roaring.New()
		)
		if err := rows.Scan(&level, &bits); err != nil {
			return nil, fmt.Errorf("route: read counts: %w", err)
		}
		if err := set.UnmarshalBinary(bits); err != nil {
			return nil, fmt.Errorf("route: read counts: %w", err)
		}
		if level >= 0 && level < maxLevels {
			q.levels[level].Or(set)
		}
	}
	return q, rows.Err()
}

// over are those of the devices that got limit messages already.
func (q *quota) over(devices *roaring.Bitmap, limit int) *roaring.Bitmap {
	return roaring.And(devices, q.levels[limit-1])
}

// take counts one more message for devices that are not over a limit below maxLevels.
func (q *quota) take(devices *roaring.Bitmap) {
	rest := devices.Clone()
	for _, level := range q.levels {
		fresh := roaring.AndNot(rest, level)
		level.Or(fresh)
		if rest.AndNot(fresh); rest.IsEmpty() {
			return
		}
	}
}

// give takes back one message of each device.
func (q *quota) give(devices *roaring.Bitmap) {
	rest := devices.Clone()
	for i := len(q.levels) - 1; i >= 0 && !rest.IsEmpty(); i-- {
		top := roaring.And(rest, q.levels[i])
		q.levels[i].AndNot(top)
		rest.AndNot(top)
	}
}

// store writes the counts of the chunks that devices are in.
func (q *quota) store(ctx context.Context, tx *db.Tx, app int64, name wire.Name, devices *roaring.Bitmap) error {
	var chunks []uint64
	for it := devices.Iterator(); it.HasNext(); {
		c := uint64(it.PeekNext()) / chunkSize
		chunks = append(chunks, c)
		if c == 1<<16-1 {
			break
		}
		it.AdvanceIfNeeded(uint32((c + 1) * chunkSize))
	}
	for level, set := range q.levels {
		if level > 0 && set.IsEmpty() && q.levels[level-1].IsEmpty() {
			break
		}
		for _, c := range chunks {
			window := roaring.New()
			window.AddRange(c*chunkSize, (c+1)*chunkSize)
			window.And(set)
			bits, err := window.ToBytes()
			if err != nil {
				return fmt.Errorf("route: encode counts: %w", err)
			}
			_, err = tx.Exec(ctx, `insert into push_route_quota (app_id, channel, day, level, chunk, bits) values ($1, $2, $3, $4, $5, $6)
				on conflict (app_id, channel, day, level, chunk) do update set bits = excluded.bits`, app, string(name), q.day, level, int64(c), bits)
			if err != nil {
				return fmt.Errorf("route: store counts: %w", err)
			}
		}
	}
	return nil
}
