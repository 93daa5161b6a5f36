package blob

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"log/slog"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

// Errors of the store.
var (
	// ErrNotFound says that there is no such blob: it never was complete, or it was deleted.
	ErrNotFound = errors.New("blob: not found")
	// ErrTooLarge says that there was more to read than the limit of Put.
	ErrTooLarge = errors.New("blob: too large")
	// ErrDamaged says that the bytes are not those that were put.
	ErrDamaged = errors.New("blob: damaged")
)

// chunkSize is the number of bytes in a row, and in the memory of one Put or one reader.
const chunkSize = 256 << 10

// The states of a blob.
const (
	writing  = 1
	complete = 2
	gone     = 3
)

// Store keeps blobs. It is safe for concurrent use.
type Store struct {
	db    *db.DB
	clock clock.Clock
	log   *slog.Logger
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "blob", migrations) }

// New returns the store. Run removes what is left over.
func New(d *db.DB, c clock.Clock, log *slog.Logger) *Store { return &Store{db: d, clock: c, log: log} }

// Info describes a complete blob.
type Info struct {
	ID int64
	// Size in bytes.
	Size   int64
	SHA256 [sha256.Size]byte
}

// Stat describes a blob. Errors: ErrNotFound.
func (s *Store) Stat(ctx context.Context, id int64) (Info, error) {
	info := Info{ID: id}
	var sum []byte
	err := s.db.QueryRow(ctx, `select size, sha256 from blob_blob where id = $1 and state = $2`, id, complete).Scan(&info.Size, &sum)
	if errors.Is(err, db.ErrNoRows) {
		return Info{}, ErrNotFound
	}
	if err != nil {
		return Info{}, fmt.Errorf("blob: stat: %w", err)
	}
	copy(info.SHA256[:], sum)
	return info, nil
}

// Open returns the bytes of a blob as a stream of one chunk in memory. ctx is that of the reads. They may fail, beside
// with errors of the database, with ErrNotFound when the blob was removed meanwhile and with ErrDamaged. Errors:
// ErrNotFound.
func (s *Store) Open(ctx context.Context, id int64) (*Reader, error) {
	info, err := s.Stat(ctx, id)
	if err != nil {
		return nil, err
	}
	return &Reader{store: s, ctx: ctx, info: info, hash: sha256.New()}, nil
}

// Delete makes a blob invisible when the caller's transaction commits. One that does not exist is no error.
func (s *Store) Delete(ctx context.Context, tx *db.Tx, id int64) error {
	if _, err := tx.Exec(ctx, `update blob_blob set state = $1, touched_at = $2 where id = $3 and state = $4`,
		gone, clock.Millis(s.clock.Now()), id, complete); err != nil {
		return fmt.Errorf("blob: delete: %w", err)
	}
	return nil
}
