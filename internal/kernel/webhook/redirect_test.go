package webhook

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/netguard"
)

// to redirects everything to an address that may be set later.
func to(status int, target *string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", *target)
		w.WriteHeader(status)
	}
}

func TestRedirectsCarryMethodAndBodyButCredentialsOnlyWithinTheOrigin(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	for _, status := range []int{301, 302, 307, 308} {
		other := newReceiver(t, "127.0.0.1:0", nil)
		target := "/second"
		rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/first":
				to(status, &target)(w, r)
			case "/second":
				away := other.URL + "/third"
				to(status, &away)(w, r)
			}
		})
		r.enqueue(Delivery{Owner: 7, URL: rc.URL + "/first", Basic: true, Body: []byte(`["kept"]`)})
		r.look()
		if left := r.entries(); len(left) != 0 {
			t.Fatalf("%d: left %+v", status, left)
		}
		here, there := rc.requests(), other.requests()
		if len(here) != 2 || len(there) != 1 {
			t.Fatalf("%d: %d and %d requests", status, len(here), len(there))
		}
		for _, q := range append(here, there...) {
			if q.Method != http.MethodPost || string(q.body) != `["kept"]` || q.Header.Get(HeaderSignature) == "" {
				t.Errorf("%d: %s %s %v", status, q.Method, q.body, q.Header)
			}
		}
		for i, want := range []bool{true, true} {
			if _, _, ok := here[i].BasicAuth(); ok != want {
				t.Errorf("%d: credentials at home: %v", status, ok)
			}
		}
		if a := there[0].Header.Get("Authorization"); a != "" {
			t.Errorf("%d: credentials went to another host: %s", status, a)
		}
	}
}

// Who left the origin does not get the credentials on the way back: the detour could have changed where it leads.
func TestCredentialsDoNotComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	var back string
	other := newReceiver(t, "127.0.0.1:0", to(307, &back))
	rc := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			to(307, &other.URL)(w, r)
		}
	})
	back = rc.URL + "/back"
	r.enqueue(Delivery{Owner: 7, URL: rc.URL + "/", Basic: true})
	r.look()
	all := rc.requests()
	if len(all) != 2 || all[0].Header.Get("Authorization") == "" || all[1].Header.Get("Authorization") != "" {
		t.Errorf("%d requests: %v", len(all), all)
	}
}

func TestRedirectsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	hops := func(n int) *receiver {
		return newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
			if at := len(r.URL.Path); at <= n {
				next := r.URL.Path + "x"
				to(307, &next)(w, r)
			}
		})
	}
	three, four := hops(3), hops(4)
	r.enqueue(Delivery{Owner: 7, URL: three.URL + "/"}, Delivery{Owner: 7, URL: four.URL + "/"})
	r.look()
	if e := r.only(); e.URL != four.URL+"/" || e.LastError != errRedirects.Error() {
		t.Errorf("%+v", e)
	}
	if n, m := len(three.requests()), len(four.requests()); n != 4 || m != 4 {
		t.Errorf("%d and %d requests", n, m)
	}
}

func TestRedirectsLeadNowhereForbidden(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	private := newReceiver(t, "127.0.0.2:0", nil) // loopback too, but not on the list
	user := strings.Replace(newReceiver(t, "127.0.0.1:0", nil).URL, "://", "://u:p@", 1)
	for target, want := range map[string]string{
		private.URL: netguard.ErrAddress.Error(),
		strings.Replace(private.URL, "127.0.0.2", "2130706434", 1):         "", // decimal spelling: whatever it is taken for, not that server
		strings.Replace(private.URL, "127.0.0.2", "[::ffff:127.0.0.2]", 1): netguard.ErrAddress.Error(),
		"http://[::1]:1/":            netguard.ErrAddress.Error(),
		"http://169.254.169.254/":    netguard.ErrAddress.Error(),
		"http://[64:ff9b::7f00:1]:1": netguard.ErrAddress.Error(),
		"file:///etc/passwd":         errLocation.Error(),
		"http://%zz":                 errLocation.Error(),
		user:                         errLocation.Error(),
	} {
		rc := newReceiver(t, "127.0.0.1:0", to(307, &target))
		r.enqueue(Delivery{Owner: 7, URL: rc.URL, Basic: true})
		r.look()
		if e := r.entries()[0]; e.Attempts != 1 || e.LastStatus != 0 || want != "" && e.LastError != want {
			t.Errorf("to %s: %+v", target, e)
		}
	}
	if n := len(private.requests()); n != 0 {
		t.Errorf("the private server was asked %d times", n)
	}
}

func TestAddressesAreRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Allow = nil })
	rc := newReceiver(t, "127.0.0.1:0", nil)
	r.enqueue(Delivery{Owner: 7, URL: rc.URL}, Delivery{Owner: 7, URL: strings.Replace(rc.URL, "127.0.0.1", "localhost", 1)})
	r.look()
	for _, e := range r.entries() {
		if e.LastError != netguard.ErrAddress.Error() || e.Attempts != 1 {
			t.Errorf("%+v", e)
		}
	}
	if n := len(rc.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// What a name means is asked anew for each connection, and every address that is dialled is checked.
func TestNamesAreCheckedByTheAddressThatIsDialled(t *testing.T) {
	t.Parallel()
	names, resolver := newNameServer(t)
	r := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Resolver = resolver })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	allowed := newReceiver(t, "127.0.0.1:"+port, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	private := newReceiver(t, "127.0.0.2:"+port, nil)
	to := "http://receiver.example:" + port
	send := func(addresses ...string) Entry {
		t.Helper()
		names.set("receiver.example.", addresses...)
		r.enqueue(Delivery{Owner: 7, URL: to})
		r.look()
		if list := r.entries(); len(list) > 0 && list[0].DueAt.After(r.fake.Now()) && list[0].Attempts == 1 {
			if err := deleteAll(r); err != nil {
				t.Fatal(err)
			}
			return list[0]
		}
		return Entry{}
	}
	if e := send("127.0.0.1"); e.ID != "" || len(allowed.requests()) != 1 {
		t.Fatalf("the allowed address: %+v", e)
	}
	if e := send("127.0.0.2"); e.LastError != netguard.ErrAddress.Error() {
		t.Errorf("the name moved to a private address: %+v", e)
	}
	if e := send("127.0.0.2", "127.0.0.1"); e.ID != "" || len(allowed.requests()) != 2 {
		t.Errorf("one of two addresses is allowed: %+v", e)
	}
	names.set("other.example.", "127.0.0.2")
	target := "http://other.example:" + port
	hop := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", target); w.WriteHeader(308) })
	r.enqueue(Delivery{Owner: 7, URL: hop.URL})
	r.look()
	if e := r.only(); e.LastError != netguard.ErrAddress.Error() || len(hop.requests()) != 1 {
		t.Errorf("a redirect to a private name: %+v", e)
	}
	if n := len(private.requests()); n != 0 {
		t.Errorf("the private server was asked %d times", n)
	}
	r.enqueue(Delivery{Owner: 7, URL: "http://unknown.example"})
	r.look()
	if e := r.entries()[0]; e.LastError != "the name of the host was not found" {
		t.Errorf("%+v", e)
	}
}

func deleteAll(r *rig) error {
	for _, table := range []string{"webhook_delivery", "webhook_body"} {
		err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, "delete from "+table)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	rc := unstarted(t, "127.0.0.1:0", nil)
	rc.StartTLS()
	stranger := newRig(t, dbtest.SQLite(t), nil)
	stranger.enqueue(Delivery{Owner: 7, URL: rc.URL})
	stranger.look()
	if e := stranger.only(); !strings.HasPrefix(e.LastError, "the certificate is not valid") || len(rc.requests()) != 0 {
		t.Errorf("%+v", e)
	}
	roots := x509.NewCertPool()
	roots.AddCert(rc.Certificate())
	friend := newRig(t, dbtest.SQLite(t), func(d *Deps) { d.Roots = roots })
	friend.enqueue(Delivery{Owner: 7, URL: rc.URL})
	friend.look()
	if len(friend.entries()) != 0 || len(rc.requests()) != 1 {
		t.Errorf("left %+v", friend.entries())
	}

	plain := newReceiver(t, "127.0.0.1:0", nil)
	rc.Config.Handler = to(307, &plain.URL)
	friend.enqueue(Delivery{Owner: 7, URL: rc.URL})
	friend.look()
	if e := friend.only(); e.LastError != errDowngrade.Error() || len(plain.requests()) != 0 {
		t.Errorf("a redirect from https to http: %+v", e)
	}
}

func TestAddressCheck(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	ctx := context.Background()
	echo := func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Query().Get("echostr"))) }
	good := newReceiver(t, "127.0.0.1:0", echo)
	for _, path := range []string{"", "/a?b=c&d=%20", "/a?"} {
		if err := r.Check(ctx, 7, good.URL+path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	q := good.requests()[1]
	if q.Method != http.MethodGet || q.URL.Query().Get("b") != "c" || q.URL.Query().Get("d") != " " || q.Header.Get("Authorization") != "" {
		t.Errorf("%s %s %v", q.Method, q.URL, q.Header)
	}
	if a, b := good.requests()[0].URL.Query().Get("echostr"), q.URL.Query().Get("echostr"); len(a) != 32 || a == b {
		t.Errorf("echostr %q, then %q", a, b)
	}
	private := newReceiver(t, "127.0.0.2:0", echo)
	for name, answer := range map[string]http.HandlerFunc{
		"nothing":      func(http.ResponseWriter, *http.Request) {},
		"more":         func(w http.ResponseWriter, r *http.Request) { echo(w, r); _, _ = w.Write([]byte("\n")) },
		"endless":      func(w http.ResponseWriter, r *http.Request) { echo(w, r); _, _ = w.Write(make([]byte, 8<<20)) },
		"quoted":       func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(`"`)); echo(w, r) },
		"wrong status": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201); echo(w, r) },
		"to private":   to(302, &private.URL),
		"broken":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"the query":    func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(strings.ToUpper(r.URL.RawQuery))) },
	} {
		rc := newReceiver(t, "127.0.0.1:0", answer)
		var ce *CheckError
		if err := r.Check(ctx, 7, rc.URL); !asCheck(err, &ce) || ce.Reason == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(private.requests()) != 0 {
		t.Error("a check reached a private address")
	}
	if err := r.Check(ctx, 7, "ftp://x"); err != ErrURL { //nolint:errorlint // exactly this one
		t.Errorf("%v", err)
	}
}

func asCheck(err error, into **CheckError) bool {
	ce, ok := err.(*CheckError) //nolint:errorlint // exactly this one
	*into = ce
	return ok
}

func TestChecksAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t), nil)
	release := make(chan struct{})
	rc := newReceiver(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { <-release })
	done := make(chan error, 1)
	go func() { done <- r.Check(context.Background(), 7, rc.URL) }()
	eventually(t, "the check runs", func() bool { return len(rc.requests()) == 1 })
	if err := r.Check(context.Background(), 7, rc.URL); err != ErrBusy { //nolint:errorlint // exactly this one
		t.Errorf("a second check: %v", err)
	}
	close(release)
	<-done
	if n := len(rc.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	ok := newReceiver(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Query().Get("echostr"))) })
	if err := r.Check(context.Background(), 7, ok.URL); err != nil {
		t.Errorf("after it: %v", err)
	}
}
