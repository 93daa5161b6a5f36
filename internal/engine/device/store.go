package device

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
)

// state of a device. The numbers are stored.
type state uint8

const (
	pending state = iota + 1
	joined
	gone
	// imported devices are in audiences, and nobody can connect as one before it is claimed and thereby joins.
	imported
)

// inAudience tells whether a push can be addressed to devices in this state.
func (s state) inAudience() bool { return s == joined || s == imported }

// row is a row of device_device. JSON columns hold "" for nothing.
type row struct {
	fresh       bool // it joined by the call that read the row; not stored
	ordinal     uint32
	platform    audience.Platform
	state       state
	generation  uint16
	installHash []byte // nil: the device registered without an installation id
	info        Info
	pkg         string
	alias       string
	tags        []uint32
	mobile      string // sealed
	verified    bool   // the mobile number
	attributes  string
	push        bool
	notify      bool
	silence     string
	consent     string
	created     int64
	joined      int64 // 0: not yet
	lastSeen    int64
}

// device is the row as the audience knows it. A device that has switched push off is like one that never joined.
func (w *row) device() *audience.Device {
	return &audience.Device{Ordinal: w.ordinal, Platform: w.platform, Alias: w.alias, Tags: w.tags,
		Joined: w.state.inAudience() && w.push, Muted: !w.notify}
}

const rowColumns = `ordinal, platform, state, generation, install_hash, package, model, os_version, app_version, sdk_version,
	timezone, locale, alias, tags, mobile, mobile_verified, attributes, push_enabled, notifications_enabled, silence, consent,
	created_at, joined_at, last_seen`

func scanRow(scan func(...any) error) (*row, error) {
	var (
		w    row
		tags []byte
	)
	err := scan(&w.ordinal, &w.platform, &w.state, &w.generation, &w.installHash, &w.pkg, &w.info.Model, &w.info.OSVersion,
		&w.info.AppVersion, &w.info.SDKVersion, &w.info.Timezone, &w.info.Locale, &w.alias, &tags, &w.mobile, &w.verified,
		&w.attributes, &w.push, &w.notify, &w.silence, &w.consent, &w.created, &w.joined, &w.lastSeen)
	if err != nil {
		return nil, err
	}
	if w.tags, err = audience.UnpackTags(tags); err != nil {
		return nil, err
	}
	return &w, nil
}

// find reads a device that is not gone; its absence is an UnknownDevice.
func find(ctx context.Context, tx *db.Tx, app int64, ordinal uint32) (*row, error) {
	w, err := scanRow(tx.QueryRow(ctx, `select `+rowColumns+` from device_device where app_id = $1 and ordinal = $2`, app, int64(ordinal)).Scan)
	return found(w, err)
}

// read is find outside of a transaction.
func (r *Registry) read(ctx context.Context, app int64, ordinal uint32) (*row, error) {
	w, err := scanRow(r.DB.QueryRow(ctx, `select `+rowColumns+` from device_device where app_id = $1 and ordinal = $2`, app, int64(ordinal)).Scan)
	return found(w, err)
}

func found(w *row, err error) (*row, error) {
	switch {
	case errors.Is(err, db.ErrNoRows), err == nil && w.state == gone:
		return nil, &Error{Kind: UnknownDevice, Detail: "there is no such device"}
	case err != nil:
		return nil, fmt.Errorf("device: read: %w", err)
	}
	return w, nil
}

// insert writes a new row.
func insert(ctx context.Context, tx *db.Tx, app int64, w *row) error {
	_, err := tx.Exec(ctx, `insert into device_device (app_id, `+rowColumns+`) values
		($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)`, w.args(app)...)
	if err != nil {
		return fmt.Errorf("device: insert: %w", err)
	}
	return nil
}

// update writes all of a row but last_seen, which has a writer of its own.
func update(ctx context.Context, tx *db.Tx, app int64, w *row) error {
	args := w.args(app)
	_, err := tx.Exec(ctx, `update device_device set platform = $3, state = $4, generation = $5, install_hash = $6, package = $7,
		model = $8, os_version = $9, app_version = $10, sdk_version = $11, timezone = $12, locale = $13, alias = $14, tags = $15,
		mobile = $16, mobile_verified = $17, attributes = $18, push_enabled = $19, notifications_enabled = $20, silence = $21,
		consent = $22, created_at = $23, joined_at = $24 where app_id = $1 and ordinal = $2`, args[:len(args)-1]...)
	if err != nil {
		return fmt.Errorf("device: update: %w", err)
	}
	return nil
}

// args are app and the columns of rowColumns.
func (w *row) args(app int64) []any {
	return []any{app, int64(w.ordinal), int64(w.platform), int64(w.state), int64(w.generation), w.installHash, w.pkg, w.info.Model,
		w.info.OSVersion, w.info.AppVersion, w.info.SDKVersion, w.info.Timezone, w.info.Locale, w.alias, audience.PackTags(w.tags),
		w.mobile, w.verified, w.attributes, w.push, w.notify, w.silence, w.consent, w.created, w.joined, w.lastSeen}
}

// installHash finds the device of an installation. The id is random (checkInstallID demands its length), so a plain
// hash hides it; the app is part, so that one installation of two apps is not seen as such.
func installHash(app int64, installID string) []byte {
	h := sha256.New()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(app))
	h.Write(b[:])
	h.Write([]byte(installID))
	return h.Sum(nil)[:16]
}

// Rows is what the audience index reads its devices from.
type Rows struct {
	db *db.DB
	// batch is rowsBatch, less in tests.
	batch int
}

// NewRows returns the source of device rows.
func NewRows(d *db.DB) *Rows { return &Rows{db: d, batch: rowsBatch} }

// rowsBatch is how many rows one statement reads: a statement over ten million would keep the database from cleaning up
// behind its writers for minutes.
const rowsBatch = 20_000

// EachDevice is part of audience.Source.
func (s *Rows) EachDevice(ctx context.Context, app int64, fn func(audience.Device) error) error {
	after, n := int64(-1), s.batch
	for n == s.batch {
		var err error
		if after, n, err = s.someDevices(ctx, app, after, fn); err != nil {
			return err
		}
	}
	return nil
}

// someDevices reads a batch after an ordinal, and returns the last ordinal of it and how many devices it had.
func (s *Rows) someDevices(ctx context.Context, app, after int64, fn func(audience.Device) error) (last int64, n int, err error) {
	rows, err := s.db.Query(ctx, `select ordinal, platform, state, alias, tags, push_enabled, notifications_enabled from device_device
		where app_id = $1 and ordinal > $2 and state <> 3 order by ordinal limit $3`, app, after, s.batch)
	if err != nil {
		return 0, 0, fmt.Errorf("device: read all: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			d            audience.Device
			st           state
			tags         []byte
			push, notify bool
		)
		if err := rows.Scan(&d.Ordinal, &d.Platform, &st, &d.Alias, &tags, &push, &notify); err != nil {
			return 0, 0, fmt.Errorf("device: read all: %w", err)
		}
		if d.Tags, err = audience.UnpackTags(tags); err != nil {
			return 0, 0, fmt.Errorf("device: read %d: %w", d.Ordinal, err)
		}
		d.Joined, d.Muted = st.inAudience() && push, !notify
		if err := fn(d); err != nil {
			return 0, 0, err
		}
		last, n = int64(d.Ordinal), n+1
	}
	return last, n, rows.Err()
}
