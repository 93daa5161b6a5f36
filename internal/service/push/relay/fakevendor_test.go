package relay

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fakeVendor is a server that speaks the vendor's wire: credentials, keys from a pool that replay, limits in headers.
type fakeVendor struct {
	*httptest.Server
	t testing.TB

	mu sync.Mutex
	// pushes are those that were accepted, each once; calls counts all to POST /v3/push.
	pushes []accepted
	calls  int
	cids   map[string]string // issued; the message that a used one answers with
	issued int
	// secret that is right; known says which registration ids exist, nil: all.
	secret string
	known  func(id string) bool
	// remaining calls of the window, -1: no limit.
	remaining int
	// next is asked before a push is looked at, and says what goes wrong with it; it holds mu.
	next      func(calls int) fault
	withdrawn []string
}

type accepted struct {
	id, cid string
	ids     []string
	body    map[string]json.RawMessage
	options map[string]any
}

// fault is what goes wrong with one push.
type fault struct {
	status int // answer, without looking at the push
	code   int
	// lost: the push is taken, and its answer does not arrive.
	lost bool
	// before runs when the push has arrived, after when it was taken.
	before, after func()
}

func newVendor(t testing.TB) *fakeVendor {
	t.Helper()
	v := &fakeVendor{t: t, cids: map[string]string{}, secret: vendorSecret, remaining: -1}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *fakeVendor) fail(w http.ResponseWriter, status, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%d,"message":"code %d"}}`, code, code)
}

func (v *fakeVendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, secret, _ := r.BasicAuth(); secret != v.secret {
		v.fail(w, http.StatusUnauthorized, 1004)
		return
	}
	if v.remaining >= 0 {
		w.Header().Set("X-Rate-Limit-Limit", "600")
		w.Header().Set("X-Rate-Limit-Remaining", strconv.Itoa(max(0, v.remaining-1)))
		w.Header().Set("X-Rate-Limit-Reset", "17")
		if v.remaining == 0 {
			v.fail(w, http.StatusTooManyRequests, 2002)
			return
		}
		v.remaining--
	}
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v3/push/cid":
		list := make([]string, 5) // as the vendor, which gives fewer than asked for
		for i := range list {
			v.issued++
			list[i] = fmt.Sprintf("cid-%d", v.issued)
			v.cids[list[i]] = ""
		}
		_ = json.NewEncoder(w).Encode(map[string][]string{"cidlist": list})
	case r.Method == http.MethodPost && r.URL.Path == "/v3/push":
		v.push(w, r)
	case r.Method == http.MethodDelete:
		v.withdrawn = append(v.withdrawn, strings.TrimPrefix(r.URL.Path, "/v3/push/"))
		fmt.Fprint(w, `{}`)
	default:
		v.t.Errorf("the vendor has no %s %s", r.Method, r.URL)
		v.fail(w, http.StatusNotFound, 1020)
	}
}

func (v *fakeVendor) push(w http.ResponseWriter, r *http.Request) {
	v.calls++
	var f fault
	if v.next != nil {
		f = v.next(v.calls)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Error(err)
	}
	if f.before != nil {
		f.before()
	}
	if f.status != 0 {
		v.fail(w, f.status, f.code)
		return
	}
	p := accepted{}
	if err := json.Unmarshal(data, &p.body); err != nil {
		v.t.Errorf("%s: %v", data, err)
	}
	var audience map[string][]string
	for name, into := range map[string]any{"cid": &p.cid, "audience": &audience, "options": &p.options} {
		if err := json.Unmarshal(p.body[name], into); err != nil {
			v.t.Errorf("%s of %s: %v", name, data, err)
		}
	}
	id, issued := v.cids[p.cid]
	switch {
	case !issued:
		v.fail(w, http.StatusBadRequest, 1003)
		return
	case len(audience) != 1 || len(audience["registration_id"]) == 0 || len(audience["registration_id"]) > 1000:
		v.t.Errorf("audience %v", audience)
	}
	for _, rid := range audience["registration_id"] {
		if v.known == nil || v.known(rid) {
			p.ids = append(p.ids, rid)
		}
	}
	if len(p.ids) == 0 {
		v.fail(w, http.StatusBadRequest, 1011)
		return
	}
	if id == "" {
		p.id = strconv.Itoa(9000 + len(v.pushes))
		v.cids[p.cid], id = p.id, p.id
		v.pushes = append(v.pushes, p)
	}
	if f.after != nil {
		f.after()
	}
	if f.lost {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			v.t.Error(err)
			return
		}
		_ = conn.Close()
		return
	}
	fmt.Fprintf(w, `{"sendno":"0","msg_id":%q}`, id)
}

// reached are the registration ids of all accepted pushes, with repetitions.
func (v *fakeVendor) reached() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := map[string]int{}
	for _, p := range v.pushes {
		for _, id := range p.ids {
			out[id]++
		}
	}
	return out
}

// change sets what the vendor does.
func (v *fakeVendor) change(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *fakeVendor) does(next func(calls int) fault) { v.change(func() { v.next = next }) }

// made is how many pushes were tried.
func (v *fakeVendor) made() (n int) {
	v.change(func() { n = v.calls })
	return n
}

// keys is how many were handed out.
func (v *fakeVendor) keys() (n int) {
	v.change(func() { n = v.issued })
	return n
}

// taken are the pushes that were accepted.
func (v *fakeVendor) taken() (list []accepted) {
	v.change(func() { list = slices.Clone(v.pushes) })
	return list
}

// takenBack are the ids of pushes that were withdrawn.
func (v *fakeVendor) takenBack() (list []string) {
	v.change(func() { list = slices.Clone(v.withdrawn) })
	return list
}
