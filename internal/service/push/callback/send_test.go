package callback

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/webhook"
)

func TestTheMasterSecretGoesOnlyToTheConfiguredAddress(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		configured, named, moved := newReceiver(t, nil), newReceiver(t, nil), newReceiver(t, nil)
		arrived := func(rc *receiver) (q got) {
			t.Helper()
			eventually(t, "it arrives", func() bool { return len(rc.requests()) == 1 })
			rc.mu.Lock()
			defer rc.mu.Unlock()
			q, rc.all = rc.all[0], nil
			return q
		}
		tell := func(url string) {
			t.Helper()
			r.record(Record{Kind: Delivered, Ordinals: upTo(1), URL: url})
			r.fake.Advance(maxAge)
			r.flushAll()
		}
		r.set(func(s *gate.Settings) { s.CallbackURL, s.CallbackBasic = configured.URL, true })
		tell("")
		// Made for the address of then, sent when there is another: no password.
		before := configured.URL + "/before"
		r.set(func(s *gate.Settings) { s.CallbackURL = before })
		tell("")
		r.set(func(s *gate.Settings) { s.CallbackURL = configured.URL })
		r.send()
		for range 2 {
			eventually(t, "both arrive", func() bool { return len(configured.requests()) == 2 })
		}
		for _, q := range configured.requests() {
			if user, password, ok := q.BasicAuth(); ok != (q.URL.Path == "/") || ok && (user != appKey || password != "master") {
				t.Errorf("%s: %q %q %v", q.URL.Path, user, password, ok)
			}
		}
		configured.mu.Lock()
		configured.all = nil
		configured.mu.Unlock()

		tell(named.URL)
		if a := arrived(named).Header.Get("Authorization"); a != "" {
			t.Errorf("the address of a push got %s", a)
		}
		tell(configured.URL) // a push names the same address: still one that a push named
		if a := arrived(configured).Header.Get("Authorization"); a != "" {
			t.Errorf("the address of a push got %s", a)
		}
		r.set(func(s *gate.Settings) { s.CallbackBasic = false })
		tell("")
		if a := arrived(configured).Header.Get("Authorization"); a != "" {
			t.Errorf("nobody wanted it: %s", a)
		}
		configured.Config.Handler = http.RedirectHandler(moved.URL, http.StatusTemporaryRedirect)
		r.set(func(s *gate.Settings) { s.CallbackBasic = true })
		tell("")
		if a := arrived(moved).Header.Get("Authorization"); a != "" {
			t.Errorf("a redirect got %s", a)
		}
	})
}

// Nothing but the database remembers: neither records nor deliveries need the process that wrote them.
func TestRecordsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		rc := newReceiver(t, nil)
		r.set(func(s *gate.Settings) { s.CallbackURL = rc.URL })
		r.record(Record{Kind: Delivered, Ordinals: upTo(150)})
		r.boot(nil) // died before anything was told
		r.flushAll()
		r.boot(nil) // died between enqueue and send
		r.send()
		eventually(t, "the first hundred arrive", func() bool { return len(rc.requests()) == 1 })
		r.fake.Advance(maxAge)
		r.flushAll()
		eventually(t, "the rest arrives", func() bool { return len(rc.requests()) == 2 })
		seen := map[string]bool{}
		for _, q := range rc.requests() {
			for _, w := range parse(t, q.body) {
				seen[*w.RegistrationID] = true
			}
		}
		if len(seen) != 150 {
			t.Errorf("%d devices", len(seen))
		}
	})
}

