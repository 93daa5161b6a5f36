package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Info describes a device as it reports itself.
type Info struct {
	Model      string `json:"model,omitempty"`
	OSVersion  string `json:"os_version,omitempty"`
	AppVersion string `json:"app_version,omitempty"`
	SDKVersion string `json:"sdk_version,omitempty"`
	// Timezone is an IANA name, e.g. "Asia/Shanghai".
	Timezone string `json:"timezone,omitempty"`
	// Locale is a BCP 47 tag, e.g. "zh-CN".
	Locale string `json:"locale,omitempty"`
}

// Consent is what the person agreed to on the device.
type Consent struct {
	Version  string   `json:"version"`
	Purposes []string `json:"purposes"`
}

// Registration asks for an identity.
type Registration struct {
	// InstallID is a random id made once per installation, 16 to 64 visible ASCII characters; a registration that
	// repeats it gets the same device. "": a new device each time.
	InstallID string
	Platform  audience.Platform
	// Package is the app's package name or bundle id.
	Package string
	Device  Info
	Consent *Consent
	// RegistrationID and Secret of before keep the identity.
	RegistrationID, Secret string
	// ImportedID claims the device that was imported under this id: its ordinal, tags, alias and owed messages. It
	// needs an InstallID and a Signature with both claims. Repeating it with the same InstallID is no other claim.
	ImportedID string
	// Signature with the claim InstallID, demanded by apps whose registration is "signed".
	Signature string
}

// Registered is a registered device.
type Registered struct {
	RegistrationID string
	Secret         string
	Ordinal        uint32
	// New: the device did not exist before.
	New bool
}

// Register gives a device its identity. Refusals: UnknownApp (app is nil), AppDisabled, Invalid (an ImportedID of no
// device, too), Denied (signature), WrongCredentials (of RegistrationID), AlreadyClaimed, Exhausted.
func (r *Registry) Register(ctx context.Context, app *gate.App, reg Registration) (Registered, error) {
	if err := usable(app); err != nil {
		return Registered{}, err
	}
	if err := reg.check(); err != nil {
		return Registered{}, err
	}
	kept, err := r.kept(ctx, app, reg)
	if err != nil {
		return Registered{}, err
	}
	if err := r.vouched(app, reg, kept); err != nil {
		return Registered{}, err
	}
	var (
		w    *row
		out  Registered
		left uint32 // the device that the installation was before it claimed another
	)
	if reg.ImportedID != "" {
		defer r.unclaimed.tell(app.ID)
	}
	err = r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		w, out, left = nil, Registered{}, 0
		if err := r.Audience.Lock(ctx, tx, app.ID); err != nil {
			return err
		}
		ordinal := kept
		if ordinal == 0 && reg.InstallID != "" {
			err := tx.QueryRow(ctx, `select ordinal from device_install where app_id = $1 and install_hash = $2`,
				app.ID, installHash(app.ID, reg.InstallID)).Scan(&ordinal)
			if err != nil && !errors.Is(err, db.ErrNoRows) {
				return fmt.Errorf("device: find installation: %w", err)
			}
		}
		var err error
		switch {
		case reg.ImportedID != "":
			w, left, err = r.claim(ctx, tx, app, reg, ordinal)
		case ordinal != 0:
			w, err = r.renew(ctx, tx, app, ordinal, reg)
		default:
			w, err = r.create(ctx, tx, app, reg)
			out.New = true
		}
		return err
	})
	if err != nil {
		return Registered{}, err
	}
	if r.Audience.Follow(ctx, app.ID); left != 0 {
		r.kick(app.ID, left)
	}
	ref, err := r.ref(ctx, app.ID, w.ordinal)
	if err != nil {
		return Registered{}, err
	}
	out.Ordinal, out.RegistrationID = w.ordinal, r.IDs.ID(app.ID, ref)
	out.Secret = r.IDs.Secret(app.ID, ref, w.generation)
	return out, nil
}

func usable(app *gate.App) error {
	switch {
	case app == nil:
		return &Error{Kind: UnknownApp, Field: "app_key", Detail: "no app has this key"}
	case app.State != gate.Enabled:
		return &Error{Kind: AppDisabled, Detail: fmt.Sprintf("the app is %s", app.State)}
	}
	return nil
}

