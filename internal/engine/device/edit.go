package device

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// MaxTags is how many tags a device can have.
const MaxTags = 1000

// editBatch is how many devices one transaction changes: about 5 ms of the writer's time.
const editBatch = 50

// editor changes rows inside a transaction.
type editor struct {
	r   *Registry
	app *gate.App
	tx  *db.Tx
	// skipGone passes over devices that are gone by now, instead of failing.
	skipGone bool
}

// edit changes devices, ascending and in batches, and tells the audience. begin runs first in every transaction and
// returns what is done to each row. An error undoes its batch; earlier ones stay.
func (r *Registry) edit(ctx context.Context, app *gate.App, ordinals []uint32, begin func(context.Context, *editor) (func(*row) error, error)) error {
	ordinals = slices.Clone(ordinals)
	slices.Sort(ordinals)
	for part := range slices.Chunk(slices.Compact(ordinals), editBatch) {
		err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := r.Audience.Lock(ctx, tx, app.ID); err != nil {
				return err
			}
			e := &editor{r: r, app: app, tx: tx}
			change, err := begin(ctx, e)
			if err != nil {
				return err
			}
			changes, err := e.rows(ctx, part, change)
			if err != nil {
				return err
			}
			return r.Audience.Append(ctx, tx, app.ID, changes...)
		})
		if err != nil {
			return err
		}
		r.Audience.Follow(ctx, app.ID)
	}
	return nil
}

// rows does change to the rows of devices and returns what the audience has to know of it.
func (e *editor) rows(ctx context.Context, ordinals []uint32, change func(*row) error) ([]audience.Change, error) {
	var changes []audience.Change
	for _, ordinal := range ordinals {
		w, err := find(ctx, e.tx, e.app.ID, ordinal)
		if e.skipGone && IsKind(err, UnknownDevice) {
			continue
		}
		if err != nil {
			return nil, err
		}
		before := w.device()
		if err := change(w); err != nil {
			return nil, err
		}
		if err := update(ctx, e.tx, e.app.ID, w); err != nil {
			return nil, err
		}
		if after := w.device(); !same(before, after) {
			changes = append(changes, audience.Change{Before: before, After: after})
		}
	}
	return changes, nil
}

func same(a, b *audience.Device) bool {
	return a.Platform == b.Platform && a.Alias == b.Alias && a.Joined == b.Joined && a.Muted == b.Muted && slices.Equal(a.Tags, b.Tags)
}

// setAlias binds or, with "", unbinds.
func (e *editor) setAlias(ctx context.Context, w *row, alias string) error {
	if limit := e.app.Settings.AliasDevices; limit > 0 && alias != "" && alias != w.alias {
		var n int
		err := e.tx.QueryRow(ctx, `select count(*) from device_device where app_id = $1 and alias = $2 and alias <> ''`, e.app.ID, alias).Scan(&n)
		if err != nil {
			return fmt.Errorf("device: count devices of alias: %w", err)
		}
		if n >= limit {
			return &Error{Kind: AliasFull, Field: "alias", Detail: fmt.Sprintf("the alias has %d devices already, the most this app allows", n)}
		}
	}
	w.alias = alias
	return nil
}

// tagEdit is a change of tags by dictionary ids, ascending each.
type tagEdit struct {
	replace     bool // by add; remove is not used
	add, remove []uint32
}

func (e *editor) tagEdit(ctx context.Context, t Tags) (tagEdit, error) {
	out := tagEdit{replace: t.Replace}
	var err error
	out.add, err = e.r.Audience.TagIDs(ctx, e.tx, e.app.ID, t.Add, true)
	if errors.Is(err, audience.ErrTooManyTags) {
		return out, &Error{Kind: TooManyTags, Field: "tags", Detail: fmt.Sprintf("the app would have more than %d different tags", audience.MaxTags)}
	}
	if err != nil {
		return out, err
	}
	out.remove, err = e.r.Audience.TagIDs(ctx, e.tx, e.app.ID, t.Remove, false)
	return out, err
}

// setTags applies a change; what is both added and removed is removed.
func (e *editor) setTags(ctx context.Context, w *row, t tagEdit) error {
	tags := t.add
	if !t.replace {
		tags = slices.Concat(w.tags, t.add)
		slices.Sort(tags)
		tags = slices.DeleteFunc(slices.Compact(tags), func(id uint32) bool {
			_, found := slices.BinarySearch(t.remove, id)
			return found
		})
	}
	if len(tags) > MaxTags { // some may be of tags that were deleted since
		live, err := e.r.Audience.LiveTags(ctx, e.tx, e.app.ID, tags)
		if err != nil {
			return err
		}
		if tags = live; len(tags) > MaxTags {
			return &Error{Kind: TooManyTags, Field: "tags", Detail: fmt.Sprintf("the device would have %d tags, the most is %d", len(tags), MaxTags)}
		}
	}
	w.tags = tags
	return nil
}
