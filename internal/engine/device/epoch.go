package device

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"borealis/internal/engine/deviceid"
	"borealis/internal/kernel/db"
)

// span says that from the ordinal on, the epoch issued. An app's spans ascend in both.
type span struct {
	epoch uint8
	first uint32
}

// epochs remembers the spans of apps. They are complete once an app has any: RaiseEpoch, which adds one, runs while
// nobody serves.
type epochs struct {
	mu    sync.RWMutex
	spans map[int64][]span
}

// loadTimeout bounds reading an app's spans, which happens once per app, where the caller has no context.
const loadTimeout = 10 * time.Second

// knownSpans is spansOf for callers without a context.
func (r *Registry) knownSpans(app int64) ([]span, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout) //nolint:forbidigo // nobody's: it fills what all callers share
	defer cancel()
	return r.spansOf(ctx, app)
}

func (r *Registry) spansOf(ctx context.Context, app int64) ([]span, error) {
	r.epochs.mu.RLock()
	spans := r.epochs.spans[app]
	r.epochs.mu.RUnlock()
	if spans != nil {
		return spans, nil
	}
	rows, err := r.DB.Query(ctx, `select epoch, first_ordinal from device_epoch where app_id = $1 order by epoch`, app)
	if err != nil {
		return nil, fmt.Errorf("device: epochs of app %d: %w", app, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s span
		if err := rows.Scan(&s.epoch, &s.first); err != nil {
			return nil, fmt.Errorf("device: epochs of app %d: %w", app, err)
		}
		spans = append(spans, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("device: epochs of app %d: %w", app, err)
	}
	if len(spans) == 0 {
		return nil, nil // no device yet; not remembered, because the first one will change it
	}
	r.epochs.mu.Lock()
	defer r.epochs.mu.Unlock()
	if r.epochs.spans == nil {
		r.epochs.spans = make(map[int64][]span)
	}
	r.epochs.spans[app] = spans
	return spans, nil
}

// epochOf is the epoch that issued an ordinal; 0 if none did.
func epochOf(spans []span, ordinal uint32) uint8 {
	for _, s := range slices.Backward(spans) {
		if s.first <= ordinal {
			return s.epoch
		}
	}
	return 0
}

// ref of a device of the app.
func (r *Registry) ref(ctx context.Context, app int64, ordinal uint32) (deviceid.Ref, error) {
	spans, err := r.spansOf(ctx, app)
	return deviceid.Ref{Epoch: epochOf(spans, ordinal), Ordinal: ordinal}, err
}

// parse reads a registration id of the app and checks that its epoch issued it. Whether the device exists is the
// caller's question.
func (r *Registry) parse(ctx context.Context, app int64, id string) (deviceid.Ref, bool, error) {
	ref, err := r.IDs.Parse(app, id)
	if err != nil {
		return deviceid.Ref{}, false, nil //nolint:nilerr // that the id is none is an answer
	}
	spans, err := r.spansOf(ctx, app)
	return ref, err == nil && ref.Epoch != 0 && epochOf(spans, ref.Ordinal) == ref.Epoch, err
}

// nextOrdinal takes the next number of the app. The transaction holds audience.Lock.
func (r *Registry) nextOrdinal(ctx context.Context, tx *db.Tx, app int64) (uint32, error) {
	return r.takeOrdinals(ctx, tx, app, 1)
}

// takeOrdinals takes the next n numbers of the app and returns the first. The transaction holds audience.Lock.
func (r *Registry) takeOrdinals(ctx context.Context, tx *db.Tx, app int64, n int) (uint32, error) {
	var next int64
	err := tx.QueryRow(ctx, `insert into device_counter (app_id, next) values ($1, 1 + cast($2 as bigint))
		on conflict (app_id) do update set next = device_counter.next + $2 returning next`, app, n).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("device: next ordinal: %w", err)
	}
	if next > math.MaxUint32 {
		return 0, &Error{Kind: Exhausted, Detail: "the app has no device numbers left"}
	}
	first := next - int64(n)
	if first == 1 {
		if _, err := tx.Exec(ctx, `insert into device_epoch (app_id, epoch, first_ordinal)
			select $1, epoch, 1 from device_installation where id = 1`, app); err != nil {
			return 0, fmt.Errorf("device: first epoch: %w", err)
		}
	}
	return uint32(first), nil
}

// ErrNoEpoch is returned by RaiseEpoch when the last of the 255 epochs is in use.
var ErrNoEpoch = errors.New("device: an installation can be restored 254 times, and was")

// Epoch is the installation's epoch.
func (r *Registry) Epoch(ctx context.Context) (uint8, error) {
	var epoch uint8
	if err := r.DB.QueryRow(ctx, `select epoch from device_installation where id = 1`).Scan(&epoch); err != nil {
		return 0, fmt.Errorf("device: epoch: %w", err)
	}
	return epoch, nil
}

// RaiseEpoch begins a new epoch, greater than the database's and than above, and returns it. Call it after a backup was
// restored and before anybody serves: what the lost database issued after the backup becomes void, and its numbers are
// issued again under ids that differ. Restoring the same backup twice would repeat an epoch, so the caller keeps the
// highest one it knows outside of the database and passes it as above.
func (r *Registry) RaiseEpoch(ctx context.Context, above uint8) (uint8, error) {
	var epoch int64
	err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := tx.QueryRow(ctx, `select epoch from device_installation where id = 1`).Scan(&epoch); err != nil {
			return fmt.Errorf("device: epoch: %w", err)
		}
		if epoch = max(epoch, int64(above)) + 1; epoch > math.MaxUint8 {
			return ErrNoEpoch
		}
		if _, err := tx.Exec(ctx, `update device_installation set epoch = $1 where id = 1`, epoch); err != nil {
			return fmt.Errorf("device: raise epoch: %w", err)
		}
		_, err := tx.Exec(ctx, `insert into device_epoch (app_id, epoch, first_ordinal) select app_id, cast($1 as bigint), next from device_counter`, epoch)
		if err != nil {
			return fmt.Errorf("device: raise epoch of apps: %w", err)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	r.epochs.mu.Lock()
	r.epochs.spans = nil
	r.epochs.mu.Unlock()
	return uint8(epoch), nil
}
