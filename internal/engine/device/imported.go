package device

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// MaxImport is how many devices one call of Import takes.
	MaxImport = 500
	// MaxImportedID is the longest imported id in bytes.
	MaxImportedID = 64
	// importBatch is how many of them one transaction creates: about 5 ms of the writer's time.
	importBatch = 50
)

// Imported is a device of another push service.
type Imported struct {
	// ID is its registration id there: 1 to 64 visible ASCII characters.
	ID string
	// Platform, 0 if it is not known: then it counts as Android until the device says otherwise.
	Platform audience.Platform
	// Alias, "" if it has none.
	Alias string
	// Tags in any order; repetitions do no harm.
	Tags []string
	// Mobile number, "" if none is known. It counts as verified, as one that the app's backend sets.
	Mobile string
}

// RefusedImport says why one device of a call was not imported.
type RefusedImport struct {
	// Index of the device in the call.
	Index int
	Err   *Error
}

// ImportResult is what became of the devices of a call; the sum of its numbers and Refused is their count.
type ImportResult struct {
	// Created devices, Updated ones (only if asked for), and Known ones that stayed as they were.
	Created, Updated, Known int
	// Claimed devices have moved over and Gone ones were deleted since they were imported: both stay as they are.
	Claimed, Gone int
	// Refused in the order of their indexes; nothing of them was stored.
	Refused []RefusedImport
}

// Import makes devices of another push service known: each gets an ordinal and is in audiences at once, although nobody
// can connect as it before it is claimed (Registration.ImportedID). A device that was imported before stays as it is;
// with update, what the call says replaces platform, alias, tags and number of one that is not claimed yet. So the same
// call twice changes nothing. At most MaxImport devices; what is wrong with one of them does not stop the others.
// Refusals of the whole call: UnknownApp, AppDisabled, Invalid (too many), Exhausted; batches before it are stored.
func (r *Registry) Import(ctx context.Context, app *gate.App, devices []Imported, update bool) (ImportResult, error) {
	var out ImportResult
	if err := usable(app); err != nil {
		return out, err
	}
	if len(devices) > MaxImport {
		return out, invalid("devices", fmt.Sprintf("must not have more than %d elements", MaxImport))
	}
	items := make([]importItem, 0, len(devices))
	seen := make(map[string]bool, len(devices))
	for i, d := range devices {
		err := r.checkImported(app, d)
		var refusal *Error
		switch {
		case errors.As(err, &refusal):
			out.Refused = append(out.Refused, RefusedImport{i, refusal})
		case seen[d.ID]:
			out.Known++ // the first one counts
		default:
			seen[d.ID] = true
			if d.Platform == 0 {
				d.Platform = audience.Android
			}
			items = append(items, importItem{Imported: d, index: i, hasPlatform: devices[i].Platform != 0})
		}
	}
	// In the order of the key, so that pages of the index are touched one after the other.
	slices.SortFunc(items, func(a, b importItem) int { return strings.Compare(a.ID, b.ID) })
	for part := range slices.Chunk(items, importBatch) {
		var im *importer
		err := r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			im = &importer{r: r, app: app, tx: tx, out: &ImportResult{}, tags: map[string]uint32{}, holders: map[string]int{}}
			return im.batch(ctx, part, update)
		})
		r.unclaimed.tell(app.ID)
		if err != nil {
			return out, err
		}
		im.remember()
		out.add(*im.out)
		r.Audience.Follow(ctx, app.ID)
	}
	slices.SortFunc(out.Refused, func(a, b RefusedImport) int { return a.Index - b.Index })
	return out, nil
}

func (o *ImportResult) add(b ImportResult) {
	o.Created += b.Created
	o.Updated += b.Updated
	o.Known += b.Known
	o.Claimed += b.Claimed
	o.Gone += b.Gone
	o.Refused = append(o.Refused, b.Refused...)
}

// importItem is a checked device of a call.
type importItem struct {
	Imported
	index       int
	hasPlatform bool
	tags        []uint32 // Imported.Tags by the dictionary, once looked up
}

func (o *ImportResult) refuse(item *importItem, kind Kind, field, detail string) {
	o.Refused = append(o.Refused, RefusedImport{item.index, &Error{Kind: kind, Field: field, Detail: detail}})
}

