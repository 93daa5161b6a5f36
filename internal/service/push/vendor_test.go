package push

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// vendor is a push service of the test. It accepts what its answer does not say otherwise about.
type vendor struct {
	name      wire.Name
	marketing int

	mu        sync.Mutex
	answer    func(token string) wire.Outcome
	sent      []string // token:message, of what was accepted
	calls     int
	retracted []string
	reported  []wire.Receipt
	// before is called first by Send, waiting are the calls that are in it.
	before  func()
	waiting atomic.Int32
}

type vendorAccount struct{}

func (vendorAccount) ID() string { return "account" }

func (v *vendor) Traits() wire.Traits {
	return wire.Traits{Name: v.name, Batch: 1000, Parallel: 4, Marketing: v.marketing, Idempotent: true, Kinds: []wire.Kind{wire.Notification}}
}

func (v *vendor) Parse(raw []byte) (wire.Credentials, error) {
	if string(raw) == "bad" {
		return nil, &wire.FieldError{Field: "app_id", Reason: "is missing"}
	}
	return vendorAccount{}, nil
}

func (v *vendor) Probe(context.Context, wire.Credentials) error { return nil }

func (v *vendor) Send(_ context.Context, _ wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	if v.before != nil {
		v.waiting.Add(1)
		v.before()
		v.waiting.Add(-1)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	out := make([]wire.Outcome, len(tokens))
	for i, t := range tokens {
		out[i] = wire.Outcome{Status: wire.Accepted, VendorID: "v-" + t.Value}
		if v.answer != nil {
			out[i] = v.answer(t.Value)
		}
		if out[i].Status == wire.Accepted {
			v.sent = append(v.sent, t.Value+":"+m.ID)
		}
	}
	return out
}

func (v *vendor) Retract(_ context.Context, _ wire.Credentials, tokens []wire.Token, id string) []wire.Outcome {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range tokens {
		v.retracted = append(v.retracted, t.Value+":"+id)
	}
	return wire.All(len(tokens), wire.Outcome{Status: wire.Accepted})
}

// Receipts are those that the test has set, whatever is posted.
func (v *vendor) Receipts(wire.Credentials, *http.Request, []byte) ([]wire.Receipt, []byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reported, []byte("ok"), nil
}

func (v *vendor) will(answer func(token string) wire.Outcome) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = answer
}

func (v *vendor) got() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := slices.Clone(v.sent)
	slices.Sort(out)
	return out
}

func always(s wire.Status, code string) func(string) wire.Outcome {
	return func(string) wire.Outcome { return wire.NewOutcome(s, code, "says the vendor") }
}

// texter is a provider of short messages.
type texter struct {
	calls atomic.Int32
	send  func(ctx context.Context)
}

func (*texter) Parse([]byte) (wire.Credentials, error)        { return vendorAccount{}, nil }
func (*texter) Probe(context.Context, wire.Credentials) error { return nil }

func (x *texter) Send(ctx context.Context, _ int64, _ wire.Credentials, mobiles []string, _ smswire.Message) []wire.Outcome {
	x.calls.Add(1)
	x.send(ctx)
	return wire.All(len(mobiles), wire.Outcome{Status: wire.Accepted})
}

// withVendors is a rig with vendors whose routes run, and an app that has credentials for all of them.
func withVendors(t *testing.T, d *db.DB, devices int, vendors ...*vendor) (*rig, *gate.App, []target) {
	t.Helper()
	r := newRig(t, d)
	for _, v := range vendors {
		r.vendors = append(r.vendors, v)
	}
	r.boot()
	r.runRoutes()
	platforms := make([]string, devices)
	for i := range platforms {
		platforms[i] = "android"
	}
	app, list := r.newApp(0, platforms...)
	for _, v := range vendors {
		if err := r.parts.route.SetChannel(t.Context(), "test", app, v.name, []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
	}
	return r, app, list
}

// runRoutes runs the loop of the routes beside the merger, until the process of the rig stops.
func (r *rig) runRoutes() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.parts.route.Run(ctx, routeMessages{r.Service}) }()
	stop := r.stop
	r.stop = func() { cancel(); <-done; stop() }
}

func (r *rig) tokens(app *gate.App, d target, channels ...wire.Name) {
	r.t.Helper()
	for _, c := range channels {
		if err := r.devices.PutToken(context.Background(), app, d.ordinal, device.Token{Channel: string(c), Token: fmt.Sprintf("%s-%d", c, d.ordinal)}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// online makes an edge say that devices are connected, and nobody else.
func (r *rig) online(app *gate.App, devices ...target) {
	r.t.Helper()
	if err := r.presence.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	set := roaring.New()
	for _, d := range devices {
		set.Add(d.ordinal)
	}
	bits, err := set.ToBytes()
	if err == nil {
		err = r.bus.Publish(edgewire.SubjectPresence, edgewire.Presence{Edge: "e", Run: 1, Seq: 1, Full: true, Apps: []edgewire.AppPresence{{App: app.ID, Online: bits}}})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "they are online", func() bool { return r.presence.Count(app.ID) == len(devices) })
}

// story is the trace of a message for a device, in words.
func (r *rig) story(app *gate.App, msg int64, d target) string {
	r.t.Helper()
	events, err := r.parts.route.Trace(context.Background(), app.ID, msg, d.ordinal)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		words := []string{string(e.Channel), e.What}
		if e.What == "routed" {
			words = append(words, e.Detail)
		}
		if e.Code != "" {
			words = append(words, e.Code)
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, ", ")
}

func ids(d target, name wire.Name, msg int64) string {
	return fmt.Sprintf("%s-%d:%d", name, d.ordinal, msg)
}
