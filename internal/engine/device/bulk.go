package device

import (
	"context"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// TagDevices adds a tag to devices and removes it from others. Refusals: Invalid, TooManyTags, UnknownDevice; devices
// of earlier batches then have been changed.
func (r *Registry) TagDevices(ctx context.Context, app *gate.App, tag string, add, remove []uint32) error {
	if err := audience.CheckTag(tag); err != nil {
		return invalid("tag", err.Error())
	}
	for _, step := range [...]struct {
		devices []uint32
		change  Tags
	}{{add, Tags{Add: []string{tag}}}, {remove, Tags{Remove: []string{tag}}}} {
		err := r.edit(ctx, app, step.devices, func(ctx context.Context, e *editor) (func(*row) error, error) {
			t, err := e.tagEdit(ctx, step.change)
			return func(w *row) error { return e.setTags(ctx, w, t) }, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteTag takes a tag from all devices of the platforms. For all platforms that is one step; otherwise as many
// devices as have it are changed, in batches, and a call that is cut off is repeated by the caller.
func (r *Registry) DeleteTag(ctx context.Context, app *gate.App, tag string, platforms audience.PlatformSet) error {
	if platforms == audience.AllPlatforms {
		err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := r.Audience.Lock(ctx, tx, app.ID); err != nil {
				return err
			}
			_, err := r.Audience.DropTag(ctx, tx, app.ID, tag)
			return err
		})
		if err == nil {
			r.Audience.Follow(ctx, app.ID)
		}
		return err
	}
	if err := r.Audience.Sync(ctx, app.ID); err != nil {
		return err
	}
	devices := r.onPlatforms(app.ID, r.Audience.DevicesOfTag(app.ID, tag).ToArray(), platforms)
	return r.edit(ctx, app, devices, func(ctx context.Context, e *editor) (func(*row) error, error) {
		e.skipGone = true
		t, err := e.tagEdit(ctx, Tags{Remove: []string{tag}})
		return func(w *row) error { return e.setTags(ctx, w, t) }, err
	})
}

func (r *Registry) onPlatforms(app int64, devices []uint32, platforms audience.PlatformSet) []uint32 {
	out := devices[:0]
	for _, d := range devices {
		if p, ok := r.Audience.PlatformOf(app, d); ok && platforms.Has(p) {
			out = append(out, d)
		}
	}
	return out
}

// Unalias unbinds those of the devices that have the alias. Devices that are gone are passed over.
func (r *Registry) Unalias(ctx context.Context, app *gate.App, alias string, devices []uint32) error {
	return r.edit(ctx, app, devices, func(_ context.Context, e *editor) (func(*row) error, error) {
		e.skipGone = true
		return func(w *row) error {
			if w.alias == alias {
				w.alias = ""
			}
			return nil
		}, nil
	})
}
