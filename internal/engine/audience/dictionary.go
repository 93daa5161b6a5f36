package audience

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
)

// MaxTags is how many tag names an app can have.
const MaxTags = 100_000

// ErrTooManyTags is returned for a new tag name when the app has MaxTags already.
var ErrTooManyTags = errors.New("audience: the app has as many tag names as it can have")

const (
	// dropBatch is how many tags one transaction of Maintain drops, and maxDrops how many transactions follow each other.
	dropBatch = 100
	maxDrops  = 100
)

// room checks that the dictionary can take those of the names that were not found. It counts only in apps that have
// given out as many ids as there can be names, because counting reads the whole dictionary.
func (x *Index) room(ctx context.Context, tx *db.Tx, app int64, names []string, found map[string]uint32) error {
	fresh := make(map[string]struct{})
	for _, n := range names {
		if _, ok := found[n]; !ok {
			fresh[n] = struct{}{}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	var next int64
	err := tx.QueryRow(ctx, `select next_tag from audience_head where app_id = $1`, app).Scan(&next)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return fmt.Errorf("audience: number of tag: %w", err)
	}
	if next-1+int64(len(fresh)) <= int64(x.maxTags) {
		return nil
	}
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from audience_tag where app_id = $1`, app).Scan(&n); err != nil {
		return fmt.Errorf("audience: count tags: %w", err)
	}
	if n+len(fresh) > x.maxTags {
		return ErrTooManyTags
	}
	return nil
}

// dropUnused drops tags that no known device has, if the app is loaded here and its dictionary is more than half full.
// A device that is given such a tag later defines it anew.
func (x *Index) dropUnused(ctx context.Context, app int64) error {
	for range maxDrops {
		s := x.loaded(app)
		if s == nil {
			return nil
		}
		pos, unused := s.unusedTags(x.maxTags/2, dropBatch)
		if len(unused) == 0 {
			return nil
		}
		err := x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := x.Lock(ctx, tx, app); err != nil {
				return err
			}
			used, err := x.addedSince(ctx, tx, app, pos)
			if err != nil {
				return err
			}
			var entries []logged
			for id, name := range unused {
				if used[id] {
					continue
				}
				n, err := tx.Exec(ctx, `delete from audience_tag where app_id = $1 and id = $2`, app, int64(id))
				if err != nil {
					return err
				}
				if n > 0 {
					entries = append(entries, logged{entry: entry{kind: tagDropped, tag: id, name: name}})
				}
			}
			return x.append(ctx, tx, app, entries...)
		})
		if errors.Is(err, errTrimmed) {
			return nil // too far behind to tell; the next round can
		}
		if err != nil {
			return err
		}
		x.Follow(ctx, app)
	}
	return nil
}

// unusedTags are up to limit tags without devices, if there are more tags than enough; pos is the position of the log
// they were seen at.
func (s *state) unusedTags(enough, limit int) (pos int64, unused map[uint32]string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.sets.tags) <= enough {
		return s.sets.pos, nil
	}
	unused = make(map[uint32]string)
	for id, t := range s.sets.tags {
		if t.set.n == 0 {
			unused[id] = t.name
			if len(unused) == limit {
				break
			}
		}
	}
	return s.sets.pos, unused
}

// addedSince are the tags that entries after pos give to devices. The transaction holds Lock, so there are no later
// ones; errTrimmed says that they are not all there, or more than a batch.
func (x *Index) addedSince(ctx context.Context, tx *db.Tx, app, pos int64) (map[uint32]bool, error) {
	var head int64
	if err := tx.QueryRow(ctx, `select pos from audience_head where app_id = $1`, app).Scan(&head); err != nil {
		return nil, err
	}
	if head-pos > followBatch {
		return nil, errTrimmed
	}
	rows, err := tx.Query(ctx, `select change from audience_log where app_id = $1 and pos > $2 order by pos`, app, pos)
	if err != nil {
		return nil, err
	}
	added := make(map[uint32]bool)
	err = scan(rows, func() error {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return err
		}
		e, err := decodeEntry(data)
		if err != nil {
			return err
		}
		pos++
		for _, id := range e.added {
			added[id] = true
		}
		return nil
	})
	if err == nil && pos != head {
		err = errTrimmed
	}
	return added, err
}
