package push

import (
	"context"
	"net/http"
	"sync"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/file"
	"borealis/internal/service/push/image"
	"borealis/internal/service/push/payload"
	"borealis/internal/service/push/plan"
	"borealis/internal/service/push/relay"
	"borealis/internal/service/push/template"
	"borealis/internal/service/push/testdevice"
)

// parts are the packages below this one, each with tables and calls of its own.
type parts struct {
	files       *file.Service
	images      *image.Service
	plans       *plan.Service
	testDevices *testdevice.Service
	templates   *template.Service
	relay       *relay.Service
}

func newParts(s *Service, d *Deps) parts {
	return parts{
		files:       file.New(file.Deps{DB: d.DB, Blobs: d.Blobs, Clock: d.Clock, Log: d.Log, Zone: d.Zone}),
		images:      image.New(image.Deps{DB: d.DB, Blobs: d.Blobs, Clock: d.Clock, Log: d.Log, PublicURL: d.PublicURL}),
		plans:       plan.New(plan.Deps{DB: d.DB, Clock: d.Clock, Log: d.Log}),
		testDevices: testdevice.New(testdevice.Deps{DB: d.DB, Devices: d.Devices, Clock: d.Clock, Log: d.Log}),
		templates:   template.New(template.Deps{DB: d.DB, Pusher: templatePusher{s}, Clock: d.Clock, Log: d.Log}),
		relay: relay.New(relay.Deps{
			DB: d.DB, Gate: d.Gate, Devices: d.Devices, Leases: d.Leases, Sealer: d.Sealer, Clock: d.Clock, Log: d.Log, Secret: d.MasterSecret,
		}),
	}
}

// Migrate brings the tables of the package and of those below it forward.
func Migrate(ctx context.Context, d *db.DB) error {
	if err := d.Migrate(ctx, "push", migrations); err != nil {
		return err
	}
	for _, migrate := range []func(context.Context, *db.DB) error{
		file.Migrate, image.Migrate, plan.Migrate, testdevice.Migrate, template.Migrate, relay.Migrate,
	} {
		if err := migrate(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// run runs the loops of the parts until ctx ends.
func (p *parts) run(ctx context.Context, wg *sync.WaitGroup, s *Service, failed func(error)) {
	relaying := func(ctx context.Context) error { return p.relay.Run(ctx, s) }
	for _, loop := range []func(context.Context) error{p.files.Run, p.images.Run, relaying} {
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

// templatePusher is what templates need of the service.
type templatePusher struct{ *Service }

// AcceptAll is Service.AcceptAll in the terms of templates.
func (t templatePusher) AcceptAll(ctx context.Context, app *gate.App, pushes []*payload.Push) []template.Result {
	results := t.Service.AcceptAll(ctx, app, pushes)
	out := make([]template.Result, len(results))
	for i, r := range results {
		out[i] = template.Result{Msg: r.Msg, Err: r.Err}
	}
	return out
}

// Settle ends targets of a message whose delivery another service has taken over. It fails on a node that does not own
// the app.
func (s *Service) Settle(ctx context.Context, app, msg int64, ordinals []uint32) error {
	return s.merge(ctx, app, []mark{{msg: msg, stage: failed(VendorAccepted), ordinals: ordinals}})
}
