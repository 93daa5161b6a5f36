package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// pendingLife is how long a device may stay without its first contact.
const pendingLife = 24 * time.Hour

// sweepBatch is how many expired devices one Sweep looks at before it looks again.
const sweepBatch = 500

// Delete ends a device: it leaves the audience, its personal data and tokens are deleted and its connection is ended.
// A device that is not there is an UnknownDevice.
func (r *Registry) Delete(ctx context.Context, app int64, ordinal uint32) error {
	err := r.end(ctx, app, ordinal, func(*row) bool { return true })
	if err != nil {
		return err
	}
	r.kick(app, ordinal)
	return nil
}

// end deletes a device if it still is as wanted. One that never joined leaves no row.
func (r *Registry) end(ctx context.Context, app int64, ordinal uint32, wanted func(*row) bool) error {
	defer r.unclaimed.tell(app)
	err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := r.Audience.Lock(ctx, tx, app); err != nil {
			return err
		}
		w, err := find(ctx, tx, app, ordinal)
		if err != nil {
			return err
		}
		if !wanted(w) {
			return nil
		}
		if err := erase(ctx, tx, app, w); err != nil {
			return err
		}
		return r.Audience.Append(ctx, tx, app, audience.Change{Before: w.device()})
	})
	if err != nil {
		return err
	}
	r.Audience.Follow(ctx, app)
	return nil
}

// erase deletes what is kept of a device. The caller tells the audience.
func erase(ctx context.Context, tx *db.Tx, app int64, w *row) error {
	if _, err := tx.Exec(ctx, `delete from device_token where app_id = $1 and ordinal = $2`, app, int64(w.ordinal)); err != nil {
		return fmt.Errorf("device: delete tokens: %w", err)
	}
	if _, err := tx.Exec(ctx, `delete from device_live where app_id = $1 and ordinal = $2`, app, int64(w.ordinal)); err != nil {
		return fmt.Errorf("device: delete live activities: %w", err)
	}
	if w.installHash != nil {
		// Only its own: the installation may have moved on to another device.
		if _, err := tx.Exec(ctx, `delete from device_install where app_id = $1 and install_hash = $2 and ordinal = $3`,
			app, w.installHash, int64(w.ordinal)); err != nil {
			return fmt.Errorf("device: forget installation: %w", err)
		}
	}
	if w.state == pending {
		if _, err := tx.Exec(ctx, `delete from device_device where app_id = $1 and ordinal = $2`, app, int64(w.ordinal)); err != nil {
			return fmt.Errorf("device: delete: %w", err)
		}
	} else {
		left := &row{ordinal: w.ordinal, platform: w.platform, state: gone, generation: w.generation, created: w.created, joined: w.joined}
		if err := update(ctx, tx, app, left); err != nil {
			return err
		}
	}
	// The imported id stays, as that of a device that is gone: importing it again must not bring the device back.
	if w.state == imported {
		return moveImport(ctx, tx, app, w.ordinal, importUnclaimed, importGone, -1)
	}
	return moveImport(ctx, tx, app, w.ordinal, importClaimed, importGone, 0)
}

// Revoke makes the device's secret void and returns a new one. Its connection is ended.
func (r *Registry) Revoke(ctx context.Context, app *gate.App, ordinal uint32) (secret string, err error) {
	var generation uint16
	err = r.edit(ctx, app, []uint32{ordinal}, func(context.Context, *editor) (func(*row) error, error) {
		return func(w *row) error {
			if w.state == imported {
				return &Error{Kind: Denied, Detail: "the device was imported and has no secret before it is claimed"}
			}
			if w.generation++; w.generation == 0 {
				return &Error{Kind: Exhausted, Detail: "the device has had all secrets there are; it must register anew"}
			}
			generation = w.generation
			return nil
		}, nil
	})
	if err != nil {
		return "", err
	}
	r.kick(app.ID, ordinal)
	ref, err := r.ref(ctx, app.ID, ordinal)
	if err != nil {
		return "", err
	}
	return r.IDs.Secret(app.ID, ref, generation), nil
}

// kick ends the device's connection, wherever it is. A lost order is made good when the device connects again: it is
// refused then.
func (r *Registry) kick(app int64, ordinal uint32) {
	if r.Bus == nil {
		return
	}
	if err := r.Bus.Publish(edgewire.SubjectKick, edgewire.Kick{App: app, Ordinal: ordinal}); err != nil {
		r.Log.Warn("device not disconnected", "app", app, "err", err)
	}
}

// Sweep deletes devices that have been pending for 24 hours, and returns how many.
func (r *Registry) Sweep(ctx context.Context) (int, error) {
	type key struct {
		app     int64
		ordinal uint32
	}
	before := clock.Millis(r.Clock.Now().Add(-pendingLife))
	total := 0
	for {
		rows, err := r.DB.Query(ctx, `select app_id, ordinal from device_device where state = 1 and created_at <= $1
			order by created_at limit $2`, before, sweepBatch)
		if err != nil {
			return total, fmt.Errorf("device: find expired: %w", err)
		}
		var expired []key
		for rows.Next() {
			var k key
			if err = rows.Scan(&k.app, &k.ordinal); err != nil {
				break
			}
			expired = append(expired, k)
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return total, fmt.Errorf("device: find expired: %w", err)
		}
		if len(expired) == 0 {
			return total, nil
		}
		for _, k := range expired {
			err := r.end(ctx, k.app, k.ordinal, func(w *row) bool { return w.state == pending })
			if IsKind(err, UnknownDevice) {
				continue // another node was faster
			}
			if err != nil {
				return total, err
			}
			total++
		}
	}
}
