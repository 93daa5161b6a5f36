package push

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/callback"
	"borealis/internal/service/push/file"
	"borealis/internal/service/push/image"
	"borealis/internal/service/push/payload"
	"borealis/internal/service/push/plan"
	"borealis/internal/service/push/relay"
	"borealis/internal/service/push/route"
	"borealis/internal/service/push/schedule"
	"borealis/internal/service/push/segment"
	"borealis/internal/service/push/template"
	"borealis/internal/service/push/testdevice"
)

// parts are the packages below this one, each with tables and calls of its own.
type parts struct {
	callbacks   *callback.Service
	files       *file.Service
	images      *image.Service
	plans       *plan.Service
	testDevices *testdevice.Service
	schedules   *schedule.Service
	segments    *segment.Service
	templates   *template.Service
	relay       *relay.Service
	route       *route.Service
}

func newParts(s *Service, d *Deps) parts {
	schedules := schedule.New(schedule.Deps{DB: d.DB, Gate: d.Gate, Jobs: d.Jobs, Pusher: schedulePusher{s}, Clock: d.Clock, Log: d.Log})
	return parts{
		schedules: schedules,
		callbacks: callback.New(callback.Deps{
			DB: d.DB, Gate: d.Gate, Hooks: d.Hooks, ID: d.Devices.ID, Secret: d.CallbackSecret, MasterSecret: d.MasterSecret, Owns: s.owns,
			Clock: d.Clock, Log: d.Log, Metrics: d.Metrics,
		}),
		segments:    segment.New(segment.Deps{DB: d.DB, Audience: d.Audience, Devices: d.Devices, Clock: d.Clock, Log: d.Log}),
		files:       file.New(file.Deps{DB: d.DB, Blobs: d.Blobs, Clock: d.Clock, Log: d.Log, Zone: d.Zone}),
		images:      image.New(image.Deps{DB: d.DB, Blobs: d.Blobs, Clock: d.Clock, Log: d.Log, PublicURL: d.PublicURL}),
		plans:       plan.New(plan.Deps{DB: d.DB, Clock: d.Clock, Log: d.Log}),
		testDevices: testdevice.New(testdevice.Deps{DB: d.DB, Devices: d.Devices, Clock: d.Clock, Log: d.Log}),
		templates:   template.New(template.Deps{DB: d.DB, Pusher: templatePusher{s}, Scheduler: templateScheduler{schedules}, Clock: d.Clock, Log: d.Log}),
		relay: relay.New(relay.Deps{
			DB: d.DB, Gate: d.Gate, Devices: d.Devices, Leases: d.Leases, Sealer: d.Sealer, Clock: d.Clock, Log: d.Log, Secret: d.MasterSecret,
		}),
		route: route.New(route.Deps{
			DB: d.DB, Gate: d.Gate, Devices: d.Devices, Presence: d.Presence, Leases: d.Leases, IDs: id.NewSequence(d.DB, d.Clock, "route_part"), Sealer: d.Sealer,
			Dispatcher: d.Channels, SMS: d.SMS, Audit: d.Audit, Clock: d.Clock, Log: d.Log, Metrics: d.Metrics, ReceiptURL: d.ReceiptURL,
		}),
	}
}

// Migrate brings the tables of the package and of those below it forward.
func Migrate(ctx context.Context, d *db.DB) error {
	if err := d.Migrate(ctx, "push", migrations); err != nil {
		return err
	}
	for _, migrate := range []func(context.Context, *db.DB) error{
		callback.Migrate, file.Migrate, image.Migrate, plan.Migrate, testdevice.Migrate, schedule.Migrate, segment.Migrate, template.Migrate, relay.Migrate, route.Migrate,
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
	routing := func(ctx context.Context) error { return p.route.Run(ctx, routeMessages{s}) }
	for _, loop := range []func(context.Context) error{p.callbacks.Run, p.files.Run, p.images.Run, p.schedules.Run, relaying, routing} {
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

// CompatScheduleRoutes names the schedule calls.
func (s *Service) CompatScheduleRoutes(handle func(pattern string, h gate.Handler)) {
	s.schedules.CompatRoutes(handle)
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

// schedulePusher is what schedules need of the service.
type schedulePusher struct{ *Service }

// Fire is Service.Fire in the terms of schedules.
func (p schedulePusher) Fire(ctx context.Context, app *gate.App, push *payload.Push, also func(context.Context, *db.Tx, int64) error) (int64, error) {
	return p.Service.Fire(ctx, app, push, also)
}

// templateScheduler is what scheduled templates need.
type templateScheduler struct{ schedules *schedule.Service }

// Schedule makes an enabled schedule of a push object.
func (t templateScheduler) Schedule(ctx context.Context, app *gate.App, name string, trigger, push json.RawMessage) (string, error) {
	parsed, err := schedule.ParseTrigger(trigger, app.Settings.Location())
	if err != nil {
		return "", err
	}
	return t.schedules.Create(ctx, app, schedule.Schedule{Name: name, Enabled: true, Trigger: parsed, Push: push})
}

// Settle ends targets of a message whose delivery another service has taken over. It fails on a node that does not own
// the app.
func (s *Service) Settle(ctx context.Context, app, msg int64, ordinals []uint32) error {
	return s.merge(ctx, app, []mark{{msg: msg, stage: failed(VendorAccepted), ordinals: ordinals}})
}

// Relayed is what became of a message at the vendor, nil if it was not forwarded there.
func (s *Service) Relayed(ctx context.Context, app, msg int64) (*relay.Results, error) {
	return s.parts.relay.Results(ctx, app, msg)
}
