package testdevice

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

//go:embed migrations
var migrations embed.FS

const (
	// MaxDevices is how many test devices an app can have.
	MaxDevices = 1000
	// maxNameBytes is the longest name of a device.
	maxNameBytes = 128
)

// Deps is what the service stands on.
type Deps struct {
	DB      *db.DB
	Devices *device.Registry
	Clock   clock.Clock
	Log     *slog.Logger
}

// Service keeps the lists. It is safe for concurrent use.
type Service struct {
	db      *db.DB
	devices *device.Registry
	clock   clock.Clock
	log     *slog.Logger
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error {
	return d.Migrate(ctx, "push_testdevice", migrations)
}

// New returns the service. It has no loops.
func New(d Deps) *Service {
	return &Service{db: d.DB, devices: d.Devices, clock: d.Clock, log: d.Log}
}

// Device is a test device.
type Device struct {
	Ordinal uint32
	// Name is what the app's people call it.
	Name string
	// CreatedAt is when it was put on the list, Unix milliseconds.
	CreatedAt int64
}

// Codes of the vendor's device API.
const (
	codeInternal  = 7000
	codeParameter = 7002
	codeBusy      = 7030
)

func invalid(format string, args ...any) *compat.Error {
	return compat.Errorf(http.StatusBadRequest, codeParameter, format, args...)
}

// Add puts a device of the app on the list. Repeating it changes nothing; under another name it is refused, as are an
// unknown registration id and a full list, with code 7002.
func (s *Service) Add(ctx context.Context, app *gate.App, rid, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	ordinal, err := s.resolve(ctx, app, rid)
	if err != nil {
		return err
	}
	row := Device{Ordinal: ordinal, Name: name, CreatedAt: clock.Millis(s.clock.Now())}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := lock(ctx, tx, app.ID); err != nil {
			return err
		}
		old, err := find(ctx, tx, app.ID, ordinal)
		switch {
		case err != nil:
			return err
		case old != nil && old.Name == name:
			return nil
		case old != nil:
			return invalid("registration_id: the device is on the list already, under another name")
		}
		n, err := count(ctx, tx, app.ID)
		if err != nil {
			return err
		}
		if n >= MaxDevices {
			return invalid("the app has %d test devices already, which is the most", n)
		}
		return insert(ctx, tx, app.ID, row)
	})
}

// Rename gives a device on the list another name. One that is not on it is refused with code 7002.
func (s *Service) Rename(ctx context.Context, app *gate.App, rid, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	ordinal, err := s.listed(ctx, app, rid)
	if err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context, tx *db.Tx) (int64, error) {
		return rename(ctx, tx, app.ID, ordinal, name)
	})
}

// Remove takes a device from the list. One that is not on it is refused with code 7002.
func (s *Service) Remove(ctx context.Context, app *gate.App, rid string) error {
	ordinal, err := s.listed(ctx, app, rid)
	if err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context, tx *db.Tx) (int64, error) {
		return remove(ctx, tx, app.ID, ordinal)
	})
}

func (s *Service) change(ctx context.Context, statement func(context.Context, *db.Tx) (int64, error)) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := statement(ctx, tx)
		if err == nil && n == 0 {
			err = errNotListed()
		}
		return err
	})
}

// Ordinals is the set of the app's test devices, which the caller owns. Some of them may have ended.
func (s *Service) Ordinals(ctx context.Context, app int64) (*roaring.Bitmap, error) {
	all, err := queryOrdinals(ctx, s.db, app)
	if err != nil {
		return nil, err
	}
	return roaring.BitmapOf(all...), nil
}

func errUnknown() *compat.Error {
	return invalid("registration_id: the app has no such device")
}

func errNotListed() *compat.Error { return invalid("registration_id: the device is not on the list") }

// resolve finds an existing device.
func (s *Service) resolve(ctx context.Context, app *gate.App, rid string) (uint32, error) {
	if rid == "" {
		return 0, invalid("registration_id is needed")
	}
	if err := s.devices.Audience.Sync(ctx, app.ID); err != nil {
		return 0, fmt.Errorf("testdevice: %w", err)
	}
	ordinals, unknown := s.devices.Resolve(app, []string{rid})
	if len(unknown) > 0 || len(ordinals) == 0 {
		return 0, errUnknown()
	}
	return ordinals[0], nil
}

// listed finds a device on the list, also one that has ended and is known by its id only here.
func (s *Service) listed(ctx context.Context, app *gate.App, rid string) (uint32, error) {
	ordinal, err := s.resolve(ctx, app, rid)
	if err == nil || rid == "" {
		return ordinal, err
	}
	all, queryErr := queryOrdinals(ctx, s.db, app.ID)
	if queryErr != nil {
		return 0, queryErr
	}
	for _, o := range all {
		if s.devices.ID(app.ID, o) == rid {
			return o, nil
		}
	}
	return 0, err
}

func checkName(name string) error {
	switch {
	case name == "":
		return invalid("device_name is needed")
	case len(name) > maxNameBytes:
		return invalid("device_name must not be longer than %d bytes", maxNameBytes)
	case !utf8.ValidString(name):
		return invalid("device_name must be valid UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return invalid("device_name must not contain control characters")
	}
	return nil
}
