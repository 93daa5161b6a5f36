package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

const weekly = `{"periodical":{"start":"2027-03-01 00:00:00","end":"2027-09-01 00:00:00","time":"08:30:00","time_unit":"WEEK","frequency":2,"point":["MON","THU"]}}`

func TestAnswersHaveTheVendorsShapes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.want("GET", "/v3/schedules", "", 200, `{"total_count":0,"total_pages":0,"page":1,"schedules":[]}`)
		// The cid inside the push is ignored, "true" is true, and the whole is shown in canonical form.
		code, text := r.call("POST", "/v3/schedules/", `{"name":"weekly_摘要1","enabled":"true","trigger":`+weekly+
			`,"push":{"cid":"what","platform":"all","audience":"all","notification":{"alert":"hello"},"message":{},"options":{"apns_production":"false"}},"other":[1]}`)
		id := text[len(`{"schedule_id":"`):][:36]
		if code != 200 || text != `{"schedule_id":"`+id+`","name":"weekly_摘要1"}` {
			t.Fatalf("%d %s", code, text)
		}
		shown := func(name string, enabled bool, push string) string {
			return fmt.Sprintf(`{"schedule_id":"%s","name":"%s","enabled":%v,"trigger":%s,"push":%s}`, id, name, enabled, weekly, push)
		}
		first := `{"platform":"all","audience":"all","options":{"apns_production":false},"notification":{"alert":"hello"}}`
		r.want("GET", "/v3/schedules/"+id, "null", 200, shown("weekly_摘要1", true, first))
		r.want("GET", "/v3/push/schedules/"+strings.ToUpper(id)+"/", "", 200, shown("weekly_摘要1", true, first))
		r.want("GET", "/v3/schedules?page=", "", 200, `{"total_count":1,"total_pages":1,"page":1,"schedules":[`+shown("weekly_摘要1", true, first)+`]}`)
		r.want("GET", "/v3/schedules?page=2", "", 200, `{"total_count":1,"total_pages":1,"page":2,"schedules":[]}`)
		r.want("GET", "/v3/schedules?page=9223372036854775807", "", 200, `{"total_count":1,"total_pages":1,"page":9223372036854775807,"schedules":[]}`)
		r.want("PUT", "/v3/schedules/"+id, `{"enabled":false}`, 200, shown("weekly_摘要1", false, first))
		r.want("PUT", "/v3/schedules/"+id, `{"name":"b","enabled":1,"trigger":null,"push":`+hello+`}`, 200, shown("b", true, hello))
		r.want("PUT", "/v3/schedules/"+id, shown("c", true, hello), 200, shown("c", true, hello)) // what was read, sent back
		r.want("GET", "/v3/schedules/"+id+"/msg_ids", "", 200, `{"count":0,"msgids":[]}`)
		r.want("DELETE", "/v3/schedules/"+id, "null", 200, `{}`)
		for _, call := range []string{"GET ", "DELETE ", "PUT ", "GET /msg_ids"} {
			method, rest, _ := strings.Cut(call, " ")
			for _, id := range []string{id, "0d5f7c1a-2b3e-4c5d-8e9f-a1b2c3d4e5f6", "no-uuid", "1", strings.Repeat("x", 36), "%00", strings.Repeat("a", 2000)} {
				r.refuses(method, "/v3/schedules/"+id+rest, `{"name":"x"}`, 404, 8104)
			}
		}
		for _, page := range []string{"0", "-1", "x", "1.5", "9223372036854775808", "%00"} {
			r.refuses("GET", "/v3/schedules?page="+page, "", 400, 8100)
		}
	})
}

// stored counts the rows of everything a call could leave behind.
func (r *rig) stored() (n int) {
	for _, table := range []string{"push_schedule", "push_schedule_app", "push_schedule_fire", "push_schedule_cid", "jobs_job", "fired"} {
		n += r.count(`select count(*) from ` + table)
	}
	return n
}

func TestSchedulesThatAreRefusedLeaveNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		good := map[string]string{"name": `"n"`, "enabled": `true`, "trigger": weekly, "push": hello, "cid": `"` + appKey + `-1"`}
		with := func(key, value string) string {
			m := map[string]json.RawMessage{}
			for k, v := range good {
				m[k] = json.RawMessage(v)
			}
			if m[key] = json.RawMessage(value); value == "" {
				delete(m, key)
			}
			return string(encode(m))
		}
		bad := []string{
			``, `null`, `[]`, `{}`, `[1]`, `5`, `"x"`, `{`, `{"name":}`, "\xff", `{"name":"` + strings.Repeat("x", maxBody) + `"}`,
			strings.Repeat(`[`, 100_000), strings.Repeat(`{"push":`, 20_000),
			with("name", ``), with("name", `null`), with("name", `""`), with("name", `5`), with("name", `"a b"`), with("name", `"a-b"`), with("name", `"a\u0000"`),
			with("name", `"`+strings.Repeat("x", 256)+`"`), with("name", `"`+strings.Repeat("字", 86)+`"`), with("name", `"\ud800"`),
			with("enabled", ``), with("enabled", `null`), with("enabled", `false`), with("enabled", `"0"`), with("enabled", `"yes"`), with("enabled", `2`), with("enabled", `{}`),
			with("trigger", ``), with("trigger", `{}`), with("trigger", `{"intelligent":{"backup_time":"2027-03-02 00:00:00"}}`),
			with("trigger", `{"single":{"time":"2027-03-01 12:00:00"}}`), with("trigger", `{"single":{"time":"2028-03-01 12:00:01"}}`),
			with("trigger", strings.Replace(weekly, "2027-09", "2028-04", 1)), with("trigger", strings.ReplaceAll(weekly, "2027", "2026")),
			with("push", ``), with("push", `null`), with("push", `{}`), with("push", `"x"`), with("push", `{"platform":"all"}`),
			with("push", strings.Replace(hello, "alert", "alarm", 1)), with("push", strings.Replace(hello, "hello", strings.Repeat("x", 5000), 1)),
			with("cid", `5`), with("cid", `"x"`), with("cid", `"`+appKey+`"`), with("cid", `"`+appKey+`-"`), with("cid", `"`+otherKey+`-1"`),
		}
		for _, body := range bad {
			r.refuses("POST", "/v3/schedules", body, 400, 8100)
		}
		if n := r.stored(); n != 0 {
			t.Errorf("%d rows were stored", n)
		}
		// Nothing of it used up the cid.
		if code, text := r.call("POST", "/v3/schedules", with("", `0`)); code != 200 {
			t.Errorf("%d %s", code, text)
		}
	})
}

func TestChangesThatAreRefusedChangeNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		single, periodical := r.create(r.single(time.Hour)), r.create(weekly)
		_, one := r.call("GET", "/v3/schedules/"+single, "")
		_, other := r.call("GET", "/v3/schedules/"+periodical, "")
		for _, body := range []string{
			``, `{}`, `null`, `{"cid":"x"}`, `{"name":""}`, `{"name":"a b"}`, `{"enabled":"x"}`, `{"push":{}}`, `{"push":{"platform":"android"}}`, `{`,
			`{"trigger":{}}`, `{"trigger":{"end":"2027-11-18 12:00:00"}}`, `{"trigger":{"single":{"time":"2027-03-01 11:00:00"}}}`,
			`{"trigger":{"intelligent":{}}}`, `{"name":"fine","push":{"platform":"all","audience":"all"}}`,
		} {
			r.refuses("PUT", "/v3/schedules/"+single, body, 400, 8100)
			r.refuses("PUT", "/v3/schedules/"+periodical, body, 400, 8100)
		}
		r.refuses("PUT", "/v3/schedules/"+single, `{"trigger":`+weekly+`}`, 400, 8100)
		r.refuses("PUT", "/v3/schedules/"+periodical, `{"trigger":`+r.single(time.Hour)+`}`, 400, 8100)
		r.want("GET", "/v3/schedules/"+single, "", 200, one)
		r.want("GET", "/v3/schedules/"+periodical, "", 200, other)
		r.want("PUT", "/v3/schedules/"+single, `{"trigger":`+r.single(2*time.Hour)+`}`, 200, strings.Replace(one, "13:00:00", "14:00:00", 1))
	})
}

func TestSchedulesBelongToTheirApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.create(weekly)
		r.key = otherKey
		r.refuses("GET", "/v3/schedules/"+id, "", 404, 8104)
		r.refuses("GET", "/v3/schedules/"+id+"/msg_ids", "", 404, 8104)
		r.refuses("PUT", "/v3/schedules/"+id, `{"enabled":false}`, 404, 8104)
		r.refuses("DELETE", "/v3/schedules/"+id, "", 404, 8104)
		r.want("GET", "/v3/schedules", "", 200, `{"total_count":0,"total_pages":0,"page":1,"schedules":[]}`)
		r.key = appKey
		if r.live() != 1 {
			t.Error("the schedule is gone")
		}
	})
}

func TestPagesAreOfFiftyInOrderOfCreation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		var want []string
		for range 102 {
			want = append(want, r.create(weekly))
		}
		r.call("DELETE", "/v3/schedules/"+want[0], "")
		want = want[1:]
		var got []string
		for page := 1; page <= 4; page++ {
			var out struct {
				Pages     int `json:"total_pages"`
				Page      int
				Schedules []scheduleRead
			}
			_, text := r.call("GET", fmt.Sprintf("/v3/schedules?page=%d", page), "")
			if err := json.Unmarshal([]byte(text), &out); err != nil || out.Pages != 3 || out.Page != page || len(out.Schedules) != []int{50, 50, 1, 0}[page-1] {
				t.Fatalf("page %d: %.200s", page, text)
			}
			for _, s := range out.Schedules {
				got = append(got, s.ID)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	})
}

// However many calls come at once, the app has at most as many live schedules as it may.
func TestLiveSchedulesAreLimited(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.set(func(a *gate.App) { a.Settings.Schedules = 5 })
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			codes = map[int]int{}
		)
		for range 12 {
			wg.Go(func() {
				code, text := r.call("POST", "/v3/schedules", `{"name":"n","enabled":true,"trigger":`+r.single(time.Hour)+`,"push":`+hello+`}`)
				mu.Lock()
				defer mu.Unlock()
				if codes[code]++; code != 200 && errorCode(text) != 8100 {
					t.Errorf("%d %s", code, text)
				}
			})
		}
		wg.Wait()
		if codes[200] != 5 || codes[400] != 7 || r.live() != 5 || r.count(`select count(*) from jobs_job`) != 5 {
			t.Errorf("answers %v, live %d", codes, r.live())
		}
		r.pass(1, time.Hour) // what is over does not count
		r.create(weekly)
		if r.live() != 1 {
			t.Errorf("live %d", r.live())
		}
	})
}

func TestACidAnswersWithItsFirstResult(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		body := func(name string) string {
			return `{"cid":"` + appKey + `-1","name":"` + name + `","enabled":true,"trigger":` + r.single(time.Hour) + `,"push":` + hello + `}`
		}
		var (
			wg      sync.WaitGroup
			mu      sync.Mutex
			answers = map[string]bool{}
		)
		for range 6 {
			wg.Go(func() {
				code, text := r.call("POST", "/v3/schedules", body("first"))
				mu.Lock()
				defer mu.Unlock()
				if answers[text] = true; code != 200 {
					t.Errorf("%d %s", code, text)
				}
			})
		}
		wg.Wait()
		if len(answers) != 1 || r.live() != 1 {
			t.Fatalf("answers %v, live %d", answers, r.live())
		}
		first := slices.Collect(maps.Keys(answers))[0]
		again := body("second")
		r.want("POST", "/v3/schedules", again, 200, first)
		r.pass(1, 24*time.Hour-time.Millisecond) // over long since, and the body expired
		r.want("POST", "/v3/schedules", again, 200, first)
		r.fake.Advance(time.Millisecond)
		if code, text := r.call("POST", "/v3/schedules", body("third")); code != 200 || text == first {
			t.Errorf("after a day: %d %s", code, text)
		}
		r.fake.Advance(25 * time.Hour)
		r.sweepNow()
		if n := r.count(`select count(*) from push_schedule_cid`); n != 0 {
			t.Errorf("%d cids remain", n)
		}
	})
}