// kept is the ordinal whose identity the registration proves to have; 0 if it does not claim one.
func (r *Registry) kept(ctx context.Context, app *gate.App, reg Registration) (uint32, error) {
	if reg.RegistrationID == "" {
		return 0, nil
	}
	w, err := r.login(ctx, app, reg.RegistrationID, reg.Secret)
	if err != nil {
		return 0, err
	}
	return w.ordinal, nil
}

// create makes a new, pending device.
func (r *Registry) create(ctx context.Context, tx *db.Tx, app *gate.App, reg Registration) (*row, error) {
	ordinal, err := r.nextOrdinal(ctx, tx, app.ID)
	if err != nil {
		return nil, err
	}
	w := &row{ordinal: ordinal, platform: reg.Platform, state: pending, generation: 1, push: true, notify: true,
		created: clock.Millis(r.Clock.Now())}
	if err := reg.apply(w); err != nil {
		return nil, err
	}
	if reg.InstallID != "" {
		w.installHash = installHash(app.ID, reg.InstallID)
	}
	if err := insert(ctx, tx, app.ID, w); err != nil {
		return nil, err
	}
	if err := bindInstall(ctx, tx, app.ID, w); err != nil {
		return nil, err
	}
	if r.OnRegistered != nil {
		if err := r.OnRegistered(ctx, tx, app.ID, ordinal, w.platform); err != nil {
			return nil, err
		}
	}
	return w, r.Audience.Append(ctx, tx, app.ID, audience.Change{After: w.device()})
}

// renew updates what a device says of itself.
func (r *Registry) renew(ctx context.Context, tx *db.Tx, app *gate.App, ordinal uint32, reg Registration) (*row, error) {
	w, err := find(ctx, tx, app.ID, ordinal)
	if err != nil {
		return nil, err
	}
	before := w.device()
	w.platform = reg.Platform
	if err := reg.apply(w); err != nil {
		return nil, err
	}
	if reg.InstallID != "" {
		if err := rebindInstall(ctx, tx, app.ID, w, reg.InstallID); err != nil {
			return nil, err
		}
	}
	if err := update(ctx, tx, app.ID, w); err != nil {
		return nil, err
	}
	if after := w.device(); !same(before, after) {
		return w, r.Audience.Append(ctx, tx, app.ID, audience.Change{Before: before, After: after})
	}
	return w, nil
}

// rebindInstall makes an installation the device's, instead of the one it had.
func rebindInstall(ctx context.Context, tx *db.Tx, app int64, w *row, installID string) error {
	if w.installHash != nil {
		if _, err := tx.Exec(ctx, `delete from device_install where app_id = $1 and install_hash = $2`, app, w.installHash); err != nil {
			return fmt.Errorf("device: forget installation: %w", err)
		}
	}
	w.installHash = installHash(app, installID)
	return bindInstall(ctx, tx, app, w)
}

func bindInstall(ctx context.Context, tx *db.Tx, app int64, w *row) error {
	if w.installHash == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `insert into device_install (app_id, install_hash, ordinal) values ($1, $2, $3)
		on conflict (app_id, install_hash) do update set ordinal = $3`, app, w.installHash, int64(w.ordinal))
	if err != nil {
		return fmt.Errorf("device: remember installation: %w", err)
	}
	return nil
}

// apply writes the registration's description into the row; what it leaves out stays.
func (reg Registration) apply(w *row) error {
	keep := func(to *string, v string) {
		if v != "" {
			*to = v
		}
	}
	keep(&w.pkg, reg.Package)
	keep(&w.info.Model, reg.Device.Model)
	keep(&w.info.OSVersion, reg.Device.OSVersion)
	keep(&w.info.AppVersion, reg.Device.AppVersion)
	keep(&w.info.SDKVersion, reg.Device.SDKVersion)
	keep(&w.info.Timezone, reg.Device.Timezone)
	keep(&w.info.Locale, reg.Device.Locale)
	if reg.Consent != nil {
		text, err := json.Marshal(reg.Consent)
		if err != nil {
			return fmt.Errorf("device: encode consent: %w", err)
		}
		w.consent = string(text)
	}
	return nil
}
