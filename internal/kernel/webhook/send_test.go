package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestADeliveryIsSentSignedOnceAndThenGone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		rc := newReceiver(t, "127.0.0.1:0", nil)
		r.enqueue(Delivery{Owner: 7, URL: rc.URL + "/in?x=1", Body: []byte(`[{"a":"ä"}]`)})
		r.look()
		r.look()
		all := rc.requests()
		if len(all) != 1 {
			t.Fatalf("%d requests", len(all))
		}
		q := all[0]
		h := q.Header
		if q.Method != http.MethodPost || q.RequestURI != "/in?x=1" || h.Get("Content-Type") != "application/json" || string(q.body) != `[{"a":"ä"}]` {
			t.Errorf("%s %s %v %s", q.Method, q.RequestURI, h, q.body)
		}
		if h.Get("Authorization") != "" {
			t.Error("credentials that nobody asked for")
		}
		// What a receiver does, from the documentation and not from Sign.
		mac := hmac.New(sha256.New, []byte(testSecret))
		fmt.Fprintf(mac, "%s.%s.%s", h.Get("X-Callback-Timestamp"), h.Get("X-Callback-Nonce"), q.body)
		if got := h.Get("X-Callback-Signature"); got != hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %q", got)
		}
		if got := h.Get("X-Callback-Timestamp"); got != strconv.FormatInt(r.fake.Now().Unix(), 10) {
			t.Errorf("timestamp %q", got)
		}
		if len(h.Get("X-Callback-Nonce")) != 32 || canonical(h.Get("X-Callback-Id")) == "" {
			t.Errorf("headers %v", h)
		}
		if n := len(r.entries()) + r.bodies(); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

func TestFailuresAreRepeatedWithPausesThenDeadThenRedelivered(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d, nil)
		var status atomic.Int64
		status.Store(500)
		rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
		r.enqueue(Delivery{Owner: 7, URL: rc.URL})
		r.look()
		for i, pause := range []time.Duration{50 * time.Second, 3 * time.Minute, time.Hour} {
			e := r.only()
			if e.State != Pending || e.Attempts != i+1 || e.LastStatus != 500 || e.LastError == "" || !e.DueAt.Equal(r.fake.Now().Add(pause)) || !e.LastAt.Equal(r.fake.Now()) {
				t.Fatalf("after %d attempts: %+v", i+1, e)
			}
			r.fake.Advance(pause - time.Millisecond)
			r.look()
			if n := len(rc.requests()); n != i+1 {
				t.Fatalf("%d requests before %s were over", n, pause)
			}
			r.fake.Advance(time.Millisecond)
			r.look()
			if n := len(rc.requests()); n != i+2 {
				t.Fatalf("%d requests after %s", n, pause)
			}
		}
		if e := r.only(); e.State != Dead || e.Attempts != 4 {
			t.Fatalf("after all attempts: %+v", e)
		}
		r.fake.Advance(24 * time.Hour)
		r.look()
		all := rc.requests()
		if len(all) != 4 {
			t.Fatalf("a dead delivery was sent: %d requests", len(all))
		}
		nonces := map[string]bool{}
		for _, q := range all {
			nonces[q.Header.Get(HeaderNonce)] = true
			if q.Header.Get(HeaderID) != all[0].Header.Get(HeaderID) {
				t.Error("the id changed between attempts")
			}
		}
		if len(nonces) != 4 {
			t.Errorf("%d nonces for 4 attempts", len(nonces))
		}

		e := r.only()
		for name, try := range map[string]error{
			"another owner": r.Redeliver(ctx, 8, testKind, e.ID), "another kind": r.Redeliver(ctx, 7, "x", e.ID), "no id": r.Redeliver(ctx, 7, testKind, "\x00"),
			"unknown": r.Redeliver(ctx, 7, testKind, "01a00000-0000-7000-8000-000000000000"),
		} {
			if try != ErrNotFound { //nolint:errorlint // exactly this one
				t.Errorf("%s: %v", name, try)
			}
		}
		r.look()
		if len(rc.requests()) != 4 {
			t.Fatal("somebody else's redelivery sent it")
		}
		status.Store(200)
		if err := r.Redeliver(ctx, 7, testKind, e.ID); err != nil {
			t.Fatal(err)
		}
		if e := r.only(); e.State != Pending || e.Attempts != 0 {
			t.Fatalf("redelivered: %+v", e)
		}
		r.look()
		if n := len(rc.requests()); n != 5 || len(r.entries())+r.bodies() != 0 {
			t.Errorf("%d requests, %d rows left", n, len(r.entries()))
		}
	})
}

