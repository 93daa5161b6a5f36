package jpushimport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// server is a stand-in for the admin socket: it knows each id once.
type server struct {
	known   map[string]bool
	batches []int
	failAt  int // batch that fails, from 1; 0: none
}

func (s *server) send(_ context.Context, batch []Device) (Result, error) {
	s.batches = append(s.batches, len(batch))
	if len(s.batches) == s.failAt {
		return Result{}, errors.New("the server is gone")
	}
	var r Result
	for i, d := range batch {
		switch {
		case d.Alias == "bad":
			r.Refused = append(r.Refused, Refused{i, "alias", "is full"})
		case s.known[d.RegistrationID]:
			r.Known++
		default:
			s.known[d.RegistrationID] = true
			r.Created++
		}
	}
	return r, nil
}

// lines is a file of n devices, the tenth of which the server refuses, after a line that is no device.
func lines(n int) string {
	var b strings.Builder
	b.WriteString("registration_id,alias\nbroken\n")
	for i := 1; i <= n; i++ {
		alias := ""
		if i == 10 {
			alias = "bad"
		}
		fmt.Fprintf(&b, "id-%d,%s\n", i, alias)
	}
	return b.String()
}

func run(t *testing.T, s *server, text, state string) (Counts, []string, error) {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), Auto)
	if err != nil {
		t.Fatal(err)
	}
	st, err := OpenState(state, "input")
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	im := Importer{Reader: r, Send: s.send, State: st, Bad: func(e *LineError) { bad = append(bad, e.Error()) }}
	c, err := im.Run(context.Background())
	return c, bad, err
}

func TestImportGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	s := &server{known: map[string]bool{}, failAt: 3}
	text := lines(1700)
	c, bad, err := run(t, s, text, path)
	want := []string{"line 2: has 1 columns, the header row has 2", "line 12: alias: is full"}
	if err == nil || c.Created != 999 || !slices.Equal(bad, want) {
		t.Fatalf("first run: %+v, %q, %v", c, bad, err)
	}
	s.failAt = 0
	c, bad, err = run(t, s, text, path)
	if err != nil || c != (Counts{Created: 1699, Bad: 2}) || len(bad) != 0 || c.Devices() != 1701 {
		t.Errorf("second run: %+v, %q, %v", c, bad, err)
	}
	if !slices.Equal(s.batches, []int{500, 500, 500, 500, 200}) {
		t.Errorf("batches %v", s.batches)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state is left behind: %v", err)
	}
	// Once more from the beginning: nothing changes.
	if c, _, err := run(t, s, text, path); err != nil || c != (Counts{Known: 1699, Bad: 2}) {
		t.Errorf("again: %+v, %v", c, err)
	}
}

func TestStateOfAnotherImportIsNotUsed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	s := &State{path: path, saved: saved{Input: "one", Lines: 7}}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if back, err := OpenState(path, "one"); err != nil || back.Lines != 7 {
		t.Errorf("read back %+v, %v", back, err)
	}
	if _, err := OpenState(path, "two"); err == nil || !strings.Contains(err.Error(), "another import") {
		t.Errorf("another input: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenState(path, "one"); err == nil {
		t.Error("a damaged state was read")
	}
}

func TestBatchesAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	s := &server{known: map[string]bool{}}
	var b strings.Builder
	b.WriteString("registration_id,tags\n")
	for i := range 20 {
		fmt.Fprintf(&b, "id-%d,%s\n", i, strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 40)+";", 1500), ";"))
	}
	if _, _, err := run(t, s, b.String(), filepath.Join(t.TempDir(), "s")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.batches, []int{9, 9, 2}) {
		t.Errorf("batches %v", s.batches)
	}
}

func TestCheckSendsNothing(t *testing.T) {
	t.Parallel()
	r, err := NewReader(strings.NewReader(lines(5)), Auto)
	if err != nil {
		t.Fatal(err)
	}
	im := Importer{Reader: r}
	if c, err := im.Run(context.Background()); err != nil || c != (Counts{Known: 5, Bad: 1}) {
		t.Errorf("%+v, %v", c, err)
	}
}

