package relay

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/service/push/relay/vendor"
)

func TestMessageReachesAllImportedDevicesThroughTheVendor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const count = 2300
		v := newVendor(t)
		n := newNode(t, d, v)
		n.imports(count)
		n.claims(7)
		n.record(1, 0)
		n.clock.Advance(100 * time.Second)
		if r := n.results(1); r.Devices != count-1 || r.Waiting != count-1 {
			t.Errorf("before: %+v", r)
		}
		n.work()
		reached := v.reached()
		for i := 1; i <= count; i++ {
			if want := 1; reached[oldID(i)] != want && i != 7 || i == 7 && reached[oldID(i)] != 0 {
				t.Fatalf("device %d was reached %d times", i, reached[oldID(i)])
			}
		}
		if got := n.settledOf(1); len(got) != count-1 || slices.Contains(got, 7) {
			t.Errorf("%d settled", len(got))
		}
		r := n.results(1)
		if r.Accepted != count-1 || r.Waiting != 0 || r.Failure != "" || len(r.Pushes) != 3 || r.Pushes[0] != (Push{ID: "9000", Devices: 1000}) {
			t.Errorf("results %+v", r)
		}
		p := v.taken()[0]
		if string(p.body["platform"]) != `["android","ios"]` || string(p.body["notification"]) != `{"alert":"<a & b>"}` || p.body["callback"] != nil || !strings.HasPrefix(p.cid, "cid-") {
			t.Errorf("sent %s", p.body)
		}
		if o := p.options; o["time_to_live"] != 3500.0 || o["sendno"] != 7.0 || o["apns_production"] != false || o["override_msg_id"] != nil || o["big_push_duration"] != nil {
			t.Errorf("options %v", o)
		}
		// Nothing is left to do, for this process and the next.
		calls := v.made()
		n.work()
		n.restart().work()
		if v.made() != calls {
			t.Errorf("%d calls more", v.made()-calls)
		}
		if none, err := n.Results(context.Background(), 1, 99); none != nil || err != nil {
			t.Errorf("results of no message: %+v, %v", none, err)
		}
	})
}