// The loops together, with a receiver that fails first.
func TestRunTellsAndRepeats(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	fails := make(chan struct{}, 1)
	fails <- struct{}{}
	rc := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-fails:
			w.WriteHeader(http.StatusBadGateway)
		default:
		}
	})
	r.set(func(s *gate.Settings) { s.CallbackURL = rc.URL })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.send()
	r.record(Record{Kind: Delivered, Ordinals: upTo(100)})
	waiting := func() int64 {
		return r.count(`select count(*) from webhook_delivery where last_status = 502 and not leased`)
	}
	eventually(t, "it fails", func() bool { return waiting() == 1 })
	r.fake.Advance(50e9)
	eventually(t, "it arrives", func() bool { return r.count(`select count(*) from webhook_delivery`) == 0 })
	if all := rc.requests(); len(all) != 2 || string(all[0].body) != string(all[1].body) {
		t.Errorf("%d requests", len(all))
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type api struct {
	t   *testing.T
	mux *http.ServeMux
}

type appOf struct{}

func newAPI(t *testing.T, r *rig) *api {
	t.Helper()
	a := &api{t, http.NewServeMux()}
	h := humago.New(a.mux, huma.DefaultConfig("test", "1"))
	r.Routes(h, func(ctx huma.Context, next func(huma.Context)) {
		app := r.gate.App(ctx.Param("app_key"))
		if app == nil || ctx.Header("X-Test") != "let me" {
			_ = huma.WriteErr(h, ctx, http.StatusUnauthorized, "no")
			return
		}
		next(huma.WithValue(ctx, appOf{}, app))
	}, func(ctx context.Context) *gate.App { app, _ := ctx.Value(appOf{}).(*gate.App); return app })
	return a
}

func (a *api) call(method, path string, into any) int {
	a.t.Helper()
	req := httptest.NewRequest(method, "/api/v1/apps/"+path, nil)
	req.Header.Set("X-Test", "let me")
	w := httptest.NewRecorder()
	a.mux.ServeHTTP(w, req)
	if into != nil && w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			a.t.Fatalf("%s: %v: %s", path, err, w.Body)
		}
	}
	return w.Code
}

type page struct {
	Deliveries []deliveryRow
	Next       string
}

func TestNativeAPI(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		a := newAPI(t, r)
		rc := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(500)
			}
			fmt.Fprint(w, r.URL.Query().Get("echostr"))
		})
		const callback = appKey + "/callback"
		var check struct {
			URL, Reason string
			OK          bool
		}
		if code := a.call("POST", callback+"/check", nil); code != 409 {
			t.Errorf("check without an address: %d", code)
		}
		r.set(func(s *gate.Settings) { s.CallbackURL = rc.URL })
		if code := a.call("POST", callback+"/check", &check); code != 200 || !check.OK || check.URL != rc.URL {
			t.Errorf("check: %d %+v", code, check)
		}
		r.set(func(s *gate.Settings) { s.CallbackURL = "http://10.0.0.1" })
		if code := a.call("POST", callback+"/check", &check); code != 200 || check.OK || !strings.Contains(check.Reason, "not public") {
			t.Errorf("check of a private address: %d %+v", code, check)
		}
		r.set(func(s *gate.Settings) { s.CallbackURL = rc.URL })
		var settings struct {
			URL, Secret string
			Types       []string
		}
		if code := a.call("GET", callback, &settings); code != 200 || settings.URL != rc.URL || settings.Secret != "secret of "+appKey ||
			!slices.Equal(settings.Types, []string{"delivered", "clicked", "not_delivered"}) {
			t.Errorf("settings: %d %+v", code, settings)
		}

		var p page
		if code := a.call("GET", callback+"/deliveries", &p); code != 200 || p.Deliveries == nil || len(p.Deliveries) != 0 {
			t.Errorf("no deliveries: %d %+v", code, p)
		}
		r.record(Record{Kind: Delivered, Ordinals: upTo(300)})
		r.flushAll()
		var ids []string
		for cursor := ""; ; cursor = "&cursor=" + p.Next {
			p = page{}
			if code := a.call("GET", callback+"/deliveries?limit=2&status=pending"+cursor, &p); code != 200 {
				t.Fatalf("list: %d", code)
			}
			for _, row := range p.Deliveries {
				ids = append(ids, row.ID)
				if row.URL != rc.URL || row.Status != "pending" || row.Bytes == 0 || row.NextAt == 0 || row.LastAt != 0 {
					t.Errorf("%+v", row)
				}
			}
			if p.Next == "" {
				break
			}
		}
		if len(ids) != 3 || !slices.IsSortedFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("listed %v", ids)
		}
		if code := a.call("GET", callback+"/deliveries?status=dead", &p); code != 200 || len(p.Deliveries) != 0 {
			t.Errorf("dead: %d %+v", code, p)
		}
		r.send()
		eventually(t, "all failed once", func() bool {
			return a.call("GET", callback+"/deliveries", &p) == 200 && !slices.ContainsFunc(p.Deliveries, func(d deliveryRow) bool { return d.Attempts != 1 })
		})
		if row := p.Deliveries[0]; row.LastStatus != 500 || row.LastError == "" || row.LastAt == 0 || row.NextAt != row.LastAt+50_000 {
			t.Errorf("%+v", row)
		}
		sent := len(rc.requests())
		if code := a.call("POST", callback+"/deliveries/"+ids[0]+"/redeliver", nil); code != 204 {
			t.Errorf("redeliver: %d", code)
		}
		eventually(t, "it is sent again", func() bool { return len(rc.requests()) == sent+1 })

		other := r.app
		other.ID, other.Key = 8, "6f3c0a9d2b7e41c6a8d0e1f2"
		r.gate.Publish(other)
		for path, want := range map[string]int{
			"POST " + callback + "/deliveries/01a00000-0000-7000-8000-000000000000/redeliver": 404,
			"POST " + callback + "/deliveries/x/redeliver":                                    422,
			"POST " + other.Key + "/callback/deliveries/" + ids[0] + "/redeliver":             404,
			"GET " + callback + "/deliveries?status=delivered":                                422,
			"GET " + callback + "/deliveries?limit=0":                                         422,
			"GET " + callback + "/deliveries?limit=101":                                       422,
			"GET " + callback + "/deliveries?cursor=x":                                        422,
			"GET nobody/callback":                                                             401,
			"GET nobody/callback/deliveries":                                                  401,
			"POST nobody/callback/check":                                                      401,
			"GET " + callback + "/deliveries":                                                 200,
		} {
			method, target, _ := strings.Cut(path, " ")
			if code := a.call(method, target, nil); code != want {
				t.Errorf("%s: %d, want %d", path, code, want)
			}
		}
		if code := a.call("GET", other.Key+"/callback/deliveries", &p); code != 200 || len(p.Deliveries) != 0 {
			t.Errorf("another app sees %+v", p)
		}
	})
}

