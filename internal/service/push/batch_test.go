package push

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/service/push/plan"
)

// call makes a call of the vendor's API as an app that has been admitted, and decodes the answer.
func call(t testing.TB, h gate.Handler, app *gate.App, method, target, body string, into any) int {
	t.Helper()
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest(method, target, strings.NewReader(body)), app)
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	return w.Code
}

type batchAnswer map[string]struct {
	MsgID string `json:"msg_id"`
	Error struct {
		Code    int
		Message string
	}
}

// Each push of a batch is accepted or refused on its own, and a repeated batch sends nothing again.
func TestBatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(0, android5...)
		item := func(target string) string {
			return fmt.Sprintf(`{"platform":"all","target":"%s","notification":{"alert":"x"}}`, target)
		}
		var parts []string
		for i := range 100 {
			parts = append(parts, fmt.Sprintf(`"%s-%d":%s`, app.Key, i, item(all[i%5].rid)))
		}
		parts = append(parts,
			fmt.Sprintf(`"%s-nobody":%s`, app.Key, item("ffffffffffffffffffff")),
			fmt.Sprintf(`"foreign":%s`, item(all[0].rid)),
			fmt.Sprintf(`"%s-empty":{"platform":"all","notification":{"alert":"x"}}`, app.Key),
			fmt.Sprintf(`"%s-audience":{"platform":"all","target":"a","audience":"all","notification":{"alert":"x"}}`, app.Key),
			fmt.Sprintf(`"%s-number":{"platform":"all","target":1,"notification":{"alert":"x"}}`, app.Key),
			fmt.Sprintf(`"%s-list":[1]`, app.Key))
		body := `{"pushlist":{` + strings.Join(parts, ",") + `}}`
		batch := r.compatBatch("registration_id")
		var first, second batchAnswer
		if code := call(t, batch, app, http.MethodPost, "/", body, &first); code != 200 || len(first) != 106 {
			t.Fatalf("status %d, %d items", code, len(first))
		}
		for cid, want := range map[string]int{"-nobody": 1011, "-empty": 1002, "-audience": 1009, "-number": 1003, "-list": 1003} {
			if got := first[app.Key+cid]; got.Error.Code != want || got.MsgID != "" {
				t.Errorf("%s: %+v, want %d", cid, got, want)
			}
		}
		if got := first["foreign"]; got.Error.Code != 1003 {
			t.Errorf("a cid of nobody: %+v", got)
		}
		owed := r.connect(app, all[2])
		if len(owed) != 20 {
			t.Errorf("device 2 is owed %d", len(owed))
		}
		call(t, batch, app, http.MethodPost, "/", body, &second)
		for cid, item := range first {
			if second[cid] != item {
				t.Errorf("%s repeated: %+v after %+v", cid, second[cid], item)
			}
		}
		if got := r.connect(app, all[2]); len(got) != 20 {
			t.Errorf("after the repetition device 2 is owed %d", len(got))
		}
		for name, c := range map[string]struct {
			body string
			code int
		}{
			"empty": {`{"pushlist":{}}`, 1002}, "absent": {`{}`, 1002}, "list": {`{"pushlist":[1]}`, 1003}, "text": {`{"pushlist":"x"}`, 1003}, "no JSON": {`{`, 1003},
			"too many": {`{"pushlist":{` + strings.TrimSuffix(strings.Repeat(`"%d":{},`, 1001), ",") + `}}`, 1003},
		} {
			if name == "too many" {
				numbers := make([]any, 1001)
				for i := range numbers {
					numbers[i] = i
				}
				c.body = fmt.Sprintf(c.body, numbers...)
			}
			var refused struct{ Error struct{ Code int } }
			if status := call(t, batch, app, http.MethodPost, "/", c.body, &refused); status != 400 || refused.Error.Code != c.code {
				t.Errorf("%s: %d, %+v", name, status, refused)
			}
		}
	})
}

