package push

import (
	"context"
	"net/http"
	"sync"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/file"
	"borealis/internal/service/push/plan"
	"borealis/internal/service/push/testdevice"
)

// parts are the packages below this one, each with tables and calls of its own.
type parts struct {
	files       *file.Service
	plans       *plan.Service
	testDevices *testdevice.Service
}

func newParts(d *Deps) parts {
	return parts{
		files:       file.New(file.Deps{DB: d.DB, Blobs: d.Blobs, Clock: d.Clock, Log: d.Log, Zone: d.Zone}),
		plans:       plan.New(plan.Deps{DB: d.DB, Clock: d.Clock, Log: d.Log}),
		testDevices: testdevice.New(testdevice.Deps{DB: d.DB, Devices: d.Devices, Clock: d.Clock, Log: d.Log}),
	}
}

// Migrate brings the tables of the package and of those below it forward.
func Migrate(ctx context.Context, d *db.DB) error {
	if err := d.Migrate(ctx, "push", migrations); err != nil {
		return err
	}
	for _, migrate := range []func(context.Context, *db.DB) error{file.Migrate, plan.Migrate, testdevice.Migrate} {
		if err := migrate(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// run runs the loops of the parts until ctx ends.
func (p *parts) run(ctx context.Context, wg *sync.WaitGroup, failed func(error)) {
	for _, loop := range []func(context.Context) error{p.files.Run} {
		wg.Go(func() {
			if err := loop(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		})
	}
}

// CompatDeviceRoutes names the calls that belong to the vendor's device API.
func (s *Service) CompatDeviceRoutes(handle func(pattern string, h gate.Handler)) {
	s.testDevices.CompatRoutes(handle)
}

// CompatFileRoutes names the file calls, which apps and developers make.
func (s *Service) CompatFileRoutes(handle func(pattern string, app gate.Handler, developer gate.DeveloperHandler)) {
	s.files.CompatRoutes(handle)
}

// errNoFile is the answer to a push by file whose audience is something else.
var errNoFile = compat.Errorf(http.StatusBadRequest, 1002, "Missing parameter: audience.file")