func TestFailuresAreTheVendorsCodes(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	r := newRig(t, d)
	breakTable := func(sql string) {
		if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { _, err := tx.Exec(ctx, sql); return err }); err != nil {
			t.Fatal(err)
		}
	}
	breakTable(`alter table push_schedule_app rename to away`)
	r.refuses("GET", "/v3/schedules", "", 500, 8200)
	r.refuses("POST", "/v3/schedules", `{"name":"n","enabled":true,"trigger":`+weekly+`,"push":`+hello+`}`, 500, 8200)
	breakTable(`alter table away rename to push_schedule_app`)
	if err := timeout(fmt.Errorf("wrapped: %w", context.DeadlineExceeded)); err != errTimeout { //nolint:errorlint // the very answer
		t.Error(err)
	}
	r.want("GET", "/v3/schedules", "", 200, `{"total_count":0,"total_pages":0,"page":1,"schedules":[]}`)
}

// Whatever is made of a good call, the answer is one of the table, never a failure of ours.
func TestMutatedCallsAreAnswered(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	r := newRig(t, d)
	id := r.create(weekly)
	good := `{"cid":"` + appKey + `-7","name":"n","enabled":true,"trigger":` + weekly + `,"push":` + hello + `}`
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			body := []byte(good)
			for range rapid.IntRange(1, 4).Draw(t, "mutations") {
				at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
				switch rapid.IntRange(0, 2).Draw(t, "kind") {
				case 0:
					body[at] = rapid.Byte().Draw(t, "byte")
				case 1:
					body = append(body[:at], body[min(len(body), at+rapid.IntRange(1, 9).Draw(t, "cut")):]...)
				default:
					part := rapid.SampledFrom([]string{`null`, `"`, `{}`, `[`, `,`, `\u0000`, `99999999999999999999`, `-1`, `true`, "字"}).Draw(t, "part")
					body = append(body[:at], append([]byte(part), body[at:]...)...)
				}
				if len(body) == 0 {
					body = []byte(" ")
				}
			}
			for _, call := range [][2]string{{"POST", "/v3/schedules"}, {"PUT", "/v3/schedules/" + id}} {
				status, text := r.call(call[0], call[1], string(body))
				ok := status == 200 && errorCode(text) == -1 || status == 400 && errorCode(text) == 8100
				if !ok || !json.Valid([]byte(text)) {
					t.Fatalf("%s %q: %d %s", call[0], body, status, text)
				}
			}
		}
	})
}

// A call whose time is up stores nothing, and is told so in the code that clients try again on.
func TestTimeoutIsToldInTheVendorsCode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		before := r.stored()
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
		defer cancel()
		for call, body := range map[string]string{
			"POST /v3/schedules": `{"name":"n","enabled":true,"trigger":` + weekly + `,"push":` + hello + `}`,
			"GET /v3/schedules":  "",
		} {
			method, path, _ := strings.Cut(call, " ")
			w := httptest.NewRecorder()
			r.mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body)))
			if want := `{"error":{"code":8203,"message":"timeout, try again"}}`; w.Code != 503 || w.Body.String() != want {
				t.Errorf("%s: %d %s", call, w.Code, w.Body)
			}
		}
		if after := r.stored(); after != before {
			t.Errorf("%d rows, want %d", after, before)
		}
	})
}
