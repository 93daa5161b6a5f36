package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type rig struct {
	*Service
	t    *testing.T
	fake *clock.Fake
	mux  *http.ServeMux
}

func app(id int64) *gate.App { return &gate.App{ID: id, Settings: gate.DefaultSettings()} }

func newRig(t *testing.T, d *db.DB, quotas Quotas) *rig {
	t.Helper()
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, fake: clock.NewFake(time.Date(2027, 2, 28, 16, 0, 0, 0, time.UTC)), mux: http.NewServeMux()}
	r.Service = New(Deps{DB: d, Clock: r.fake, Log: slog.New(slog.DiscardHandler), Quotas: quotas})
	r.CompatRoutes(func(pattern string, h gate.Handler) {
		r.mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) { h(w, req, app(1)) })
	})
	return r
}

// call answers "status body".
func (r *rig) call(method, target, body string) string {
	r.t.Helper()
	w := httptest.NewRecorder()
	compat.Path(r.mux).ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return fmt.Sprintf("%d %s", w.Code, w.Body)
}

func (r *rig) want(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// refused demands a code, HTTP 400 and exactly the members of the flat envelope.
func (r *rig) refused(got string, code int) {
	r.t.Helper()
	var body map[string]any
	text, ok := strings.CutPrefix(got, "400 ")
	if err := json.Unmarshal([]byte(text), &body); !ok || err != nil || len(body) != 2 || body["code"] != float64(code) || body["message"] == "" {
		r.t.Errorf("got %s, want the code %d", got, code)
	}
}

func (r *rig) used(name string, at time.Time) {
	r.t.Helper()
	err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return Used(ctx, tx, 1, name, clock.Millis(at)) })
	if err != nil {
		r.t.Fatal(err)
	}
}

const done = `200 {"code":0,"message":"success"}`

func TestPlansAreKeptCountedAndListed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		page := func(total, page, size int, details ...string) string {
			return fmt.Sprintf(`200 {"code":0,"message":"success","data":{"total":%d,"page":%d,"page_size":%d,"detail":[%s]}}`,
				total, page, size, strings.Join(details, ","))
		}
		r.want(r.call("GET", "/v3/push_plan/list", ""), page(0, 1, 50))
		r.want(r.call("POST", "/v3/push_plan/create", `{"name":"spring_sale","description":"March campaign"}`), done)
		r.fake.Advance(time.Minute)
		r.want(r.call("POST", "/v3/push_plan/create/", `{"name":"100%_促销"}`), done)
		r.want(r.call("PUT", "/v3/push_plan/update", `{"name":"spring_sale","description":"March and April"}`), done)
		if err := r.Create(context.Background(), app(1), "web", "by hand", FromConsole); err != nil {
			t.Fatal(err)
		}
		if err := r.Create(context.Background(), app(2), "spring_sale", "of another app", FromAPI); err != nil {
			t.Fatal(err)
		}
		first := r.fake.Now().Add(time.Hour)
		for i := range 40 { // more than there are slots, not in the order of time
			r.used("spring_sale", first.Add(time.Duration(i*7%40)*time.Millisecond))
		}
		r.used("nobody", first)

		sale := `{"name":"spring_sale","description":"March and April","push_count":40,"create_time":"2027-03-01 00:00:00",` +
			`"last_used_time":"2027-03-01 01:01:00","send_source":0}`
		chinese := `{"name":"100%_促销","description":"","push_count":0,"create_time":"2027-03-01 00:01:00","last_used_time":null,"send_source":0}`
		web := `{"name":"web","description":"by hand","push_count":0,"create_time":"2027-03-01 00:01:00","last_used_time":null,"send_source":1}`
		for query, want := range map[string]string{
			"":                                      page(3, 1, 50, sale, chinese, web),
			"page=0&page_size=0":                    page(3, 1, 50, sale, chinese, web),
			"page=2&page_size=2":                    page(3, 2, 2, web),
			"page=9&page_size=2":                    page(3, 9, 2),
			"page=1000000&page_size=1000000":        page(3, 1000000, 1000000),
			"info=April&send_source=0":              page(1, 1, 50, sale),
			"info=sale":                             page(1, 1, 50, sale),
			"info=" + url.QueryEscape("%_"):         page(1, 1, 50, chinese),
			"info=促":                                page(1, 1, 50, chinese),
			"info=sale&send_source=1":               page(0, 1, 50),
			"send_source=0":                         page(2, 1, 50, sale, chinese),
			"send_source=1":                         page(1, 1, 50, web),
			"send_source=7&page_size=1&page=1":      page(3, 1, 1, sale),
			"page=1&page_size=50&info=&send_source": page(3, 1, 50, sale, chinese, web),
		} {
			r.want(r.call("GET", "/v3/push_plan/list?"+query, ""), want)
		}
	})
}

func TestBadInputStoresNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		r.want(r.call("POST", "/v3/push_plan/create", `{"name":"taken"}`), done)
		r.refused(r.call("POST", "/v3/push_plan/create", `{"name":"taken","description":"again"}`), codeInvalid)
		r.refused(r.call("PUT", "/v3/push_plan/update", `{"name":"nobody"}`), codeInvalid)
		for body, code := range map[string]int{
			``: codeMissing, `null`: codeMissing, `[]`: codeMissing, `{}`: codeMissing, `{"name":""}`: codeMissing, `{"name":null}`: codeMissing,
			`{`: codeInvalid, "\xff": codeInvalid, `{"name":7}`: codeInvalid, `{"name":"a","description":[]}`: codeInvalid, `[1]`: codeInvalid,
			`{"name":"a\u0000"}`: codeInvalid, `{"name":"` + strings.Repeat("x", maxNameBytes+1) + `"}`: codeInvalid,
			`{"name":"a","description":"` + strings.Repeat("x", maxDescriptionBytes+1) + `"}`: codeInvalid,
			`{"name":"` + strings.Repeat("x", maxBody) + `"}`:                                 1005,
		} {
			r.refused(r.call("POST", "/v3/push_plan/create", body), code)
			r.refused(r.call("PUT", "/v3/push_plan/update", body), code)
		}
		for _, query := range []string{"page=x", "page_size=-1", "page=1000001", "page_size=1.5", "info=%00", "info=%ff"} {
			r.refused(r.call("GET", "/v3/push_plan/list?"+query, ""), codeInvalid)
		}
		if total, page, err := queryPage(context.Background(), d, 1, "", anySource, 10, 0); err != nil || total != 1 || page[0].Description != "" {
			t.Errorf("kept %v (%v)", page, err)
		}
	})
}

func TestPlansAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			for i := range MaxPlans - 2 {
				if err := insert(ctx, tx, 1, Plan{Name: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		// Of four at the same time two fit.
		var wg sync.WaitGroup
		answers := make([]string, 4)
		for i := range answers {
			wg.Go(func() { answers[i] = r.call("POST", "/v3/push_plan/create", fmt.Sprintf(`{"name":"new %d"}`, i)) })
		}
		wg.Wait()
		added := 0
		for _, a := range answers {
			if a == done {
				added++
				continue
			}
			r.refused(a, codeInvalid)
		}
		if added != 2 {
			t.Errorf("%d added", added)
		}
	})
}

// Pushes of one plan do not wait for each other: two transactions count at the same time, neither has committed.
func TestUsesDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r := newRig(t, dbtest.Postgres(t), nil)
	if err := r.Create(ctx, app(1), "p", "", FromAPI); err != nil {
		t.Fatal(err)
	}
	err := r.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := Used(ctx, tx, 1, "p", 1000); err != nil {
			return err
		}
		return r.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return UsedTimes(ctx, tx, 1, "p", 3, 1001) })
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, page, err := queryPage(ctx, r.db, 1, "", anySource, 1, 0); err != nil || page[0].Pushes != 4 || page[0].UsedAt != 1001 {
		t.Errorf("%+v (%v)", page, err)
	}
}

type quotas map[string]map[string]Quota

func (q quotas) Quotas(app int64) map[string]map[string]Quota {
	if app != 1 {
		return nil
	}
	return q
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	none := `{"system":{"total":-1,"used":-1},"operation":{"total":-1,"used":-1}}`
	r := newRig(t, d, nil)
	r.want(r.call("GET", "/v3/push/quota", ""), `200 {"code":0,"message":"success","data":{"xiaomi_quota":`+none+`,"oppo_quota":`+none+`,"vivo_quota":`+none+`}}`)
	r = newRig(t, d, quotas{
		"xiaomi": {"operation": {50000, 1200}, "special": {1, 1}}, "vivo": {"system": {30000, 4}, "operation": {10000, 77}}, "huawei": {"system": {1, 1}},
	})
	r.want(r.call("GET", "/v3/push/quota", "null"), `200 {"code":0,"message":"success","data":{"xiaomi_quota":{"system":{"total":-1,"used":-1},"operation":{"total":50000,"used":1200}},`+
		`"oppo_quota":`+none+`,"vivo_quota":{"system":{"total":30000,"used":4},"operation":{"total":10000,"used":77}}}}`)
}

// A failure that is not the caller's is not told in detail.
func TestFailureIsInternal(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	r := newRig(t, d, nil)
	if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `drop table push_plan`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r.want(r.call("GET", "/v3/push_plan/list", ""), `500 {"code":1000,"message":"internal error"}`)
}
