package conformance

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"borealis/internal/app"
)

// newCID asks for an idempotency key.
func (x *target) newCID(t testing.TB) string {
	t.Helper()
	list, _ := send(t, x.n, x.app, request{method: http.MethodGet, path: "/v3/push/cid"}).object(t)["cidlist"].([]any)
	if len(list) != 1 {
		t.Fatalf("cidlist %v", list)
	}
	cid, _ := list[0].(string)
	return cid
}

// accepted makes a push and returns the answer's body and message id.
func (x *target) accepted(t testing.TB, body any) (whole, msg string) {
	t.Helper()
	a := send(t, x.n, x.app, request{body: body})
	msg, _ = a.object(t)["msg_id"].(string)
	return string(a.body), msg
}

// A repeated cid gives the first answer and sends nothing, whatever else the repetition says. Neither a failed attempt
// nor validating uses it up.
func TestRepeatedCID(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	cid := x.newCID(t)
	if a := send(t, x.n, x.app, request{body: pushBody(x.rid, map[string]any{"cid": cid, "audience": with("alias", []string{"nobody"})})}); a.code != 1011 {
		t.Fatalf("status %d, %s; want 1011", a.status, a.body)
	}
	body := pushBody(x.rid, map[string]any{"cid": cid, "options": with("sendno", 7)})
	if a := send(t, x.n, x.app, request{path: "/v3/push/validate", body: body}); a.status != http.StatusOK {
		t.Fatalf("status %d, %s", a.status, a.body)
	}
	first, msg := x.accepted(t, body)
	for _, again := range []map[string]any{
		body,
		pushBody(x.rid, map[string]any{"cid": cid, "options": with("sendno", 8), "notification": with("alert", "another")}),
		pushBody(x.rid, map[string]any{"cid": cid, "audience": with("alias", []string{"nobody"})}),
		pushBody(x.rid, map[string]any{"cid": cid, "audience": "all"}),
	} {
		if answer, _ := x.accepted(t, again); answer != first {
			t.Errorf("repeated: %s, first %s", answer, first)
		}
	}
	// What is malformed is refused before anyone looks at its cid.
	if a := send(t, x.n, x.app, request{body: pushBody(x.rid, map[string]any{"cid": cid, "audience": 5})}); a.code != 1003 {
		t.Errorf("malformed with a used cid: status %d, %s", a.status, a.body)
	}
	x.untouched(t, msg)
}

// A repetition counts against no cap.
func TestRepeatedCIDOfABroadcast(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	x.n.SetApp(t, x.app, app.AdminChange{Name: "broadcast_cap", Value: "1"})
	body := pushBody(x.rid, map[string]any{"cid": x.newCID(t), "audience": "all"})
	first, msg := x.accepted(t, body)
	if answer, _ := x.accepted(t, body); answer != first {
		t.Errorf("repeated: %s, first %s", answer, first)
	}
	x.untouched(t, msg)
}

// Twenty callers with one cid at once: one message.
func TestConcurrentCID(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	var sent []string
	for range 5 {
		body := pushBody(x.rid, map[string]any{"cid": x.newCID(t), "options": with("sendno", 40712)})
		var (
			wg      sync.WaitGroup
			mu      sync.Mutex
			answers []string
			begin   = make(chan struct{})
		)
		for range 20 {
			wg.Go(func() {
				<-begin
				a := send(t, x.n, x.app, request{body: body})
				mu.Lock()
				defer mu.Unlock()
				answers = append(answers, string(a.body))
			})
		}
		close(begin)
		wg.Wait()
		slices.Sort(answers)
		if different := slices.Compact(answers); len(different) != 1 {
			t.Fatalf("the callers got %q", different)
		}
		_, msg := x.accepted(t, body)
		sent = append(sent, msg)
	}
	x.untouched(t, sent...)
}

// The call hands out as many keys as are asked for, all different and all the app's.
func TestCIDs(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	for query, want := range map[string]int{"": 1, "?count=1": 1, "?count=1000": 1000, "?count=7&type=schedule": 7, "?type=push": 1} {
		out := send(t, x.n, x.app, request{method: http.MethodGet, path: "/v3/push/cid" + query}).object(t)
		list, _ := out["cidlist"].([]any)
		seen := map[any]bool{}
		for _, cid := range list {
			text, _ := cid.(string)
			if len(text) != 24+1+36 || text[:25] != x.app.Key+"-" || seen[cid] {
				t.Errorf("cid%s: %q", query, cid)
			}
			seen[cid] = true
		}
		if len(list) != want || len(out) != 1 {
			t.Errorf("cid%s: %d keys, members %d; want %d keys alone", query, len(list), len(out), want)
		}
	}
}
