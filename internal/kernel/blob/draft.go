package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Draft is a blob that has been read and is not complete yet. Commit or Discard it.
type Draft struct {
	store *Store
	id    int64 // 0: nothing is in the database yet
	next  int64 // number of the next chunk
	rest  []byte
	size  int64
	sum   [sha256.Size]byte
}

// Put reads r to its end, at most limit bytes, and writes all but the last piece to the database. An error of r is
// returned as it is; after any error nothing stays behind. Errors: ErrTooLarge.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (*Draft, error) {
	d := &Draft{store: s}
	if err := d.receive(ctx, r, limit); err != nil {
		d.Discard(ctx)
		return nil, err
	}
	return d, nil
}

func (d *Draft) receive(ctx context.Context, r io.Reader, limit int64) error {
	sum := sha256.New()
	buf := make([]byte, chunkSize)
	for {
		n, err := fill(r, buf)
		d.size += int64(n)
		_, _ = sum.Write(buf[:n]) // never fails, by its documentation
		switch {
		case d.size > limit:
			return ErrTooLarge
		case err == nil:
			if err := d.write(ctx, buf); err != nil {
				return err
			}
		case errors.Is(err, io.EOF):
			d.rest = buf[:n:n]
			sum.Sum(d.sum[:0])
			return nil
		default:
			return err
		}
	}
}

// fill is io.ReadFull that tells the end of r from a reader that fails with io.ErrUnexpectedEOF, as a broken body does.
// err is nil if and only if buf is full.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if n == len(buf) {
		err = nil
	}
	return n, err
}

// write adds a chunk, in a transaction of its own.
func (d *Draft) write(ctx context.Context, chunk []byte) error {
	var id int64
	err := d.store.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if id, err = d.touch(ctx, tx, writing); err != nil {
			return err
		}
		return d.insert(ctx, tx, id, chunk)
	})
	if err != nil {
		return err
	}
	d.id = id
	d.next++
	return nil
}

// touch makes or updates the row of the blob and returns its id.
func (d *Draft) touch(ctx context.Context, tx *db.Tx, state int) (id int64, err error) {
	now := clock.Millis(d.store.clock.Now())
	if d.id == 0 {
		err = tx.QueryRow(ctx, `insert into blob_blob (state, size, sha256, touched_at) values ($1, $2, $3, $4) returning id`,
			state, d.size, d.sum[:], now).Scan(&id)
	} else {
		err = tx.QueryRow(ctx, `update blob_blob set state = $1, size = $2, sha256 = $3, touched_at = $4 where id = $5 and state = $6 returning id`,
			state, d.size, d.sum[:], now, d.id, writing).Scan(&id)
		if errors.Is(err, db.ErrNoRows) {
			err = errors.New("the draft was swept")
		}
	}
	if err != nil {
		return 0, fmt.Errorf("blob: write: %w", err)
	}
	return id, nil
}

func (d *Draft) insert(ctx context.Context, tx *db.Tx, id int64, chunk []byte) error {
	if _, err := tx.Exec(ctx, `insert into blob_chunk (blob_id, no, data) values ($1, $2, $3)`, id, d.next, chunk); err != nil {
		return fmt.Errorf("blob: write: %w", err)
	}
	return nil
}

// Size in bytes.
func (d *Draft) Size() int64 { return d.size }

// SHA256 of the bytes.
func (d *Draft) SHA256() [sha256.Size]byte { return d.sum }

// Commit completes the blob in the caller's transaction and returns its id. It may run again in a transaction that is
// run again.
func (d *Draft) Commit(ctx context.Context, tx *db.Tx) (id int64, err error) {
	if id, err = d.touch(ctx, tx, complete); err != nil {
		return 0, err
	}
	if len(d.rest) > 0 {
		err = d.insert(ctx, tx, id, d.rest)
	}
	return id, err
}

// discardTime bounds Discard: the sweep does what it cannot.
const discardTime = 10 * time.Second

// Discard removes what the draft wrote, also when ctx has ended. A draft that was committed stays: calling it after a
// transaction whose outcome is unknown is right.
func (d *Draft) Discard(ctx context.Context) {
	if d.id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTime)
	defer cancel()
	mine := false
	err := d.store.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update blob_blob set state = $1 where id = $2 and state = $3`, gone, d.id, writing)
		mine = n > 0
		return err
	})
	if err == nil && mine {
		err = d.store.remove(ctx, d.id)
	}
	if err != nil {
		d.store.log.Warn("draft of a blob not removed yet", "err", err)
	}
}
