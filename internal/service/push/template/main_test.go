package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// parent is what the push service does, with the real parser and without devices: the alias "nobody" has none.
type parent struct {
	mu        sync.Mutex
	calls     int
	accepted  []*payload.Push
	schedules []string // name, trigger and push of each
	trigger   error    // of every schedule
	broken    bool
}

func (p *parent) ParseScheduled(_ *gate.App, body []byte) (*payload.Push, error) {
	return payload.Parse(body, payload.Rules{IgnoreCID: true})
}

func (p *parent) AcceptAll(_ context.Context, _ *gate.App, pushes []*payload.Push) []Result {
	p.calls++
	out := make([]Result, len(pushes))
	for i, push := range pushes {
		switch {
		case p.broken:
			out[i].Err = errors.New("secret detail")
		case len(push.Audience.Alias) > 0 && push.Audience.Alias[0] == "nobody":
			out[i].Err = compat.Errorf(400, 1011, "cannot find user by this audience")
		default:
			p.accepted = append(p.accepted, push)
			out[i].Msg = 58546795154340 + int64(len(p.accepted))
		}
	}
	return out
}

func (p *parent) Schedule(_ context.Context, _ *gate.App, name string, trigger, push json.RawMessage) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	parsed, err := p.ParseScheduled(nil, push)
	switch {
	case p.broken:
		return "", errors.New("secret detail")
	case p.trigger != nil:
		return "", p.trigger
	case err != nil:
		return "", err
	case len(parsed.Audience.Alias) > 0 && parsed.Audience.Alias[0] == "nobody":
		return "", compat.Errorf(400, 1003, "push: of nobody")
	}
	p.schedules = append(p.schedules, fmt.Sprintf("%s %s %s", name, trigger, push))
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", len(p.schedules)), nil
}

type rig struct {
	*Service
	t      *testing.T
	parent *parent
	fake   *clock.Fake
	mux    *http.ServeMux
}

type appKey struct{}

func app(id int64) *gate.App { return &gate.App{ID: id, Settings: gate.DefaultSettings()} }

func newRig(t *testing.T, d *db.DB) *rig {
	t.Helper()
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, parent: &parent{}, fake: clock.NewFake(time.Date(2027, 2, 28, 16, 0, 0, 0, time.UTC)), mux: http.NewServeMux()}
	r.Service = New(Deps{DB: d, Pusher: r.parent, Scheduler: r.parent, Clock: r.fake, Log: slog.New(slog.DiscardHandler)})
	r.CompatRoutes(func(pattern string, h gate.Handler) {
		r.mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) { h(w, req, app(1)) })
	})
	cfg := huma.DefaultConfig("test", "1")
	cfg.CreateHooks = nil
	r.Routes(humago.New(r.mux, cfg), func(ctx context.Context) *gate.App { return ctx.Value(appKey{}).(*gate.App) },
		huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			id := map[string]int64{"one": 1, "two": 2}[ctx.Param("app_key")]
			next(huma.WithValue(ctx, appKey{}, app(id)))
		}})
	return r
}

func newRequest(method, target, body string) *http.Request {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	return req
}

// serve answers "status body".
func (r *rig) serve(req *http.Request) string {
	w := httptest.NewRecorder()
	compat.Path(r.mux).ServeHTTP(w, req)
	return fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String()))
}

func (r *rig) call(method, target, body string) string {
	return r.serve(newRequest(method, target, body))
}

func (r *rig) want(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// refused demands a code, HTTP 400 and exactly the members of the flat envelope, and returns the message.
func (r *rig) refused(got string, code int) string {
	r.t.Helper()
	var body map[string]any
	text, ok := strings.CutPrefix(got, "400 ")
	if err := json.Unmarshal([]byte(text), &body); !ok || err != nil || len(body) != 2 || body["code"] != float64(code) || body["message"] == "" {
		r.t.Errorf("got %s, want the code %d", got, code)
	}
	if strings.Contains(got, "msg_id") || strings.Contains(got, "schedule_id") {
		r.t.Errorf("looks like a success: %s", got)
	}
	message, _ := body["message"].(string)
	return message
}

// template stores one and returns its id.
func (r *rig) template(push string) string {
	r.t.Helper()
	t, err := r.Create(context.Background(), app(1), Template{Name: "n", Push: json.RawMessage(push)})
	if err != nil {
		r.t.Fatal(err)
	}
	return t.ID
}
