package device

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// vouched checks the signature of a registration that needs one: where the app demands it of installations that have no identity
// yet, and always for a claim, because whoever knows an old id could otherwise take the device's messages.
func (r *Registry) vouched(app *gate.App, reg Registration, kept uint32) error {
	if reg.ImportedID == "" && (kept != 0 || app.Settings.Registration != "signed") {
		return nil
	}
	c, bad := verify(app, reg.Signature, r.Clock.Now())
	if bad != nil {
		return bad
	}
	if c.InstallID == "" || c.InstallID != reg.InstallID {
		return &Error{Kind: Denied, Field: "signature", Detail: "is for another install_id"}
	}
	if reg.ImportedID != "" && c.ImportedID != reg.ImportedID {
		return &Error{Kind: Denied, Field: "signature", Detail: "is for another imported_id"}
	}
	return nil
}

// claim makes an imported device that of the registration, which was vouched for; was is the device that the installation was before,
// 0 if none. It returns the device and the one that the installation left and that is deleted thereby, 0 if none.
func (r *Registry) claim(ctx context.Context, tx *db.Tx, app *gate.App, reg Registration, was uint32) (w *row, left uint32, err error) {
	found, err := queryImports(ctx, tx, app.ID, []string{reg.ImportedID})
	if err != nil {
		return nil, 0, err
	}
	old, ok := found[reg.ImportedID]
	switch {
	case !ok || old.state == importGone:
		return nil, 0, invalid("imported_id", "no device was imported under this id, or it was deleted since")
	case old.state == importClaimed && old.ordinal == was:
		w, err := r.renew(ctx, tx, app, was, reg)
		return w, 0, err
	case old.state == importClaimed:
		return nil, 0, &Error{Kind: AlreadyClaimed, Field: "imported_id", Detail: "another installation has claimed this device"}
	}
	if w, err = find(ctx, tx, app.ID, old.ordinal); err != nil {
		return nil, 0, err
	}
	var changes []audience.Change
	if was != 0 {
		before, err := find(ctx, tx, app.ID, was)
		if err != nil {
			return nil, 0, err
		}
		if err := erase(ctx, tx, app.ID, before); err != nil {
			return nil, 0, err
		}
		changes = append(changes, audience.Change{Before: before.device()})
	}
	before := w.device()
	w.platform, w.state, w.joined = reg.Platform, joined, clock.Millis(r.Clock.Now())
	w.generation++ // from here on there is a secret
	if err := reg.apply(w); err != nil {
		return nil, 0, err
	}
	if err := rebindInstall(ctx, tx, app.ID, w, reg.InstallID); err != nil {
		return nil, 0, err
	}
	if err := update(ctx, tx, app.ID, w); err != nil {
		return nil, 0, err
	}
	if err := moveImport(ctx, tx, app.ID, w.ordinal, importUnclaimed, importClaimed, -1); err != nil {
		return nil, 0, err
	}
	for _, hook := range []Hook{r.OnRegistered, r.OnJoined} {
		if hook != nil {
			if err := hook(ctx, tx, app.ID, w.ordinal, w.platform); err != nil {
				return nil, 0, err
			}
		}
	}
	if after := w.device(); !same(before, after) {
		changes = append(changes, audience.Change{Before: before, After: after})
	}
	return w, was, r.Audience.Append(ctx, tx, app.ID, changes...)
}

// named is the device that an id is of, its own or an imported one; 0 if none. It asks the database, not the audience.
func (r *Registry) named(ctx context.Context, app int64, id string) (uint32, error) {
	ref, ok, err := r.parse(ctx, app, id)
	if err != nil || ok {
		return ref.Ordinal, err
	}
	if checkImportedID(id) != nil {
		return 0, nil //nolint:nilerr // that the id is none is an answer
	}
	var ordinal uint32
	err = r.DB.QueryRow(ctx, `select ordinal from device_import where app_id = $1 and imported_id = $2 and state = 2`, app, id).Scan(&ordinal)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return 0, fmt.Errorf("device: find imported id: %w", err)
	}
	return ordinal, nil
}
