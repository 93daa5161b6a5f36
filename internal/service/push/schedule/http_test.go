package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

func TestTheNativeAPIShowsWhatComesAndWhatWas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mux := http.NewServeMux()
		r.Routes(humago.New(mux, huma.DefaultConfig("test", "1")), nil, func(context.Context) *gate.App { return r.gate.App(r.key) })
		get := func(path string, into any) int {
			t.Helper()
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/apps/"+r.key+path, nil))
			if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
				t.Fatalf("%s: %v: %s", path, err, w.Body)
			}
			return w.Code
		}
		daily, single, disabled := r.create(r.daily(3)), r.create(r.single(30*time.Hour)), r.create(weekly)
		if code, text := r.call("PUT", "/v3/schedules/"+disabled, `{"enabled":false}`); code != 200 {
			t.Fatal(text)
		}
		r.pass(1, 24*time.Hour)
		r.pusher.set(func() error { return compat.Errorf(400, 1011, "nobody") }, nil)
		r.pass(1, 24*time.Hour)
		var page struct {
			Total     int
			Schedules []struct {
				ID      string
				Enabled bool
				NextAt  int64 `json:"next_at"`
				Zone    string
				Trigger struct{ Periodical *periodicalBody }
				Push    struct{ Platform string }
			}
			Next int64 `json:"next_cursor"`
		}
		if code := get("/schedules?limit=1", &page); code != 200 || page.Total != 2 || len(page.Schedules) != 1 || page.Next == 0 {
			t.Fatalf("%d %+v", code, page)
		}
		if s := page.Schedules[0]; s.ID != daily || s.NextAt != now.Add(72*time.Hour).UnixMilli() || s.Zone != "Asia/Shanghai" || s.Trigger.Periodical == nil || s.Push.Platform != "all" {
			t.Errorf("%+v", s)
		}
		cursor := page.Next
		page.Next, page.Schedules = 0, nil
		if get(fmt.Sprintf("/schedules?cursor=%d", cursor), &page); page.Next != 0 || len(page.Schedules) != 1 || page.Schedules[0].ID != disabled || page.Schedules[0].NextAt != 0 || page.Schedules[0].Enabled {
			t.Errorf("second page %+v", page)
		}
		var one struct {
			Schedule struct {
				ID   string
				Live bool
			}
			Past []firingRow
		}
		get("/schedules/"+daily, &one)
		if len(one.Past) != 2 || one.Past[0] != (firingRow{DueAt: now.Add(24 * time.Hour).UnixMilli(), FiredAt: now.Add(24 * time.Hour).UnixMilli(), Message: "1"}) ||
			one.Past[1].Code != 1011 || one.Past[1].Detail != "nobody" || !one.Schedule.Live || one.Schedule.ID != daily {
			t.Errorf("%+v", one)
		}
		if get("/schedules/"+single, &one); one.Schedule.Live || len(one.Past) != 1 || one.Past[0].Code != 8203 { // 18 hours late
			t.Errorf("over: %+v", one)
		}
		var problem map[string]any
		for path, want := range map[string]int{
			"/schedules/0d5f7c1a-2b3e-4c5d-8e9f-a1b2c3d4e5f6": 404, "/schedules/x": 422, "/schedules?limit=51": 422, "/schedules?cursor=x": 422,
		} {
			if code := get(path, &problem); code != want {
				t.Errorf("%s: %d %v", path, code, problem)
			}
		}
		r.key = otherKey
		if code := get("/schedules/"+daily, &problem); code != 404 {
			t.Errorf("another app's: %d", code)
		}
	})
}
