package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/gate"
)

// resolveTimeout bounds the lookups of Resolve and ID, whose callers pass no context.
const resolveTimeout = 5 * time.Second

// ID is what the app's server knows a device by, for an ordinal that the app has issued: its imported id as long as nobody has
// claimed it, its registration id otherwise. It is empty if the database is needed (once per app, and for devices that are not
// claimed) and does not answer.
func (r *Registry) ID(app int64, ordinal uint32) string {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout) //nolint:forbidigo // callers have none
	defer cancel()
	names, err := r.Names(ctx, app, []uint32{ordinal})
	if err != nil {
		r.Log.Error("registration id not made", "app", app, "err", err)
		return ""
	}
	return names[0]
}

// Names is ID for many at once, in their order.
func (r *Registry) Names(ctx context.Context, app int64, ordinals []uint32) ([]string, error) {
	spans, err := r.knownSpans(app)
	if err != nil {
		return nil, err
	}
	unclaimed, err := r.unclaimedSince(ctx, app, nameAge)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(ordinals))
	var old []uint32
	for i, o := range ordinals {
		if unclaimed != nil && unclaimed.Contains(o) {
			old = append(old, o)
			continue
		}
		out[i] = r.IDs.ID(app, deviceid.Ref{Epoch: epochOf(spans, o), Ordinal: o})
	}
	if len(old) == 0 {
		return out, nil
	}
	found, err := r.ImportedIDs(ctx, app, old)
	if err != nil {
		return nil, err
	}
	for i, o := range ordinals {
		if out[i] == "" {
			if out[i] = found[o]; out[i] == "" { // deleted since
				out[i] = r.IDs.ID(app, deviceid.Ref{Epoch: epochOf(spans, o), Ordinal: o})
			}
		}
	}
	return out, nil
}

// Lookup finds the devices of registration ids, those of this server and imported ones, claimed or not: the ordinals are in
// the order of rids, 0 for an id of no device of the app that exists. Own ids need memory only after the first call for an app, the
// others at most one query for 1,000 of them. It knows what was committed before the last audience.Sync.
func (r *Registry) Lookup(ctx context.Context, app *gate.App, rids []string) ([]uint32, error) {
	spans, err := r.knownSpans(app.ID)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, len(rids))
	var foreign []string
	for i, id := range rids {
		if ref, err := r.IDs.Parse(app.ID, id); err != nil {
			foreign = append(foreign, id)
		} else if ref.Epoch != 0 && epochOf(spans, ref.Ordinal) == ref.Epoch {
			out[i] = ref.Ordinal
		}
	}
	if len(foreign) > 0 {
		found, err := r.imported(ctx, app.ID, foreign)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			for i, id := range rids {
				if out[i] == 0 {
					out[i] = found[id]
				}
			}
		}
	}
	known := r.Audience.Known(app.ID, slices.DeleteFunc(slices.Clone(out), func(o uint32) bool { return o == 0 }))
	// Known keeps the order, so walking both lists finds what it left out.
	next := 0
	for i, o := range out {
		if next < len(known) && known[next] == o {
			next++
		} else {
			out[i] = 0
		}
	}
	return out, nil
}

// Resolve turns registration ids of the app into ordinals of devices that exist, pending and imported ones included, in
// order and with repetitions, and lists the ids that are of no such device. It is Lookup for callers without a context:
// if the database is needed and does not answer, that is logged and all ids are unknown.
func (r *Registry) Resolve(app *gate.App, rids []string) (ordinals []uint32, unknown []string) {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout) //nolint:forbidigo // callers have none
	defer cancel()
	ordinals, err := r.Lookup(ctx, app, rids)
	if err != nil {
		r.Log.Error("registration ids not resolved", "app", app.ID, "err", err)
		return nil, rids
	}
	return Found(rids, ordinals)
}

// Found splits the answer of Lookup into the ordinals that were found, in the same array, and the ids that were not.
func Found(rids []string, ordinals []uint32) (found []uint32, unknown []string) {
	found = ordinals[:0]
	for i, o := range ordinals {
		if o == 0 {
			unknown = append(unknown, rids[i])
		} else {
			found = append(found, o)
		}
	}
	return found, unknown
}

// importKey and deviceKey are what the two directions of imported ids are remembered by.
type importKey struct {
	app int64
	id  string
}

type deviceKey struct {
	app     int64
	ordinal uint32
}

// lookupBatch is how many ids one query names.
const lookupBatch = 1000

// imported finds the ordinals of ids that were imported; others are left out. An id's ordinal never changes, and whether the
// device still exists the audience knows, so what was found once may be remembered.
func (r *Registry) imported(ctx context.Context, app int64, ids []string) (map[string]uint32, error) {
	out := make(map[string]uint32, len(ids))
	var missing []string
	for _, id := range ids {
		if o, ok := r.ids.get(importKey{app, id}); ok {
			out[id] = o
		} else if checkImportedID(id) == nil {
			missing = append(missing, id)
		}
	}
	for part := range slices.Chunk(missing, lookupBatch) {
		args := make([]any, 0, len(part)+1)
		args = append(args, app)
		for _, id := range part {
			args = append(args, id)
		}
		rows, err := r.DB.Query(ctx, `select imported_id, ordinal from device_import where app_id = $1 and imported_id in (`+list(len(part))+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("device: find imported ids: %w", err)
		}
		for rows.Next() {
			var (
				id string
				o  uint32
			)
			if err = rows.Scan(&id, &o); err != nil {
				break
			}
			out[id] = o
			r.ids.put(importKey{app, id}, o)
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("device: find imported ids: %w", err)
		}
	}
	return out, nil
}

// ImportedIDs are the imported ids of devices that have one, claimed or not.
func (r *Registry) ImportedIDs(ctx context.Context, app int64, ordinals []uint32) (map[uint32]string, error) {
	out := make(map[uint32]string, len(ordinals))
	var missing []uint32
	for _, o := range ordinals {
		if id, ok := r.names.get(deviceKey{app, o}); ok {
			out[o] = id
		} else {
			missing = append(missing, o)
		}
	}
	for part := range slices.Chunk(missing, lookupBatch) {
		args := make([]any, 0, len(part)+1)
		args = append(args, app)
		for _, o := range part {
			args = append(args, int64(o))
		}
		rows, err := r.DB.Query(ctx, `select ordinal, imported_id from device_import
			where app_id = $1 and state in (1, 2) and ordinal in (`+list(len(part))+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("device: find imported ids: %w", err)
		}
		for rows.Next() {
			var (
				o  uint32
				id string
			)
			if err = rows.Scan(&o, &id); err != nil {
				break
			}
			out[o] = id
			r.names.put(deviceKey{app, o}, id)
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("device: find imported ids: %w", err)
		}
	}
	return out, nil
}
