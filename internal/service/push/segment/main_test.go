package segment

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device"
	"borealis/internal/engine/device/devicetest"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "60"); err != nil { // each asks a real index
		panic(err)
	}
	dbtest.Main(m)
}

type rig struct {
	*Service
	t       *testing.T
	devices *devicetest.Rig
	mux     *http.ServeMux
}

type appKey struct{}

func newRig(t *testing.T, d *db.DB) *rig {
	t.Helper()
	devices := devicetest.New(t, d)
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, devices: devices, mux: http.NewServeMux()}
	r.Service = New(Deps{DB: d, Audience: devices.Audience, Devices: devices.Registry, Clock: devices.Fake, Log: slog.New(slog.DiscardHandler)})
	cfg := huma.DefaultConfig("test", "1")
	cfg.CreateHooks = nil
	r.Routes(humago.New(r.mux, cfg), func(ctx context.Context) *gate.App { return ctx.Value(appKey{}).(*gate.App) },
		huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			id := map[string]int64{"one": 1, "two": 2}[ctx.Param("app_key")]
			next(huma.WithValue(ctx, appKey{}, devices.App(id)))
		}})
	return r
}

func (r *rig) app() *gate.App { return r.devices.App(1) }

// joined is a device with an alias, if it is not empty, and tags.
func (r *rig) joined(p audience.Platform, alias string, tags ...string) device.Registered {
	r.t.Helper()
	d := r.devices.Join(1, p, device.Info{})
	c := device.ProfileChange{Tags: &device.Tags{Add: tags}}
	if alias != "" {
		c.Alias = &alias
	}
	r.devices.Set(1, d.Ordinal, c)
	return d
}

// segment stores one and returns its id.
func (r *rig) segment(raw string) string {
	r.t.Helper()
	s, err := r.Create(context.Background(), r.app(), "n", json.RawMessage(raw))
	if err != nil {
		r.t.Fatal(err)
	}
	return s.ID
}

// who lists the devices of a segment.
func (r *rig) who(id string) []uint32 {
	r.t.Helper()
	set, err := r.ResolveSegment(context.Background(), r.app(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return set.ToArray()
}

// call answers "status body".
func (r *rig) call(method, target, body string) string {
	r.t.Helper()
	w := httptest.NewRecorder()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	r.mux.ServeHTTP(w, req)
	return fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String()))
}

// answered demands a status and reads the body.
func (r *rig) answered(got string, status int, into any) {
	r.t.Helper()
	text, ok := strings.CutPrefix(got, fmt.Sprintf("%d ", status))
	if !ok {
		r.t.Fatalf("got %.300s, want %d", got, status)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) status(got string, status int, about string) {
	r.t.Helper()
	if !strings.HasPrefix(got, fmt.Sprintf("%d ", status)) || !strings.Contains(got, about) {
		r.t.Errorf("got %.300s, want %d about %s", got, status, about)
	}
}
