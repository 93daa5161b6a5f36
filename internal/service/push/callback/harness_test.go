package callback

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/webhook"
)

func TestMain(m *testing.M) {
	// Each check of the model runs dozens of real transactions; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	dbtest.Main(m)
}

const appKey = "5f3c0a9d2b7e41c6a8d0e1f2"

// rig is the service on real deliveries, with a clock that the test moves. Its loop does not run; the test calls round.
type rig struct {
	*Service
	t     testing.TB
	d     *db.DB
	fake  *clock.Fake
	gate  *gate.Gate
	hooks *webhook.Service
	reg   *prometheus.Registry
	app   gate.App
}

func newRig(t testing.TB, d *db.DB, change func(*webhook.Deps)) *rig {
	t.Helper()
	for _, migrate := range []func(context.Context, *db.DB) error{webhook.Migrate, Migrate} {
		if err := migrate(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, d: d, fake: clock.NewFake(time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC))}
	r.gate = gate.New(ratelimit.NewWindows[gate.RateKey](r.fake, time.Minute, 100))
	r.app = gate.App{ID: 7, Key: appKey, SecretHash: sha256.Sum256([]byte("master")), State: gate.Enabled, Settings: gate.DefaultSettings()}
	r.boot(change)
	r.set(func(*gate.Settings) {})
	return r
}

// boot makes the services anew, as a new process would: nothing in memory.
func (r *rig) boot(change func(*webhook.Deps)) {
	r.reg = prometheus.NewRegistry()
	deps := webhook.Deps{
		DB: r.d, Clock: r.fake, Log: slog.New(slog.DiscardHandler), Metrics: r.reg, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	if change != nil {
		change(&deps)
	}
	r.hooks = webhook.New(deps)
	r.Service = New(Deps{
		DB: r.d, Gate: r.gate, Hooks: r.hooks, ID: testID, Clock: r.fake, Log: slog.New(slog.DiscardHandler), Metrics: r.reg,
		Secret: func(app *gate.App) string { return "secret of " + app.Key },
		MasterSecret: func(_ context.Context, key string) (string, error) {
			if key != appKey {
				return "", gate.ErrUnknownApp
			}
			return "master", nil
		},
	})
}

// testID can be read back.
func testID(app int64, ordinal uint32) string { return fmt.Sprintf("%02x%018x", app, ordinal) }

func readID(t testing.TB, id string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(id[2:], 16, 32)
	if err != nil || id[:2] != "07" || len(id) != 20 {
		t.Fatalf("registration id %q", id)
	}
	return uint32(n)
}

// set publishes changed settings of the app.
func (r *rig) set(change func(*gate.Settings)) {
	change(&r.app.Settings)
	r.app.Revision++
	r.gate.Publish(r.app)
}

func (r *rig) record(records ...Record) {
	r.t.Helper()
	for i := range records {
		if records[i].App == 0 {
			records[i].App = 7
		}
		if records[i].Msg == 0 {
			records[i].Msg = 1
		}
	}
	err := r.d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return r.Record(ctx, tx, records...) })
	if err != nil {
		r.t.Fatal(err)
	}
}

// flushAll runs rounds until nothing is ripe.
func (r *rig) flushAll() {
	r.t.Helper()
	for more := true; more; {
		var err error
		if more, err = r.round(context.Background()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// count is a number that the database knows.
func (r *rig) count(query string, args ...any) (n int64) {
	r.t.Helper()
	if err := r.d.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) pending() int64 { return r.count(`select count(*) from push_callback`) }

// wire is a record as a receiver sees it.
type wire struct {
	AppKey         string          `json:"appkey"`
	Msg            string          `json:"msg_id"`
	RegistrationID *string         `json:"registration_id"`
	Platform       *string         `json:"platform"`
	Channel        *string         `json:"channel"`
	Type           int             `json:"type"`
	Time           int64           `json:"time"`
	SendNo         *string         `json:"sendno"`
	Params         json.RawMessage `json:"params"`
	Reason         *string         `json:"reason"`
}

func parse(t testing.TB, body []byte) []wire {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	var list []wire
	if err := dec.Decode(&list); err != nil {
		t.Fatalf("body: %v: %.300s", err, body)
	}
	if len(list) == 0 || len(list) > 100 {
		t.Fatalf("%d records in a body", len(list))
	}
	return list
}

// delivery is one that waits to be sent.
type delivery struct {
	url  string
	body []byte
}

// take returns what waits to be sent, oldest first, and deletes it: the fastest receiver there can be.
func (r *rig) take() (list []delivery) {
	r.t.Helper()
	ctx := context.Background()
	rows, err := r.d.Query(ctx, `select d.url, b.body from webhook_delivery d join webhook_body b on b.id = d.id order by d.id`)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var d delivery
		if err := rows.Scan(&d.url, &d.body); err != nil {
			r.t.Fatal(err)
		}
		list = append(list, d)
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	r.clear("webhook_delivery", "webhook_body")
	return list
}

// clear empties tables; by default all.
func (r *rig) clear(tables ...string) {
	r.t.Helper()
	if len(tables) == 0 {
		tables = []string{"webhook_delivery", "webhook_body", "push_callback"}
	}
	err := r.d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		for _, table := range tables {
			if _, err := tx.Exec(ctx, "delete from "+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// send runs the deliveries' loop until the test ends.
func (r *rig) send() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.hooks.Run(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	r.hooks.Wake()
	r.t.Cleanup(func() { cancel(); <-done })
}

func (r *rig) metric(name, label string) (sum float64) {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// got is a request that a receiver saw.
type got struct {
	*http.Request
	body []byte
}

type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []got
}

func newReceiver(t testing.TB, answer http.HandlerFunc) *receiver {
	t.Helper()
	rc := &receiver{}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rc.mu.Lock()
		rc.all = append(rc.all, got{r, body})
		rc.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) requests() []got {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]got(nil), rc.all...)
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func upTo(n uint32) []uint32 {
	list := make([]uint32, n)
	for i := range list {
		list[i] = uint32(i)
	}
	return list
}