func TestOnlyStatus200IsSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	for _, status := range []int{201, 204, 303, 304, 400, 401, 404, 410, 429, 503} {
		rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		r.enqueue(Delivery{Owner: 7, URL: rc.URL})
		r.look()
		if e := r.entries()[0]; e.LastStatus != status || e.Attempts != 1 || len(rc.requests()) != 1 {
			t.Errorf("%d: %+v", status, e)
		}
	}
}

func TestAReceiverThatIsDownGetsItWhenItIsUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		_ = listener.Close()
		r.enqueue(Delivery{Owner: 7, URL: "http://" + address})
		r.look()
		if e := r.only(); e.LastStatus != 0 || !strings.HasPrefix(e.LastError, "no connection") {
			t.Fatalf("%+v", e)
		}
		rc := newReceiver(t, address, nil)
		r.fake.Advance(50 * time.Second)
		r.look()
		if len(rc.requests()) != 1 || len(r.entries()) != 0 {
			t.Errorf("%d requests, left %+v", len(rc.requests()), r.entries())
		}
	})
}

// A receiver that never answers takes a few places until its time is over, and no others wait for it.
func TestAReceiverThatHangsHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, func(d *Deps) { d.Timeout = time.Minute })
		release := make(chan struct{})
		hangs := newReceiver(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { <-release })
		works := newReceiver(t, "127.0.0.1:0", nil)
		for range 20 {
			r.enqueue(Delivery{Owner: 7, URL: hangs.URL})
		}
		stop := r.run()
		r.Wake()
		eventually(t, "the places of the host are taken", func() bool { return len(hangs.requests()) == maxPerHost })
		for range 20 {
			r.enqueue(Delivery{Owner: 7, URL: works.URL})
		}
		r.Wake()
		eventually(t, "the others are delivered", func() bool { return len(r.entries()) == 20 })
		if n := len(hangs.requests()); n != maxPerHost {
			t.Errorf("%d requests at once to one host", n)
		}
		close(release)
		eventually(t, "all are delivered", func() bool { return len(r.entries()) == 0 })
		stop()
	})
}

func TestAnAttemptEndsInTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Timeout = 50 * time.Millisecond })
	release := make(chan struct{})
	rc := newReceiver(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	r.enqueue(Delivery{Owner: 7, URL: rc.URL})
	r.look()
	if e := r.only(); e.Attempts != 1 || e.LastError != "no answer in time" {
		t.Errorf("%+v", e)
	}
}

// Hosts take turns when there is more to send than places: the last one in any order does not wait for the queues of
// the others to end.
func TestHostsTakeTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	const busy, each = 9, 60
	var count atomic.Int64
	var receivers []*receiver
	for range busy + 1 {
		receivers = append(receivers, newReceiver(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { count.Add(1); time.Sleep(time.Millisecond) }))
	}
	slices.SortFunc(receivers, func(a, b *receiver) int { return strings.Compare(a.URL, b.URL) })
	var turn atomic.Int64
	last := receivers[busy]
	last.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { turn.Store(count.Load() + 1) })
	for range each {
		for _, rc := range receivers[:busy] {
			r.enqueue(Delivery{Owner: 7, URL: rc.URL})
		}
	}
	r.enqueue(Delivery{Owner: 7, URL: last.URL})
	r.run()
	r.Wake()
	eventually(t, "all are delivered", func() bool { return len(r.entries()) == 0 })
	if at := turn.Load(); at == 0 || at > busy*each/2 {
		t.Errorf("the last host had its turn after %d of %d", at, busy*each)
	}
}

func TestHugeAnswersAreNotRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	var wrote atomic.Int64
	block := make([]byte, 64<<10)
	ended := make(chan struct{}, 1)
	rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		defer func() { ended <- struct{}{} }()
		for {
			n, err := w.Write(block)
			wrote.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	r.enqueue(Delivery{Owner: 7, URL: rc.URL})
	r.look()
	if len(r.entries()) != 0 {
		t.Errorf("left: %+v", r.entries())
	}
	<-ended // the connection was closed; what the kernel had buffered by then was in vain
	if n := wrote.Load(); n > 64<<20 {
		t.Errorf("the receiver could send %d bytes", n)
	}
	headers := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) })
	r.enqueue(Delivery{Owner: 7, URL: headers.URL})
	r.look()
	if e := r.only(); e.Attempts != 1 {
		t.Errorf("a header of a megabyte: %+v", e)
	}
}

func TestCredentialsGoWhereTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	rc := newReceiver(t, "127.0.0.1:0", nil)
	r.enqueue(Delivery{Owner: 7, URL: rc.URL, Basic: true})
	r.look()
	if user, password, ok := rc.requests()[0].BasicAuth(); !ok || user != "key" || password != "master" {
		t.Errorf("%q %q %v", user, password, ok)
	}
}

// A process dies between claim and outcome: the lease ends and another one sends. What the first one still says then
// counts for nothing.
func TestADeadProcessLeavesItsDeliveriesToTheNext(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		first := newRig(t, d, nil)
		var status atomic.Int64
		status.Store(200)
		rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
		first.enqueue(Delivery{Owner: 7, URL: rc.URL}, Delivery{Owner: 7, URL: rc.URL})
		to, _ := ParseURL(rc.URL)
		claims, err := first.claim(ctx, map[string]int{origin(to): 5}, clock.Millis(first.fake.Now()))
		if err != nil || len(claims) != 2 {
			t.Fatalf("%d claims, %v", len(claims), err)
		}
		if err := first.Redeliver(ctx, 7, testKind, claims[0].ID); err != ErrSending { //nolint:errorlint // exactly this one
			t.Errorf("redelivery of what is being sent: %v", err)
		}

		next := nextRig(t, d, first.fake, nil)
		next.look()
		if n := len(rc.requests()); n != 0 {
			t.Fatalf("%d requests while the lease lasts", n)
		}
		first.fake.Advance(first.timeout + margin)
		status.Store(500)
		next.look()
		if n := len(rc.requests()); n != 2 {
			t.Fatalf("%d requests after the lease", n)
		}
		for _, o := range []outcome{{result: resultDelivered, status: 200}, {result: resultFailed, why: "x"}, {cut: true}} {
			if err := first.settle(ctx, claims[0], o); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range next.entries() {
			if e.Attempts != 1 || e.LastStatus != 500 || !e.DueAt.Equal(next.fake.Now().Add(50*time.Second)) {
				t.Errorf("the dead process was believed: %+v", e)
			}
		}
	})
}

// What the node ends itself is no failure of the receiver.
func TestAnAttemptCutShortCountsForNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, nil)
		release := make(chan struct{})
		rc := newReceiver(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { <-release })
		defer close(release)
		r.enqueue(Delivery{Owner: 7, URL: rc.URL})
		ctx, cut := context.WithCancel(context.Background())
		r.d.attempts = ctx
		if err := r.d.everywhere(ctx); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is being sent", func() bool { return len(rc.requests()) == 1 })
		cut()
		r.sending.Wait()
		if e := r.only(); e.Attempts != 0 || !e.DueAt.Equal(r.fake.Now()) {
			t.Errorf("%+v", e)
		}
	})
}

func TestAStoppingNodeFinishesWhatItSends(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	release := make(chan struct{})
	rc := newReceiver(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { <-release })
	r.enqueue(Delivery{Owner: 7, URL: rc.URL})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.Wake()
	eventually(t, "it is being sent", func() bool { return len(rc.requests()) == 1 })
	cancel()
	close(release)
	if err := <-ended; err != nil || len(r.entries()) != 0 {
		t.Errorf("%v, left %+v", err, r.entries())
	}
}

func TestNodesThatRunAtOnceSendEachDeliveryOnce(t *testing.T) {
	t.Parallel()
	const n, hosts = 300, 5
	try := func(t *testing.T, a, b *db.DB) {
		t.Helper()
		first := newRig(t, a, nil)
		second := nextRig(t, b, first.fake, nil)
		var (
			mu   sync.Mutex
			seen = map[string]int{}
		)
		receivers := make([]*receiver, hosts)
		for i := range receivers {
			receivers[i] = newReceiver(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				seen[r.Header.Get(HeaderID)]++
			})
		}
		var list []Delivery
		for i := range n {
			list = append(list, Delivery{Owner: 7, URL: receivers[i%hosts].URL})
		}
		first.enqueue(list...)
		first.run()
		second.run()
		first.Wake()
		second.Wake()
		eventually(t, "all are delivered", func() bool { return len(first.entries()) == 0 })
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != n {
			t.Errorf("%d different deliveries", len(seen))
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s was sent %d times", id, times)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); d := dbtest.SQLite(t); try(t, d, d) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		at := dbtest.PostgresURL(t)
		try(t, dbtest.Open(t, db.Options{URL: at, MaxConns: 8}), dbtest.Open(t, db.Options{URL: at, MaxConns: 8}))
	})
}