// Each answer of the vendor, what it does at once and after a while in which the vendor has come to its senses.
func TestAnswersOfTheVendor(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault
		secret  string
		nobody  bool
		waits   time.Duration // before it is tried again
		retried bool
		results Results
	}{
		"a server error":               {fault: fault{status: 500, code: 1000}, waits: 2 * time.Second, retried: true},
		"busy":                         {fault: fault{status: 503, code: 1030}, waits: 2 * time.Second, retried: true},
		"an answer that is lost":       {fault: fault{lost: true}, waits: 2 * time.Second, retried: true},
		"too many":                     {fault: fault{status: 429, code: 2002}, waits: time.Minute, retried: true},
		"blocked":                      {fault: fault{status: 403, code: 2003}, waits: 2 * time.Second, retried: true},
		"an address not on the list":   {fault: fault{status: 403, code: 2004}, waits: 2 * time.Second, retried: true},
		"an unknown app":               {fault: fault{status: 400, code: 1008}, waits: 2 * time.Second, retried: true},
		"a redirect":                   {fault: fault{status: 302}, waits: 2 * time.Second, retried: true},
		"a value it does not like":     {fault: fault{status: 400, code: 1003}, results: Results{Refused: 1, Pushes: []Push{{Devices: 1, Code: 1003, Message: "code 1003"}}}},
		"a quota of a vendor's vendor": {fault: fault{status: 400, code: 1012}, results: Results{Refused: 1, Pushes: []Push{{Devices: 1, Code: 1012, Message: "code 1012"}}}},
		"nobody":                       {nobody: true, results: Results{Nobody: 1, Pushes: []Push{{Devices: 1, Code: 1011, Message: "code 1011"}}}},
		"a wrong secret":               {secret: "another", waits: 2 * time.Second, retried: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t)
			n := newNode(t, dbtest.SQLite(t), v)
			n.imports(1)
			n.record(1, 0)
			v.does(func(calls int) fault {
				if calls == 1 {
					return c.fault
				}
				return fault{}
			})
			if c.secret != "" {
				v.change(func() { v.secret = c.secret })
			}
			if c.nobody {
				v.change(func() { v.known = func(string) bool { return false } })
			}
			n.work()
			r := n.results(1)
			if !c.retried {
				c.results.Devices = 1
				if got, want := asJSON(t, r), asJSON(t, c.results); got != want {
					t.Errorf("results %s, want %s", got, want)
				}
				if n.settledOf(1) != nil {
					t.Error("settled, although the vendor did not take it")
				}
				n.clock.Advance(10 * time.Minute)
				if n.work(); v.made() != 1 {
					t.Errorf("tried %d times", v.made())
				}
				return
			}
			if r.Waiting != 1 || r.Failure == "" || n.settledOf(1) != nil {
				t.Fatalf("results %+v, settled %v", r, n.settledOf(1))
			}
			calls := v.made()
			if n.work(); v.made() != calls {
				t.Error("tried again at once")
			}
			v.change(func() { v.secret = vendorSecret })
			n.clock.Advance(c.waits)
			n.work()
			if r := n.results(1); r.Accepted != 1 || r.Failure != "" || len(v.taken()) != 1 || len(n.settledOf(1)) != 1 {
				t.Errorf("after %s: %+v, pushes %d", c.waits, r, len(v.taken()))
			}
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The limit is the vendor's: the app's calls stop when a window is used up and go on in the next.
func TestLimitOfTheVendorIsHonoured(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	n := newNode(t, dbtest.SQLite(t), v)
	n.imports(3)
	v.change(func() { v.remaining = 3 }) // one for keys, two for pushes
	for msg := range int64(6) {
		n.record(msg+1, 0)
	}
	for range 4 {
		n.work()
		n.clock.Advance(16 * time.Second)
	}
	if len(v.taken()) > 6 || len(v.taken()) < 1 {
		t.Fatalf("%d pushes", len(v.taken()))
	}
	refused := v.made() - len(v.taken())
	for range 5 {
		v.change(func() { v.remaining = 3 })
		n.clock.Advance(17 * time.Second)
		n.work()
	}
	if len(v.taken()) != 6 {
		t.Errorf("%d pushes", len(v.taken()))
	}
	// What was on its way at once when the window ended is refused, and no more than that.
	if refused > atOnce {
		t.Errorf("%d calls were refused", refused)
	}
	for id, times := range v.reached() {
		if times != 6 {
			t.Errorf("%s was reached %d times", id, times)
		}
	}
}

// A process that dies after the vendor took a push, before it could note that, sends it again under the same key.
func TestNothingIsSentTwiceAfterADeath(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := newVendor(t)
		n := newNode(t, d, v)
		n.imports(5)
		n.record(1, 0)
		dying, die := context.WithCancel(context.Background())
		v.does(func(calls int) fault {
			if calls == 1 {
				return fault{after: die}
			}
			return fault{}
		})
		n.workAs(dying)
		if len(v.taken()) != 1 || n.settledOf(1) != nil {
			t.Fatalf("%d pushes, settled %v", len(v.taken()), n.settledOf(1))
		}
		n.clock.Advance(lease10)
		next := n.restart()
		next.refuse = errors.New("the database is busy")
		next.work()
		if r := next.results(1); r.Waiting != 5 || len(v.taken()) != 1 || v.made() != 2 {
			t.Fatalf("results %+v, %d pushes, %d calls", r, len(v.taken()), v.made())
		}
		// It dies again before it could settle; the vendor is not asked again.
		n.clock.Advance(lease10)
		last := next.restart()
		last.work()
		if got := last.settledOf(1); len(got) != 5 || v.made() != 2 || last.results(1).Accepted != 5 {
			t.Errorf("settled %v, %d calls", got, v.made())
		}
	})
}

// lease10 is more than what a lease of a dead process lasts.
const lease10 = 11 * time.Second

func TestPartWithAnOldKeyIsNotSentAgain(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	n := newNode(t, dbtest.SQLite(t), v)
	n.imports(2)
	ctx := context.Background()
	long := func(msg int64) {
		n.record(msg, 0)
		if _, err := execute(ctx, n.DB, `update push_relay set expires_at = expires_at + 864000000 where msg_id = $1`, msg); err != nil {
			t.Fatal(err)
		}
	}
	long(1)
	v.does(func(int) fault { return fault{lost: true} })
	n.work()
	long(2)
	v.does(func(int) fault { return fault{status: 429, code: 2002} }) // this one certainly was not taken
	n.clock.Advance(5 * time.Second)
	n.work()
	v.does(nil)
	n.clock.Advance(25 * time.Hour)
	n.restart().work()
	if r := n.results(1); r.Uncertain != 2 || r.Waiting != 0 {
		t.Errorf("of an unknown fate: %+v", r)
	}
	if r := n.results(2); r.Accepted != 2 {
		t.Errorf("of a known one: %+v", r)
	}
	if len(v.taken()) != 2 {
		t.Errorf("%d pushes", len(v.taken()))
	}
}

