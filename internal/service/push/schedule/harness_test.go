package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/jobs"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	dbtest.Main(m)
}

// pusher stands for the push service: it reads pushes as that does and keeps them in a table, in one transaction with
// what it is given.
type pusher struct {
	db *db.DB

	mu sync.Mutex
	// before runs before the transaction; its error is Fire's.
	before func() error
	// after runs after the transaction; its error is Fire's, as when a connection is lost at the commit.
	after func() error
	next  int64
}

func (p *pusher) ParseScheduled(_ *gate.App, body []byte) (*payload.Push, error) {
	return payload.Parse(body, payload.Rules{IgnoreCID: true})
}

func (p *pusher) Fire(ctx context.Context, app *gate.App, push *payload.Push, also func(context.Context, *db.Tx, int64) error) (int64, error) {
	p.mu.Lock()
	p.next++
	msg, before, after := p.next, p.before, p.after
	p.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return 0, err
		}
	}
	err := p.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `insert into fired (msg_id, app_id, push) values ($1, $2, $3)`, msg, app.ID, string(push.Raw)); err != nil {
			return err
		}
		return also(ctx, tx, msg)
	})
	if err == nil && after != nil {
		err = after()
	}
	if err != nil {
		return 0, fmt.Errorf("push: %w", err)
	}
	return msg, nil
}

func (p *pusher) set(before, after func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before, p.after = before, after
}

// now is when most tests begin: Monday, noon in Shanghai.
var now = time.Date(2027, 3, 1, 4, 0, 0, 0, time.UTC)

const (
	appKey   = "aaaaaaaaaaaaaaaaaaaaaaaa"
	otherKey = "bbbbbbbbbbbbbbbbbbbbbbbb"
	hello    = `{"platform":"all","audience":"all","notification":{"alert":"hello"}}`
)

// rig is one node: everything real but the push service, and a clock that the test moves.
type rig struct {
	*Service
	t      testing.TB
	db     *db.DB
	fake   *clock.Fake
	pusher *pusher
	queue  *jobs.Queue
	mux    *http.ServeMux
	key    string // of the app that calls
}

func newRig(t testing.TB, d *db.DB) *rig {
	t.Helper()
	ctx := context.Background()
	err := errors.Join(jobs.Migrate(ctx, d), Migrate(ctx, d), d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `create table if not exists fired (msg_id bigint primary key, app_id bigint not null, push text not null)`)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	fake := clock.NewFake(now)
	g := gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 100))
	for i, key := range []string{appKey, otherKey} {
		g.Publish(gate.App{ID: int64(i + 1), Key: key, State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1})
	}
	return newNode(t, d, fake, g, &pusher{db: d})
}

// newNode is another node, or a later run of one, with the same world around it.
func newNode(t testing.TB, d *db.DB, fake *clock.Fake, g *gate.Gate, p *pusher) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	r := &rig{t: t, db: d, fake: fake, pusher: p, queue: jobs.New(d, fake, log), mux: http.NewServeMux(), key: appKey}
	r.Service = New(Deps{DB: d, Gate: g, Jobs: r.queue, Pusher: p, Clock: fake, Log: log})
	r.CompatRoutes(func(pattern string, h gate.Handler) {
		r.mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) { h(w, req, g.App(r.key)) })
	})
	return r
}

// set changes the app that calls.
func (r *rig) set(change func(*gate.App)) {
	app := *r.gate.App(r.key)
	change(&app)
	app.Revision++
	r.gate.Publish(app)
}

// call makes a request and returns status and body.
func (r *rig) call(method, path, body string) (int, string) {
	r.t.Helper()
	w := httptest.NewRecorder()
	compat.Path(r.mux).ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		r.t.Errorf("%s %s: %s", method, path, got)
	}
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return w.Code, string(text)
}

// want makes a request that must have exactly this answer.
func (r *rig) want(method, path, body string, status int, answer string) {
	r.t.Helper()
	if code, got := r.call(method, path, body); code != status || got != answer {
		r.t.Errorf("%s %s %s:\n%d %s, want\n%d %s", method, path, body, code, got, status, answer)
	}
}

