package stat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
)

// class is what the sets of one chunk of devices have in common over all buckets.
type class struct {
	app      int64
	platform audience.Platform
	metric   metric
	chunk    uint32
}

func (c class) compare(d class) int {
	return cmp.Or(cmp.Compare(c.app, d.app), cmp.Compare(c.platform, d.platform), cmp.Compare(c.metric, d.metric), cmp.Compare(c.chunk, d.chunk))
}

// sightings are devices by class and hour.
type sightings map[class]map[int64]*roaring.Bitmap

// chunkSize is how many ordinals a row is of.
const chunkSize = 1 << 16

// add notes that devices were seen in an hour.
func (s sightings) add(app int64, p audience.Platform, m metric, hour int64, devices *roaring.Bitmap) {
	for rest := devices; !rest.IsEmpty(); {
		chunk := rest.Minimum() / chunkSize
		window := roaring.New()
		window.AddRange(uint64(chunk)*chunkSize, uint64(chunk+1)*chunkSize)
		c := class{app, p, m, chunk}
		if s[c] == nil {
			s[c] = make(map[int64]*roaring.Bitmap)
		}
		union(s[c], hour, roaring.And(rest, window))
		rest = roaring.AndNot(rest, window)
	}
}

func union(into map[int64]*roaring.Bitmap, bucket int64, set *roaring.Bitmap) {
	if have := into[bucket]; have != nil {
		have.Or(set)
		return
	}
	into[bucket] = set
}

// write adds the devices to the sets of their hours; who is new there goes on to the day, and from there to the month.
// Rows are taken in the same order by everybody. The sightings stay as they are.
func (s sightings) write(ctx context.Context, tx *db.Tx, now time.Time) error {
	for _, c := range slices.SortedFunc(maps.Keys(s), class.compare) {
		level := s[c]
		for _, u := range units {
			above := make(map[int64]*roaring.Bitmap)
			for _, bucket := range slices.Sorted(maps.Keys(level)) {
				fresh := level[bucket].Clone()
				if bucket >= u.openFrom(now) {
					var err error
					if fresh, err = extend(ctx, tx, c, u, bucket, fresh); err != nil {
						return err
					}
				}
				if !fresh.IsEmpty() {
					union(above, larger(bucket), fresh)
				}
			}
			level = above
		}
	}
	return nil
}

// maxRaces bounds the attempts at a row that other nodes change meanwhile.
const maxRaces = 20

var errRace = errors.New("stat: a set is changed by too many at once")

// extend adds devices to a stored set and returns those that were not in it. Because sets only grow, one that still has
// as many members as when it was read is the same.
func extend(ctx context.Context, tx *db.Tx, c class, u unit, bucket int64, devices *roaring.Bitmap) (*roaring.Bitmap, error) {
	for range maxRaces {
		have, err := readSet(ctx, tx, c, u, bucket)
		if err != nil {
			return nil, err
		}
		fresh := devices
		if have != nil {
			fresh = roaring.AndNot(devices, have)
		}
		if fresh.IsEmpty() {
			return fresh, nil
		}
		done, err := replaceSet(ctx, tx, c, u, bucket, have, fresh)
		if err != nil {
			return nil, err
		}
		if done {
			return fresh, nil
		}
	}
	return nil, errRace
}

// readSet reads a stored set; nil: there is none.
func readSet(ctx context.Context, tx *db.Tx, c class, u unit, bucket int64) (*roaring.Bitmap, error) {
	var bits []byte
	err := tx.QueryRow(ctx, `select bits from stat_set where app_id = $1 and unit = $2 and bucket = $3 and platform = $4 and metric = $5 and chunk = $6`,
		c.app, int64(u), bucket, int64(c.platform), int64(c.metric), int64(c.chunk)).Scan(&bits)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stat: read set: %w", err)
	}
	set := roaring.New()
	if err := set.UnmarshalBinary(bits); err != nil {
		return nil, fmt.Errorf("stat: stored set: %w", err)
	}
	return set, nil
}

// replaceSet stores have with fresh added, if have is still what is stored.
func replaceSet(ctx context.Context, tx *db.Tx, c class, u unit, bucket int64, have, fresh *roaring.Bitmap) (done bool, err error) {
	all, before := fresh, uint64(0)
	if have != nil {
		before = have.GetCardinality()
		all = roaring.Or(have, fresh)
	}
	all.RunOptimize()
	bits, err := all.ToBytes()
	if err != nil {
		return false, fmt.Errorf("stat: encode set: %w", err)
	}
	args := []any{c.app, int64(u), bucket, int64(c.platform), int64(c.metric), int64(c.chunk), int64(all.GetCardinality()), bits}
	query := `insert into stat_set (app_id, unit, bucket, platform, metric, chunk, n, bits) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (app_id, unit, bucket, platform, metric, chunk) do nothing`
	if have != nil {
		query = `update stat_set set n = $7, bits = $8
			where app_id = $1 and unit = $2 and bucket = $3 and platform = $4 and metric = $5 and chunk = $6 and n = $9`
		args = append(args, int64(before))
	}
	n, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return false, fmt.Errorf("stat: store set: %w", err)
	}
	return n > 0, nil
}