func TestBatchByAlias(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, android5...)
	r.alias(app, all[3], "ann")
	var out batchAnswer
	body := fmt.Sprintf(`{"pushlist":{"%s-a":{"platform":"all","target":"ann","message":{"msg_content":"x"}},"%s-b":{"platform":"all","target":"bo","message":{"msg_content":"x"}}}}`, app.Key, app.Key)
	call(t, r.compatBatch("alias"), app, http.MethodPost, "/", body, &out)
	if got := r.connect(app, all[3]); len(got) != 1 || FormatID(got[0]) != out[app.Key+"-a"].MsgID || out[app.Key+"-b"].Error.Code != 1011 {
		t.Errorf("owed %v, answer %+v", got, out)
	}
}

// A push to a group reaches each app that accepts it; a repeated cid sends nothing again but goes on where the first call
// was cut off; the report adds the apps up.
func TestGroupPush(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		one, ones := r.newApp(0, "android", "android")
		two, twos := r.newApp(0, "ios", "hmos")
		nobody, _ := r.newApp(0)
		group := &gate.Group{ID: one.ID, Key: "group", Apps: []int64{one.ID, two.ID, nobody.ID}}
		send := func(body string) map[string]json.RawMessage {
			t.Helper()
			w := httptest.NewRecorder()
			r.groupPush(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), group, false)
			var out map[string]json.RawMessage
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			return out
		}
		const body = `{"cid":"g-1","platform":"all","audience":"all","notification":{"alert":"x"},"options":{"sendno":7}}`
		first := send(body)
		var answer pushAnswer
		if err := json.Unmarshal(first[one.Key], &answer); err != nil || answer.SendNo != "7" || answer.MsgID == "" {
			t.Errorf("app one: %s", first[one.Key])
		}
		if !strings.Contains(string(first[nobody.Key]), `"code":1011`) || len(first) != 4 {
			t.Errorf("answer %s", first)
		}
		again := send(body)
		for key, value := range first {
			if string(again[key]) != string(value) {
				t.Errorf("%s: %s after %s", key, again[key], value)
			}
		}
		for _, d := range ones {
			if got := r.connect(one, d); len(got) != 1 {
				t.Errorf("device of app one is owed %v", got)
			}
		}
		if got := r.connect(two, twos[1]); len(got) != 1 {
			t.Errorf("device of app two is owed %v", got)
		}
		var id string
		if err := json.Unmarshal(first["group_msgid"], &id); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r.compatGroupDetail(w, httptest.NewRequest(http.MethodGet, "/?group_msgids="+id+",5", nil), group)
		var rows []struct {
			GroupMsgID string                 `json:"group_msgid"`
			JPush      struct{ Target int64 } `json:"jpush"`
			IOS        struct {
				Target int64 `json:"msg_target"`
			}
			HMOS struct {
				Target int64 `json:"msg_target"`
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || len(rows) != 1 || rows[0].GroupMsgID != id || rows[0].JPush.Target != 2 || rows[0].IOS.Target != 1 || rows[0].HMOS.Target != 1 {
			t.Errorf("report %s", w.Body)
		}
		stranger := &gate.Group{ID: 999, Apps: group.Apps}
		if f, err := r.groupFunnel(ctx, stranger, must(ParseID(id))); err != nil || f != nil {
			t.Errorf("another group reads the report: %+v, %v", f, err)
		}
	})
}

func must[T any](v T, ok bool) T {
	if !ok {
		panic("not ok")
	}
	return v
}