func execute(ctx context.Context, d *db.DB, query string, args ...any) (n int64, err error) {
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err = tx.Exec(ctx, query, args...)
		return err
	})
	return n, err
}

func TestTimeToLiveEndsTheAttempts(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	n := newNode(t, dbtest.SQLite(t), v)
	n.imports(1500)
	v.does(func(int) fault { return fault{status: 403, code: 2003} })
	n.record(1, 0)
	for range 30 {
		n.work()
		n.clock.Advance(3 * time.Minute)
	}
	n.work()
	if r := n.results(1); r.Expired != 1500 || r.Waiting != 0 || r.Claimed != 0 || len(v.taken()) != 0 {
		t.Errorf("results %+v", r)
	}
	calls := v.made()
	if calls < 10 || calls > 40 {
		t.Errorf("%d attempts in an hour", calls)
	}
	if n.work(); v.made() != calls || n.settledOf(1) != nil {
		t.Errorf("%d calls after the end, settled %v", v.made()-calls, n.settledOf(1))
	}
}

func TestDeviceThatIsClaimedMeanwhileIsLeftToUs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := newVendor(t)
		n := newNode(t, d, v)
		n.imports(4)
		n.record(1, 0)
		n.claims(1) // before it is sent
		v.does(func(int) fault { return fault{after: func() { n.claims(2) }} })
		n.work()
		if reached := v.reached(); len(reached) != 3 || reached[oldID(1)] != 0 {
			t.Errorf("reached %v", reached)
		}
		if got := n.settledOf(1); !slices.Equal(got, []uint32{3, 4}) {
			t.Errorf("settled %v", got)
		}
		if r := n.results(1); r.Accepted != 3 || r.Claimed != 1 {
			t.Errorf("results %+v", r)
		}
		// All are claimed between two attempts.
		v.does(func(int) fault { return fault{status: 429, code: 2002} })
		n.record(2, 0)
		n.work()
		n.claims(3)
		n.claims(4)
		v.does(nil)
		n.clock.Advance(time.Minute)
		n.work()
		if r := n.results(2); r.Claimed != 2 || r.Accepted != 0 || len(v.taken()) != 1 {
			t.Errorf("results %+v, %d pushes", r, len(v.taken()))
		}
	})
}

func TestNothingIsSentWhileRelayingIsOff(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	n := newNode(t, dbtest.SQLite(t), v)
	n.imports(1)
	n.record(1, 0)
	n.set(false)
	if n.work(); v.made() != 0 || v.keys() != 0 {
		t.Fatalf("%d calls", v.made())
	}
	n.set(true)
	if n.work(); len(v.taken()) != 1 {
		t.Errorf("%d pushes", len(v.taken()))
	}
	n.record(2, 0)
	n.set(false)
	n.clock.Advance(2 * time.Hour)
	if n.work(); n.results(2).Expired != 1 || len(v.taken()) != 1 {
		t.Errorf("results %+v", n.results(2))
	}
}

func TestWithdrawnMessageIsTakenBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := newVendor(t)
		n := newNode(t, d, v)
		n.imports(1200)
		withdraw := func(app, msg int64) {
			if err := n.DB.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return n.Withdraw(ctx, tx, app, msg) }); err != nil {
				t.Error(err)
			}
		}
		n.record(1, 0)
		v.does(func(calls int) fault {
			if calls == 2 {
				return fault{status: 429, code: 2002}
			}
			return fault{}
		})
		n.work() // the first part is there, the second waits
		withdraw(1, 1)
		n.clock.Advance(time.Minute)
		n.work()
		if r := n.results(1); r.Withdrawn != 1200 || r.Waiting != 0 || !slices.Equal(v.takenBack(), []string{"9000"}) || len(v.taken()) != 1 {
			t.Errorf("results %+v, withdrawn %v", r, v.takenBack())
		}
		n.record(2, 0)
		withdraw(2, 2) // another app
		withdraw(1, 3) // nothing
		withdraw(1, 2) // before anything was sent
		n.work()
		if r := n.results(2); r.Withdrawn != 1200 || len(v.taken()) != 1 {
			t.Errorf("results %+v", r)
		}
	})
}

func TestReplacedMessageIsNamedByTheVendorsID(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	n := newNode(t, dbtest.SQLite(t), v)
	n.imports(1)
	n.record(1, 0)
	n.work()
	n.record(2, 1)
	n.work()
	n.record(3, 77) // was not relayed
	n.work()
	if v.taken()[1].options["override_msg_id"] != 9000.0 || v.taken()[2].options["override_msg_id"] != nil {
		t.Errorf("options %v, %v", v.taken()[1].options, v.taken()[2].options)
	}
}