// refuses makes a request that must be refused with a code.
func (r *rig) refuses(method, path, body string, status, code int) {
	r.t.Helper()
	got, text := r.call(method, path, body)
	if got != status || errorCode(text) != code || strings.Contains(text, "schedule_id") || strings.Contains(text, "msg_id") {
		r.t.Errorf("%s %s %.300s:\n%d %s, want %d with code %d", method, path, body, got, text, status, code)
	}
}

// errorCode is the code of an error body in the standard shape, or -1.
func errorCode(body string) int {
	var e struct {
		Error struct {
			Code    int
			Message string
		}
	}
	if json.Unmarshal([]byte(body), &e) != nil || e.Error.Message == "" {
		return -1
	}
	return e.Error.Code
}

// create makes a schedule and returns its id.
func (r *rig) create(trigger string) string {
	r.t.Helper()
	code, text := r.call("POST", "/v3/schedules", `{"name":"n","enabled":true,"trigger":`+trigger+`,"push":`+hello+`}`)
	var out createdBody
	if err := json.Unmarshal([]byte(text), &out); code != 200 || err != nil || len(out.ID) != 36 {
		r.t.Fatalf("create: %d %s", code, text)
	}
	return out.ID
}

// single is a trigger that fires in d, in Shanghai. The clock moves on to a full second.
func (r *rig) single(d time.Duration) string {
	now := r.fake.Now()
	r.fake.Advance(now.Add(time.Second - 1).Truncate(time.Second).Sub(now))
	at := r.fake.Now().Add(d).In(zone(r.t, "Asia/Shanghai")).Format(time.DateTime)
	return `{"single":{"time":"` + at + `"}}`
}

// daily fires every day at 12:00 in Shanghai, 04:00 UTC, from tomorrow on for n days.
func (r *rig) daily(n int) string {
	start := r.fake.Now().In(zone(r.t, "Asia/Shanghai")).Add(time.Second)
	return periodicalText(start.Format(time.DateTime), start.AddDate(0, 0, n).Format(time.DateTime), "12:00:00", "day", 1)
}

// due does what is due.
func (r *rig) due() {
	r.t.Helper()
	if _, err := r.queue.RunDue(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets time go by in steps, doing what is due at each.
func (r *rig) pass(steps int, step time.Duration) {
	for range steps {
		r.fake.Advance(step)
		r.due()
	}
}

func (r *rig) count(query string, args ...any) (n int) {
	r.t.Helper()
	if err := r.db.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) fired() int { return r.count(`select count(*) from fired`) }

// pastCodes lists the codes of what a schedule did, oldest first.
func (r *rig) pastCodes(id string) string {
	r.t.Helper()
	var codes []string
	for _, p := range r.pastOf(id) {
		codes = append(codes, fmt.Sprint(p.Error.Code))
		if (p.Msg == "") != (p.Error.Code != 0) || (p.Error.Message == "") != (p.Error.Code == 0) {
			r.t.Errorf("past %+v", p)
		}
	}
	return strings.Join(codes, " ")
}

func (r *rig) pastOf(id string) (list []pastBody) {
	r.t.Helper()
	code, text := r.call("GET", "/v3/schedules/"+id+"/msg_ids", "")
	var out struct {
		Count  int
		Msgids []string
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil || code != 200 || out.Count != len(out.Msgids) {
		r.t.Fatalf("%d %s", code, text)
	}
	for _, s := range out.Msgids {
		var p pastBody
		if err := json.Unmarshal([]byte(s), &p); err != nil {
			r.t.Fatal(s, err)
		}
		list = append(list, p)
	}
	return list
}

// live is the number of live schedules that the list tells.
func (r *rig) live() int {
	r.t.Helper()
	var out struct {
		Count     int `json:"total_count"`
		Schedules []scheduleRead
	}
	code, text := r.call("GET", "/v3/schedules", "")
	if err := json.Unmarshal([]byte(text), &out); err != nil || code != 200 || out.Count <= PageSize && out.Count != len(out.Schedules) {
		r.t.Fatalf("%d %s", code, text)
	}
	return out.Count
}

type scheduleRead struct {
	ID      string `json:"schedule_id"`
	Enabled bool
}
