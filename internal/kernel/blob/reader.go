package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"

	"borealis/internal/kernel/db"
)

// Reader reads a blob chunk by chunk, each with a query of its own, so that a slow consumer holds no transaction. It is
// an io.ReadCloser.
type Reader struct {
	store *Store
	ctx   context.Context
	info  Info

	hash  hash.Hash
	next  int64 // number of the next chunk
	read  int64 // bytes of the chunks read
	chunk []byte
	err   error // sticky
}

// Info describes what is read.
func (r *Reader) Info() Info { return r.info }

// Read is part of io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.chunk) == 0 && r.err == nil {
		r.err = r.fill()
	}
	if len(r.chunk) == 0 {
		return 0, r.err
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// fill gets the next chunk; io.EOF after the last one.
func (r *Reader) fill() error {
	if r.read == r.info.Size {
		if !bytes.Equal(r.hash.Sum(nil), r.info.SHA256[:]) {
			return ErrDamaged
		}
		return io.EOF
	}
	err := r.store.db.QueryRow(r.ctx, `select data from blob_chunk where blob_id = $1 and no = $2`, r.info.ID, r.next).Scan(&r.chunk)
	switch {
	case errors.Is(err, db.ErrNoRows):
		if _, err := r.store.Stat(r.ctx, r.info.ID); err != nil {
			return err
		}
		return ErrDamaged
	case err != nil:
		return fmt.Errorf("blob: read: %w", err)
	}
	r.next++
	r.read += int64(len(r.chunk))
	if len(r.chunk) == 0 || r.read > r.info.Size {
		r.chunk = nil
		return ErrDamaged
	}
	_, _ = r.hash.Write(r.chunk) // never fails, by its documentation
	return nil
}

// Close is part of io.Closer. It always returns nil.
func (r *Reader) Close() error {
	r.chunk, r.err = nil, io.ErrClosedPipe
	return nil
}
