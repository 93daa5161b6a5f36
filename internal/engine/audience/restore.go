package audience

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"borealis/internal/kernel/db"
)

// header is a row of audience_snapshot.
type header struct {
	app int64
	// gen is the number of the newest complete snapshot, 0 if there is none; the fields after it are about this one.
	gen                       int64
	format, pos, parts, bytes int64
	devices, at               int64
	crc                       int64 // of these
	// last is the last number given out. It is being written if claimed, which is the time of its newest part, is not 0.
	last, claimed int64
}

const headerColumns = `app_id, gen, format, pos, parts, bytes, devices, at, crc, last, claimed_at`

func (h *header) scan(scan func(...any) error) error {
	return scan(&h.app, &h.gen, &h.format, &h.pos, &h.parts, &h.bytes, &h.devices, &h.at, &h.crc, &h.last, &h.claimed)
}

// sum is what crc has to be.
func (h *header) sum() int64 {
	return checksum(nil, h.app, h.gen, h.format, h.pos, h.parts, h.bytes, h.devices, h.at)
}

// checksum is that of data with numbers before it.
func checksum(data []byte, numbers ...int64) int64 {
	b := make([]byte, 0, 64)
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // which processors know; it is made once
	return int64(crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, data))
}

// header is that of an app; zero if it never had a snapshot.
func (x *Index) header(ctx context.Context, app int64) (h header, err error) {
	err = h.scan(x.db.QueryRow(ctx, `select `+headerColumns+` from audience_snapshot where app_id = $1`, app).Scan)
	if errors.Is(err, db.ErrNoRows) {
		err = nil
	}
	return h, err
}

// querier is a transaction, or what is read outside of one.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// covered tells whether the log holds all that came after a position. The head is read first: an entry that is committed
// between the two is then one more, and not one that is missing.
func covered(ctx context.Context, q querier, app, pos int64) (bool, error) {
	var head, next int64
	err := q.QueryRow(ctx, `select pos from audience_head where app_id = $1`, app).Scan(&head)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return false, err
	}
	err = q.QueryRow(ctx, `select pos from audience_log where app_id = $1 and pos > $2 order by pos limit 1`, app, pos).Scan(&next)
	if errors.Is(err, db.ErrNoRows) {
		return head == pos, nil
	}
	return next == pos+1, err
}

// restore builds the sets from the newest snapshot; nil if there is none, or none that can be used, and why.
func (x *Index) restore(ctx context.Context, s *state) (*sets, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for h, err := x.header(ctx, s.id); ; {
		if err != nil || h.gen == 0 || h.gen == s.spoiled.Load() {
			return nil, err
		}
		sets, err := x.restoreFrom(ctx, h)
		if err == nil {
			return sets, nil
		}
		again, headerErr := x.header(ctx, s.id)
		if headerErr != nil {
			return nil, errors.Join(err, headerErr)
		}
		if again.gen == h.gen {
			if ctx.Err() == nil {
				s.spoiled.Store(h.gen)
			}
			return nil, err
		}
		h = again // it was replaced while it was read
	}
}

func (x *Index) restoreFrom(ctx context.Context, h header) (*sets, error) {
	if h.format != snapshotFormat {
		return nil, fmt.Errorf("its format is %d", h.format)
	}
	if h.crc != h.sum() {
		return nil, errors.New("its head is damaged")
	}
	if ok, err := covered(ctx, x.db, h.app, h.pos); err != nil {
		return nil, err
	} else if !ok {
		return nil, errTrimmed
	}
	b := &assembly{sets: newSets(x.aliasLimits)}
	b.sets.pos, b.sets.gen = h.pos, h.gen
	if err := x.readTags(ctx, h.app, b.sets); err != nil {
		return nil, err
	}
	// Aliases, which come last, take as long as all the rest, and one goroutine at a time can add them.
	todo := &span{to: h.parts}
	g, ctx := errgroup.WithContext(ctx)
	for i := range max(2, min(runtime.GOMAXPROCS(0), 4)) {
		g.Go(func() error {
			for {
				from, to := todo.take(readBatch, i%2 == 1)
				if from == to {
					return nil
				}
				if err := x.readParts(ctx, h, from, to, b); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	b.finish()
	return b.sets, nil
}

// readBatch is how many parts one statement reads.
const readBatch = 64

// span is what is still to do, from one number up to another.
type span struct {
	from, to int64
	mu       sync.Mutex
}

// take takes up to n from one end; nothing is left when the two are equal.
func (s *span) take(n int64, last bool) (from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = min(n, s.to-s.from)
	if last {
		s.to -= n
		return s.to, s.to + n
	}
	s.from += n
	return s.from - n, s.from
}

// readParts reads those from one number up to another.
func (x *Index) readParts(ctx context.Context, h header, from, to int64, b *assembly) error {
	rows, err := x.db.Query(ctx, `select no, crc, data from audience_part
		where app_id = $1 and gen = $2 and no >= $3 and no < $4 order by no`, h.app, h.gen, from, to)
	if err != nil {
		return fmt.Errorf("read parts: %w", err)
	}
	var (
		p    part
		next = from
	)
	err = scan(rows, func() error {
		var (
			no, crc int64
			data    sql.RawBytes
		)
		if err := rows.Scan(&no, &crc, &data); err != nil {
			return err
		}
		if no != next {
			return fmt.Errorf("part %d is missing", next)
		}
		next++
		if checksum(data, h.app, h.gen, no) != crc {
			return fmt.Errorf("part %d: %w", no, errPart)
		}
		if err := p.read(data); err != nil {
			return fmt.Errorf("part %d: %w", no, err)
		}
		if !b.add(&p) {
			return fmt.Errorf("part %d: %w", no, errPart)
		}
		return nil
	})
	if err == nil && next != to {
		err = fmt.Errorf("part %d is missing", next)
	}
	return err
}
