package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// rig is a store with a clock that the test moves.
type rig struct {
	*Store
	t    *testing.T
	fake *clock.Fake
}

func newRig(t *testing.T, d *db.DB) *rig {
	t.Helper()
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	fake := clock.NewFake(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	return &rig{New(d, fake, slog.New(slog.DiscardHandler)), t, fake}
}

// rows counts the rows of both tables.
func (r *rig) rows() (blobs, chunks int) {
	r.t.Helper()
	err := r.db.QueryRow(context.Background(), `select (select count(*) from blob_blob), (select count(*) from blob_chunk)`).Scan(&blobs, &chunks)
	if err != nil {
		r.t.Fatal(err)
	}
	return blobs, chunks
}

func (r *rig) wantRows(what string, blobs, chunks int) {
	r.t.Helper()
	if b, c := r.rows(); b != blobs || c != chunks {
		r.t.Errorf("%s: %d blobs and %d chunks, want %d and %d", what, b, c, blobs, chunks)
	}
}

func (r *rig) commit(d *Draft) int64 {
	r.t.Helper()
	var id int64
	err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) (err error) {
		id, err = d.Commit(ctx, tx)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) put(data []byte) int64 {
	r.t.Helper()
	d, err := r.Put(context.Background(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		r.t.Fatal(err)
	}
	return r.commit(d)
}

func (r *rig) delete(id int64) {
	r.t.Helper()
	if err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return r.Delete(ctx, tx, id) }); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) sweep() int {
	r.t.Helper()
	n, err := r.Sweep(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// noise is data that neither repeats nor compresses.
func noise(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

func TestWhatIsPutIsReadBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 10 << 20} {
			data := noise(size)
			draft, err := r.Put(ctx, iotest.DataErrReader(bytes.NewReader(data)), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if draft.Size() != int64(size) || draft.SHA256() != sha256.Sum256(data) {
				t.Errorf("%d bytes: the draft has %d with sum %x", size, draft.Size(), draft.SHA256())
			}
			id := r.commit(draft)
			info, err := r.Stat(ctx, id)
			if err != nil || info != (Info{id, int64(size), sha256.Sum256(data)}) {
				t.Errorf("%d bytes: %+v, %v", size, info, err)
			}
			in, err := r.Open(ctx, id)
			if err != nil || in.Info() != info {
				t.Fatal(err)
			}
			got, err := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: read %d, %v", size, len(got), err)
			}
			if err := in.Close(); err != nil {
				t.Error(err)
			}
			if _, err := in.Read(make([]byte, 1)); err == nil {
				t.Error("reading after Close succeeds")
			}
		}
	})
}

func TestABlobIsInvisibleUntilItIsCommitted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		draft, err := r.Put(ctx, bytes.NewReader(noise(3*chunkSize+5)), 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		r.wantRows("before the commit", 1, 3)
		unseen := func() {
			t.Helper()
			if _, err := r.Open(ctx, draft.id); !errors.Is(err, ErrNotFound) {
				t.Errorf("open: %v", err)
			}
			if _, err := r.Stat(ctx, draft.id); !errors.Is(err, ErrNotFound) {
				t.Errorf("stat: %v", err)
			}
		}
		unseen()
		rolledBack := errors.New("rolled back")
		err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if _, err := draft.Commit(ctx, tx); err != nil {
				return err
			}
			return rolledBack
		})
		if !errors.Is(err, rolledBack) {
			t.Fatal(err)
		}
		unseen()
		// The same draft can be committed after a transaction that was rolled back, as when one is run again.
		id := r.commit(draft)
		r.wantRows("after the commit", 1, 4)
		draft.Discard(ctx)
		r.wantRows("after a needless discard", 1, 4)
		if _, err := r.Open(ctx, id); err != nil {
			t.Error(err)
		}
	})
}

func TestASmallBlobIsWrittenByTheCommitAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		draft, err := r.Put(context.Background(), strings.NewReader("small"), 5)
		if err != nil {
			t.Fatal(err)
		}
		r.wantRows("before the commit", 0, 0)
		r.commit(draft)
		r.wantRows("after the commit", 1, 1)
	})
}

func TestWhatCannotBePutLeavesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		data := noise(2*chunkSize + 1)
		broken := errors.New("broken")
		for name, c := range map[string]struct {
			in   func(cancel func()) io.Reader
			want error
		}{
			"one byte too many": {func(func()) io.Reader { return bytes.NewReader(data) }, ErrTooLarge},
			"a failing reader":  {func(func()) io.Reader { return io.MultiReader(bytes.NewReader(data[1:]), iotest.ErrReader(broken)) }, broken},
			"a body that was cut": {func(func()) io.Reader {
				return io.MultiReader(bytes.NewReader(data[5:]), iotest.ErrReader(io.ErrUnexpectedEOF))
			}, io.ErrUnexpectedEOF},
			"a body that was cut at once": {func(func()) io.Reader { return iotest.ErrReader(io.ErrUnexpectedEOF) }, io.ErrUnexpectedEOF},
			"a caller that leaves": {func(cancel func()) io.Reader {
				return io.MultiReader(bytes.NewReader(data[:chunkSize]), readerFunc(func([]byte) (int, error) { cancel(); return 0, context.Canceled }))
			}, context.Canceled},
		} {
			ctx, cancel := context.WithCancel(context.Background())
			if draft, err := r.Put(ctx, c.in(cancel), 2*chunkSize); draft != nil || !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			cancel()
			r.wantRows(name, 0, 0)
		}
		draft, err := r.Put(context.Background(), bytes.NewReader(data), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		draft.Discard(context.Background())
		r.wantRows("after a discard", 0, 0)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A process that dies leaves a draft behind: nobody sees it, and after an hour it is gone. A writer that was asleep
// meanwhile cannot complete it.
func TestDraftsOfADeadProcessAreSwept(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		kept := r.put(noise(2 * chunkSize))
		draft, err := r.Put(ctx, bytes.NewReader(noise(9*chunkSize+1)), 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		r.wantRows("after the crash", 2, 2+9)
		// Another process with nothing in memory.
		r = newRig(t, d)
		r.fake.Advance(keepFor)
		if n := r.sweep(); n != 0 {
			t.Errorf("%d swept within the hour", n)
		}
		r.fake.Advance(time.Millisecond)
		if n := r.sweep(); n != 1 {
			t.Errorf("%d swept after the hour", n)
		}
		r.wantRows("after the sweep", 1, 2)
		if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { _, err := draft.Commit(ctx, tx); return err }); err == nil {
			t.Error("a swept draft could be committed")
		}
		if err := draft.write(ctx, []byte("x")); err == nil {
			t.Error("a swept draft could be written to")
		}
		r.wantRows("after the late writer", 1, 2)
		if _, err := r.Stat(ctx, kept); err != nil {
			t.Errorf("the complete one: %v", err)
		}
	})
}

// A sweep that dies half way is continued.
func TestAnInterruptedSweepIsContinued(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.put(noise(6 * chunkSize))
		r.delete(id)
		err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `delete from blob_chunk where blob_id = $1 and no < 4`, id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r.wantRows("half way", 1, 2)
		r.fake.Advance(keepFor + time.Millisecond)
		r.sweep()
		r.wantRows("at the end", 0, 0)
	})
}

func TestADeletedBlobIsInvisibleAndReadToTheEndByWhoHasItOpen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		data := noise(3 * chunkSize)
		id := r.put(data)
		open := func() io.ReadCloser {
			in, err := r.Open(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return in
		}
		quick, slow := open(), open()
		first := make([]byte, 10)
		if _, err := io.ReadFull(slow, first); err != nil {
			t.Fatal(err)
		}
		r.delete(id)
		r.delete(id) // a second time is no error
		r.delete(id + 1)
		if _, err := r.Open(ctx, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("open: %v", err)
		}
		if got, err := io.ReadAll(quick); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		r.fake.Advance(keepFor + time.Millisecond)
		if n := r.sweep(); n != 1 {
			t.Errorf("%d swept", n)
		}
		r.wantRows("after the sweep", 0, 0)
		// Never a short read that looks like the whole.
		if _, err := io.ReadAll(slow); !errors.Is(err, ErrNotFound) {
			t.Errorf("a reader that slept: %v", err)
		}
	})
}

func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		for name, query := range map[string]string{
			"a chunk is missing":     `delete from blob_chunk where blob_id = $1 and no = 1`,
			"a chunk is another's":   `update blob_chunk set data = (select data from blob_chunk where blob_id = $1 and no = 0) where blob_id = $1 and no = 1`,
			"a chunk is empty":       `update blob_chunk set data = '' where blob_id = $1 and no = 1`,
			"the size was too small": `update blob_blob set size = size - 1 where id = $1`,
		} {
			id := r.put(noise(3 * chunkSize))
			if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { _, err := tx.Exec(ctx, query, id); return err }); err != nil {
				t.Fatal(err)
			}
			in, err := r.Open(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, in); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestManyWritersAndSweepersAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		var (
			wg sync.WaitGroup
			mu sync.Mutex
		)
		blobs := map[int64][]byte{}
		for i := range 8 {
			data := noise(chunkSize + i)
			wg.Go(func() {
				draft, err := r.Put(ctx, bytes.NewReader(data), int64(len(data)))
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					draft.Discard(ctx)
					return
				}
				id := r.commit(draft)
				mu.Lock()
				blobs[id] = data
				mu.Unlock()
			})
			wg.Go(func() {
				if _, err := r.Sweep(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		r.wantRows("at the end", 4, 8)
		for id, data := range blobs {
			in, err := r.Open(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d: %v", id, err)
			}
			r.delete(id)
		}
		r.fake.Advance(keepFor + time.Millisecond)
		for range 4 {
			wg.Go(func() {
				if _, err := r.Sweep(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		r.wantRows("after the sweeps", 0, 0)
	})
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}

func BenchmarkPut(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *db.DB{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			d := open(b)
			ctx := context.Background()
			if err := Migrate(ctx, d); err != nil {
				b.Fatal(err)
			}
			s, data := New(d, clock.System{}, slog.New(slog.DiscardHandler)), noise(10<<20)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				draft, err := s.Put(ctx, bytes.NewReader(data), int64(len(data)))
				if err != nil {
					b.Fatal(err)
				}
				if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { _, err := draft.Commit(ctx, tx); return err }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
