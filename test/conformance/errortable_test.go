package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"borealis/internal/app"
	"borealis/test/e2e"
)

// errorTable is the vendor's tables of errors: by API and code, the HTTP status. 8000, success, is in no answer.
var errorTable = map[string]map[int]int{
	"push": {
		1000: 500, 1001: 405, 1002: 400, 1003: 400, 1004: 401, 1005: 400, 1008: 400, 1009: 400, 1011: 400, 1012: 400, 1020: 404, 1030: 503, 1035: 400,
		1105: 403, 2002: 429, 2003: 403, 2004: 403, 2005: 403, 2006: 403, 2007: 403, 2008: 403,
	},
	"device":   {2002: 429, 2003: 403, 7000: 500, 7001: 401, 7002: 400, 7004: 401, 7008: 400, 7013: 400, 7015: 400, 7030: 503},
	"report":   {10: 500, 2003: 403, 3001: 401, 3004: 400, 3005: 400},
	"schedule": {8100: 400, 8101: 401, 8104: 404, 8200: 500, 8203: 503},
	"admin": {
		10: 500, 1010: 200, 1012: 200, 1013: 200, 1014: 200, 1015: 200, 4001: 405, 4002: 400, 4003: 400, 4004: 401, 4005: 401, 4006: 401, 4007: 401,
	},
}

// row is a row of the table: the call that is refused so, or why none is made here.
type row struct {
	request
	// n is who is called, as who calls.
	n  *e2e.Node
	as e2e.Credentials
	// set changes the app's settings for the time of the call.
	set map[string]string
	// prepare makes the state that the call meets. Optional.
	prepare func(t *testing.T)
	// why there is no call, and the test that shows the answer nevertheless: its file and name.
	why, file, test string
}

// Each code of the vendor's tables is answered to the call it is for: with its status, in the shape its clients read, with
// nothing stored.
func TestErrorTable(t *testing.T) {
	rows := errorRows(t)
	for api, codes := range errorTable {
		for _, code := range slices.Sorted(maps.Keys(codes)) {
			t.Run(fmt.Sprint(api, " ", code), func(t *testing.T) {
				r, ok := rows[api][code]
				switch {
				case !ok:
					t.Fatal("the table has a code that no row is for")
				case r.why != "":
					r.proven(t)
				default:
					r.run(t, codes[code], code)
				}
			})
		}
		for code := range rows[api] {
			if codes[code] == 0 {
				t.Errorf("%s: a row for %d, which is not in the table", api, code)
			}
		}
	}
}

// run makes the call.
func (r row) run(t *testing.T, status, code int) {
	x := &target{n: r.n, app: r.as}
	for name, value := range r.set {
		was := x.setting(t, name)
		x.set(t, name, value)
		defer x.set(t, name, was)
	}
	if r.prepare != nil {
		r.prepare(t)
	}
	before := r.n.Rows(t)
	a := send(t, r.n, r.as, r.request)
	if a.status != status || a.code != code {
		t.Errorf("status %d, %s; want status %d, code %d", a.status, a.body, status, code)
	}
	for table, n := range r.n.Rows(t) {
		if n != before[table] && !livesByItself(table) {
			t.Errorf("table %s had %d rows and has %d after a refusal", table, before[table], n)
		}
	}
}

// setting is the value of a setting of the app, or its state.
func (x *target) setting(t *testing.T, name string) string {
	t.Helper()
	var now app.AdminApp
	x.n.Admin(t, http.MethodGet, "/apps/"+x.app.Key, nil, &now)
	for _, s := range now.Settings {
		if s.Name == name {
			return s.Value
		}
	}
	return now.State
}

// livesByItself: tables that a running node writes to without a call.
func livesByItself(table string) bool {
	for _, own := range []string{"lease_", "outbox_", "stat_", "id_block", "push_partition"} {
		if strings.HasPrefix(table, own) {
			return true
		}
	}
	return false
}

// proven checks that the test which shows the answer exists.
func (r row) proven(t *testing.T) {
	t.Log(r.why)
	source, err := os.ReadFile("../../" + r.file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(source, []byte("func "+r.test+"(t *testing.T)")) {
		t.Errorf("%s has no test %s", r.file, r.test)
	}
}