// A receiver that never answers costs those who record nothing: their transactions wait for no receiver.
func TestAReceiverThatHangsDoesNotSlowRecording(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, func(d *webhook.Deps) { d.MaxWaiting = 5 })
		release := make(chan struct{})
		rc := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
		defer close(release)
		r.set(func(s *gate.Settings) { s.CallbackURL = rc.URL })
		r.send()
		r.record(Record{Kind: Delivered, Ordinals: upTo(1000)})
		r.flushAll()
		eventually(t, "the receiver hangs", func() bool { return len(rc.requests()) == 5 })
		for i := range int64(20) { // each would take the time of an attempt if it waited for one
			r.record(Record{Msg: 2 + i, Kind: Delivered, Ordinals: upTo(100)})
			r.flushAll()
		}
		if n := r.pending(); n != 21 || len(rc.requests()) != 5 {
			t.Errorf("%d rows wait, %d requests", n, len(rc.requests()))
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d rows", n), func(b *testing.B) {
			r := newRig(b, dbtest.SQLite(b), nil)
			r.set(func(s *gate.Settings) { s.CallbackURL = own })
			records := make([]Record, n)
			for i := range records {
				records[i] = Record{App: 7, Msg: int64(i + 1), Kind: Delivered, Platform: 1, Channel: "jpush", Ordinals: []uint32{uint32(i)}, At: 1803864600123}
			}
			r.record(records...) // the statements are prepared now
			err := r.d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
				for b.Loop() {
					if err := r.Record(ctx, tx, records...); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkSlice tells 500 records of single devices: the largest transaction of the loop.
func BenchmarkSlice(b *testing.B) {
	r := newRig(b, dbtest.SQLite(b), nil)
	r.set(func(s *gate.Settings) { s.CallbackURL = own })
	records := make([]Record, rowsPerSlice)
	for i := range records {
		records[i] = Record{App: 7, Msg: int64(i + 1), Kind: Delivered, Platform: 1, Channel: "jpush", Ordinals: []uint32{uint32(i)}, At: 1803864600123}
	}
	for b.Loop() {
		b.StopTimer()
		r.record(records...)
		r.clear("webhook_delivery", "webhook_body")
		b.StartTimer()
		sl, err := r.slice(context.Background(), r.gate.AppByID(7), "", 1000, &cursor{})
		if err != nil || sl.records != rowsPerSlice {
			b.Fatal(sl.records, err)
		}
		if err := r.commit(context.Background(), 7, own, true, sl); err != nil {
			b.Fatal(err)
		}
	}
}