// checkImportedID demands what an id of another service looks like.
func checkImportedID(id string) error {
	if id == "" || len(id) > MaxImportedID || !visible(id) {
		return invalid("imported_id", fmt.Sprintf("must be 1 to %d visible ASCII characters", MaxImportedID))
	}
	return nil
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func (r *Registry) checkImported(app *gate.App, d Imported) error {
	if err := checkImportedID(d.ID); err != nil {
		return err
	}
	if _, err := r.IDs.Parse(app.ID, d.ID); err == nil {
		return invalid("imported_id", "is a registration id of this server itself")
	}
	if d.Platform != 0 && !audience.AllPlatforms.Has(d.Platform) {
		return invalid("platform", "is not a platform")
	}
	if d.Alias != "" {
		if err := audience.CheckAlias(d.Alias); err != nil {
			return invalid("alias", err.Error())
		}
	}
	if err := checkTags("tags", d.Tags, MaxTags, MaxTags*audience.MaxNameBytes); err != nil {
		return err
	}
	if d.Mobile != "" {
		return checkMobile(d.Mobile)
	}
	return nil
}

// tagKey is what the number of a tag is remembered by.
type tagKey struct {
	app  int64
	name string
}

// importer is one transaction of Import.
type importer struct {
	r    *Registry
	app  *gate.App
	tx   *db.Tx
	out  *ImportResult
	tags map[string]uint32
	// holders of the aliases that the batch gives away, where the app limits them.
	holders map[string]int
}

// batch imports some devices.
func (im *importer) batch(ctx context.Context, items []importItem, update bool) error {
	if err := im.r.Audience.Lock(ctx, im.tx, im.app.ID); err != nil {
		return err
	}
	ids := make([]string, len(items))
	for i := range items {
		ids[i] = items[i].ID
	}
	known, err := queryImports(ctx, im.tx, im.app.ID, ids)
	if err != nil {
		return err
	}
	var fresh, change []*importItem
	for i := range items {
		item := &items[i]
		was, found := known[item.ID]
		switch {
		case !found:
			fresh = append(fresh, item)
		case was.state == importGone:
			im.out.Gone++
		case was.state == importClaimed:
			im.out.Claimed++
		case update:
			change = append(change, item)
		default:
			im.out.Known++
		}
	}
	both := slices.Concat(fresh, change)
	if err := im.countHolders(ctx, both); err != nil {
		return err
	}
	if err := im.recall(ctx, both); err != nil {
		return err
	}
	changes, err := im.change(ctx, change, known)
	if err != nil {
		return err
	}
	created, err := im.create(ctx, fresh)
	if err != nil {
		return err
	}
	return im.r.Audience.Append(ctx, im.tx, im.app.ID, slices.Concat(changes, created)...)
}

// create makes devices of items that are not known.
func (im *importer) create(ctx context.Context, items []*importItem) ([]audience.Change, error) {
	kept := items[:0]
	for _, item := range items {
		if ok, err := im.prepare(ctx, item, ""); err != nil {
			return nil, err
		} else if ok {
			kept = append(kept, item)
		}
	}
	if len(kept) == 0 {
		return nil, nil
	}
	first, err := im.r.takeOrdinals(ctx, im.tx, im.app.ID, len(kept))
	if err != nil {
		return nil, err
	}
	version, err := changeImports(ctx, im.tx, im.app.ID, len(kept), len(kept))
	if err != nil {
		return nil, err
	}
	now := clock.Millis(im.r.Clock.Now())
	changes := make([]audience.Change, 0, len(kept))
	for i, item := range kept {
		w := &row{ordinal: first + uint32(i), platform: item.Platform, state: imported, alias: item.Alias, tags: item.tags,
			push: true, notify: true, created: now}
		if err := im.setMobile(w, item.Mobile); err != nil {
			return nil, err
		}
		if err := insert(ctx, im.tx, im.app.ID, w); err != nil {
			return nil, err
		}
		if err := insertImport(ctx, im.tx, im.app.ID, item.ID, w.ordinal, version); err != nil {
			return nil, err
		}
		changes = append(changes, audience.Change{After: w.device()})
	}
	im.out.Created += len(kept)
	return changes, nil
}

// change makes devices that are known and not claimed as the items say.
func (im *importer) change(ctx context.Context, items []*importItem, known map[string]importRow) ([]audience.Change, error) {
	var changes []audience.Change
	for _, item := range items {
		w, err := find(ctx, im.tx, im.app.ID, known[item.ID].ordinal)
		if err != nil {
			return nil, err
		}
		if ok, err := im.prepare(ctx, item, w.alias); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		before, mobile := w.device(), w.mobile
		if item.hasPlatform {
			w.platform = item.Platform
		}
		w.alias, w.tags = item.Alias, item.tags
		if err := im.setMobile(w, item.Mobile); err != nil {
			return nil, err
		}
		after := w.device()
		if same(before, after) && w.mobile == mobile {
			im.out.Known++
			continue
		}
		if err := update(ctx, im.tx, im.app.ID, w); err != nil {
			return nil, err
		}
		im.out.Updated++
		if !same(before, after) {
			changes = append(changes, audience.Change{Before: before, After: after})
		}
	}
	return changes, nil
}

// prepare looks up the tags of an item and takes its place among the devices of its alias, which it has now or not; it
// refuses the item if there is no room for one of them.
func (im *importer) prepare(ctx context.Context, item *importItem, alias string) (bool, error) {
	limit := im.app.Settings.AliasDevices
	takes := item.Alias != "" && item.Alias != alias
	if takes && limit > 0 && im.holders[item.Alias] >= limit {
		im.out.refuse(item, AliasFull, "alias", fmt.Sprintf("the alias %q has %d devices already, the most this app allows", item.Alias, limit))
		return false, nil
	}
	item.tags = make([]uint32, 0, len(item.Tags))
	for _, name := range item.Tags {
		id, err := im.tag(ctx, name)
		if errors.Is(err, audience.ErrTooManyTags) {
			im.out.refuse(item, TooManyTags, "tags", fmt.Sprintf("the app would have more than %d different tags", audience.MaxTags))
			return false, nil
		}
		if err != nil {
			return false, err
		}
		item.tags = append(item.tags, id)
	}
	slices.Sort(item.tags)
	item.tags = slices.Compact(item.tags)
	if takes {
		im.holders[item.Alias]++
	}
	return true, nil
}

// recall takes the numbers of tags from what earlier batches looked up, as far as the dictionary still has them: a number
// that it has is that of the same tag as ever.
func (im *importer) recall(ctx context.Context, items []*importItem) error {
	byID := map[uint32]string{}
	for _, item := range items {
		for _, name := range item.Tags {
			if id, ok := im.r.tags.get(tagKey{im.app.ID, name}); ok {
				byID[id] = name
			}
		}
	}
	live, err := im.r.Audience.LiveTags(ctx, im.tx, im.app.ID, slices.Collect(maps.Keys(byID)))
	for _, id := range live {
		im.tags[byID[id]] = id
	}
	return err
}

// remember keeps the numbers of tags for the next batch, once this one has committed.
func (im *importer) remember() {
	for name, id := range im.tags {
		im.r.tags.put(tagKey{im.app.ID, name}, id)
	}
}

func (im *importer) tag(ctx context.Context, name string) (uint32, error) {
	if id, ok := im.tags[name]; ok {
		return id, nil
	}
	ids, err := im.r.Audience.TagIDs(ctx, im.tx, im.app.ID, []string{name}, true)
	if err != nil {
		return 0, err
	}
	im.tags[name] = ids[0]
	return ids[0], nil
}

// setMobile seals a number into a row unless it is there already.
func (im *importer) setMobile(w *row, number string) error {
	place := mobileAAD(im.app.ID, w.ordinal)
	if w.mobile != "" {
		if plain, err := im.r.Sealer.Open(w.mobile, place); err == nil && string(plain) == number {
			return nil
		}
	}
	w.mobile, w.verified = "", number != ""
	if number == "" {
		return nil
	}
	var err error
	if w.mobile, err = im.r.Sealer.Seal([]byte(number), place); err != nil {
		return fmt.Errorf("device: seal mobile number: %w", err)
	}
	return nil
}