// Of two nodes only the owner of the app's partition sends, and one that lost it changes nothing.
func TestOnlyTheOwnerSends(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	a := newNode(t, dbtest.Postgres(t), v)
	a.imports(3)
	a.record(1, 0)
	if err := a.leases.Renew(context.Background()); err != nil {
		t.Fatal(err)
	}
	b := openNode(t, a.DB, a.clock, a.keys, "b")
	if err := b.round(context.Background(), b); err != nil { // owns nothing
		t.Fatal(err)
	}
	if b.turns.Wait(); v.made() != 0 {
		t.Fatal("a node without the lease sent")
	}
	// a stalls amid its call for longer than its lease lasts; b takes over.
	v.does(func(calls int) fault {
		if calls > 1 {
			return fault{}
		}
		return fault{after: func() {
			a.clock.Advance(lease10)
			if err := b.leases.Renew(context.Background()); err != nil {
				t.Error(err)
			}
		}}
	})
	if err := a.round(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	if a.turns.Wait(); a.settledOf(1) != nil {
		t.Error("the node that lost its lease settled")
	}
	b.work()
	if r := b.results(1); r.Accepted != 3 || len(v.taken()) != 1 || len(b.settledOf(1)) != 3 {
		t.Errorf("results %+v, %d pushes, settled %v", r, len(v.taken()), b.settledOf(1))
	}
}

func TestAccountIsSealedAndTheSecretStaysAtTheAddress(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	v := newVendor(t)
	n := newNode(t, dbtest.SQLite(t), v)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	for _, address := range []string{"http://api.jpush.cn", "https://u:p@api.jpush.cn", "x"} {
		if err := n.accounts().Set(ctx, 1, Account{URL: address}); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
	if err := n.accounts().Set(ctx, 1, Account{URL: v.URL, Secret: "theirs"}); err != nil {
		t.Fatal(err)
	}
	var sealed string
	if err := n.DB.QueryRow(ctx, `select sealed from push_relay_account where app_id = 1`).Scan(&sealed); err != nil || strings.Contains(sealed, "theirs") || sealed == "" {
		t.Errorf("stored %q, %v", sealed, err)
	}
	v.change(func() { v.secret = "theirs" })
	n.imports(1)
	n.record(1, 0)
	if n.work(); n.results(1).Accepted != 1 {
		t.Errorf("results %+v", n.results(1))
	}
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	if err := n.accounts().Set(ctx, 1, Account{URL: redirecting.URL}); err != nil {
		t.Fatal(err)
	}
	n.record(2, 0)
	n.clock.Advance(2 * cidFresh)
	n.record(3, 0)
	if n.work(); n.results(3).Waiting != 1 || n.results(3).Failure == "" {
		t.Errorf("results %+v", n.results(3))
	}
	// A certificate that nobody vouches for is no vendor.
	untrusted := httptest.NewTLSServer(v)
	t.Cleanup(untrusted.Close)
	c, err := vendor.New(vendor.HTTPClient(nil), untrusted.URL, "k", "theirs")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.CIDs(ctx, 1); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an untrusted certificate: %v", err)
	}
}

func TestOldMessagesAreDeleted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		v := newVendor(t)
		n := newNode(t, d, v)
		n.imports(2)
		for msg := range int64(30) {
			n.record(msg+1, 0)
		}
		n.work()
		n.clock.Advance(36 * 24 * time.Hour)
		n.record(31, 0)
		if err := n.clean(ctx); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int{"push_relay": 1, "push_relay_set": 1, "push_relay_part": 0} {
			var got int
			if err := d.QueryRow(ctx, `select count(*) from `+table).Scan(&got); err != nil || got != want {
				t.Errorf("%s has %d rows, want %d (%v)", table, got, want, err)
			}
		}
	})
}

// Run finds what was recorded without being told, and at once when it is.
func TestRunSendsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	n := newNode(t, dbtest.SQLite(t), v)
	n.imports(1)
	n.record(1, 0)
	if err := n.leases.Renew(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	sent := make(chan struct{}, 2)
	v.does(func(int) fault { return fault{after: func() { sent <- struct{}{} }} })
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, n) }()
	<-sent
	n.record(2, 0)
	n.Wake()
	select {
	case <-sent:
	case <-ctx.Done():
		t.Error("the second message was not sent")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