// The report by message has both generations of the answer, and is refused where the setting says so.
func TestMessageReports(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, "android", "ios", "web", "quickapp")
	msg := r.send(app, "", all...)
	if err := r.Report(context.Background(), app.ID, all[0].ordinal, []DeviceEvent{{ID: FormatID(msg), Event: "clicked"}}); err != nil {
		t.Fatal(err)
	}
	target := "/?msg_ids=" + FormatID(msg)
	var detail []struct {
		Details struct {
			Notification struct {
				Target, Click int64
				SubAndroid    map[string]stages `json:"sub_android"`
			}
			Message any
		}
		JPush struct {
			Target, Received int64
			MsgClick         *int64 `json:"msg_click"`
		}
		QuickApp struct{ Target int64 } `json:"quickapp_jpush"`
	}
	call(t, r.compatMessagesDetail, app, http.MethodGet, target, "", &detail)
	d := detail[0]
	if d.Details.Notification.Target != 4 || d.Details.Notification.Click != 1 || d.Details.Notification.SubAndroid["jg_android"].Target != 2 ||
		d.Details.Message != nil || d.JPush.Target != 2 || d.JPush.Received != 1 || d.JPush.MsgClick != nil || d.QuickApp.Target != 1 {
		t.Errorf("detail %+v", d)
	}
	var old []struct {
		Android struct{ Received, Target, Click int64 }
		IOS     struct{ Target int64 }
	}
	call(t, r.compatMessages, app, http.MethodGet, target, "", &old)
	if old[0].Android.Target != 2 || old[0].Android.Click != 1 || old[0].IOS.Target != 1 {
		t.Errorf("old report %+v", old)
	}
	poor := *app
	poor.Settings.PaidCalls = false
	var refused struct{ Error struct{ Code int } }
	if status := call(t, paid(r.compatMessages), &poor, http.MethodGet, target, "", &refused); status != 403 || refused.Error.Code != 2006 {
		t.Errorf("paid call: %d, %+v", status, refused)
	}
}

// The plans that the pushes of a batch name are counted, those that were refused or repeated not.
func TestBatchCountsPlans(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(0, android5...)
		for _, name := range []string{"spring", "autumn"} {
			if err := r.plans.Create(ctx, app, name, "", plan.FromAPI); err != nil {
				t.Fatal(err)
			}
		}
		item := func(cid, target, name string) string {
			return fmt.Sprintf(`"%s-%s":{"platform":"all","target":"%s","notification":{"alert":"x"},"options":{"business_operation_code":"%s"}}`, app.Key, cid, target, name)
		}
		body := `{"pushlist":{` + strings.Join([]string{
			item("1", all[0].rid, "spring"), item("2", all[1].rid, "autumn"), item("3", all[2].rid, "spring"), item("4", "ffffffffffffffffffff", "spring"),
		}, ",") + `}}`
		for range 2 {
			var out batchAnswer
			call(t, r.compatBatch("registration_id"), app, http.MethodPost, "/", body, &out)
		}
		for name, want := range map[string]int{"spring": 2, "autumn": 1} {
			var n int
			err := r.db.QueryRow(ctx, `select sum(u.pushes) from push_plan p join push_plan_use u on u.plan_id = p.id where p.app_id = $1 and p.name = $2`, app.ID, name).Scan(&n)
			if err != nil || n != want {
				t.Errorf("%s is counted %d times, want %d (%v)", name, n, want, err)
			}
		}
	})
}

// What is accepted together is told together, and each push and target once: neither refused ones nor repeated ones.
func TestAcceptedPushesAreCountedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(0, android5...)
		var parts []string
		for i := range 70 {
			parts = append(parts, fmt.Sprintf(`"%s-%d":{"platform":"all","target":"us","notification":{"alert":"x"}}`, app.Key, i))
		}
		r.alias(app, all[0], "us")
		r.alias(app, all[1], "us")
		parts = append(parts, fmt.Sprintf(`"%s-nobody":{"platform":"all","target":"nobody","notification":{"alert":"x"}}`, app.Key))
		count := func(pushes, targets int64) {
			t.Helper()
			if err := r.outbox.Drain(ctx); err != nil || r.accepted != pushes || r.addressed != targets {
				t.Errorf("%d pushes to %d targets are told of, want %d and %d (%v)", r.accepted, r.addressed, pushes, targets, err)
			}
		}
		for range 2 { // the second time all of them are repeated
			var answers batchAnswer
			call(t, r.compatBatch("alias"), app, http.MethodPost, "/", `{"pushlist":{`+strings.Join(parts, ",")+`}}`, &answers)
			count(70, 140)
		}
		if r.events >= 70 {
			t.Errorf("%d events", r.events)
		}
		r.send(app, "", all...)
		count(71, 145)
		if err := r.Withdraw(ctx, app, r.send(app, "", all[0])); err != nil {
			t.Fatal(err)
		}
		count(72, 146)
	})
}