// The vendor limits and stumbles; every device is asked for until there is an answer, and pauses are as long as it wants.
func TestFetchingLivesWithLimitsAndFailures(t *testing.T) {
	t.Parallel()
	calls := map[string]int{}
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/v3/devices/")
		calls[id]++
		switch {
		case id == "limited" && calls[id] == 1:
			w.Header().Set("X-Rate-Limit-Reset", "9")
			w.WriteHeader(http.StatusTooManyRequests)
		case id == "stumbling" && calls[id] < 4:
			w.WriteHeader(http.StatusBadGateway)
		case id == "dropped" && calls[id] == 1:
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
		case id == "unknown":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":7002,"message":"invalid"}}`)
		case id == "last":
			w.Header().Set("X-Rate-Limit-Limit", "600")
			w.Header().Set("X-Rate-Limit-Remaining", "0")
			w.Header().Set("X-Rate-Limit-Reset", "33")
			fallthrough
		default:
			fmt.Fprintf(w, `{"tags":["t-%s"],"alias":"a","mobile":null}`, id)
		}
	}))
	t.Cleanup(vendor.Close)
	f, err := NewFetcher(vendor.URL, "key", "secret", 6_000_000)
	if err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	f.wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	var got []Device
	send := func(_ context.Context, batch []Device) (Result, error) {
		got = append(got, batch...)
		return Result{Created: len(batch)}, nil
	}
	r, err := NewReader(strings.NewReader("registration_id,alias\nlimited,mine\nstumbling,\ndropped,\nunknown,\nlast,\nnext,\n"), Auto)
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	im := Importer{Reader: r, Fetch: f.Fetch, Send: send, Bad: func(e *LineError) { bad = append(bad, e.Error()) }}
	c, err := im.Run(context.Background())
	if err != nil || c != (Counts{Created: 5, Bad: 1}) {
		t.Fatalf("%+v, %v", c, err)
	}
	if !slices.Equal(bad, []string{"line 5: the vendor does not know unknown: HTTP status 400, code 7002: invalid"}) {
		t.Errorf("bad %q", bad)
	}
	// The dropped call is repeated by net/http itself where it used an old connection.
	for _, want := range []time.Duration{9 * time.Second, time.Second, 2 * time.Second, 4 * time.Second, 33 * time.Second} {
		if !slices.Contains(waits, want) {
			t.Errorf("waited %v, not %s", waits, want)
		}
	}
	if got[0].Alias != "mine" || got[1].Alias != "a" || !slices.Equal(got[0].Tags, []string{"t-limited"}) {
		t.Errorf("sent %+v", got)
	}
}

func TestFetchingEndsWithWrongCredentials(t *testing.T) {
	t.Parallel()
	calls := 0
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; strings.HasSuffix(r.URL.Path, "/id-1") || strings.HasSuffix(r.URL.Path, "/id-2") {
			fmt.Fprint(w, `{}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":{"code":7004,"message":"no"}}`)
	}))
	t.Cleanup(vendor.Close)
	f, err := NewFetcher(vendor.URL, "key", "wrong", 6_000_000)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(strings.NewReader(lines(20)), Auto)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{known: map[string]bool{}}
	st := &State{path: filepath.Join(t.TempDir(), "s"), saved: saved{Input: "x"}}
	im := Importer{Reader: r, Fetch: f.Fetch, Send: s.send, State: st}
	if c, err := im.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "refuses") || c.Created != 2 || calls != 3 {
		t.Errorf("%+v, %v after %d calls", c, err, calls)
	}
	// What was fetched was not in vain.
	if back, err := OpenState(st.path, "x"); err != nil || back.Lines != 4 {
		t.Errorf("state %+v, %v", back, err)
	}
	if _, err := NewFetcher("http://device.jpush.cn", "k", "s", 600); err == nil {
		t.Error("the secret would be sent in the clear")
	}
}
