package webpush

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/netguard"
)

func TestCases(t *testing.T) {
	t.Parallel()
	wiretest.RunEncrypted(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return New(d) }, receiver(t))
}

// The example of RFC 8291, section 5.
func TestEncryptionIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	own, err := ecdh.P256().NewPrivateKey(raw(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	to, reason := parseSubscription(token("https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"), wiretest.Now)
	if reason != "" {
		t.Fatal(reason)
	}
	body, err := encryptWith(to, own, raw(t, "DGv6ra1nlYgDCS1FRnbzlw"), []byte("When I grow up, I want to be a watermelon"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
	if got := base64.RawURLEncoding.EncodeToString(body); got != want {
		t.Errorf("body %s\nwant %s", got, want)
	}
}

func TestWhateverIsEncryptedComesBack(t *testing.T) {
	t.Parallel()
	open := receiver(t)
	to, _ := parseSubscription(token("https://push.example.net/"), wiretest.Now)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, maxText).Draw(t, "text")
		body, err := encrypt(to, text)
		if err != nil || len(body) > maxBody {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
		if got, err := open(body); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

const (
	testPublic  = "BF3lUPoFmFgs6TFXufkHH7ABaxm-tV3tYS4VUSRczZI9kSnFShDjeFahyWJTALqxHpFUTQ5r-EV2nSHPUGXO4w4"
	testPrivate = "1AnRWaR967K-v5Sr1rXYmO04pXpWCH4jIaS6HyGINCg"
	otherPublic = "BGGqHselJ53aMK1osb2YsyoiUuqvvq6reJ3IATi5m1jhMUfpFK1JTDh7r_a-dPLsxNDKPG_6lq3jxY60NdcJqgc"
)

func token(endpoint string) string {
	return fmt.Sprintf(`{"endpoint":%q,"keys":{"p256dh":%q,"auth":%q}}`, endpoint, rfcPublic, rfcAuth)
}

func entered(t testing.TB, v *Vendor) wire.Credentials {
	t.Helper()
	c, err := v.Parse(fmt.Appendf(nil, `{"public_key":%q,"private_key":%q,"subject":"mailto:ops@example.com"}`, testPublic, testPrivate))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	v := New(wire.Deps{Clock: clock.System{}})
	good := map[string]any{"public_key": testPublic, "private_key": testPrivate, "subject": "mailto:ops@example.com"}
	with := func(key string, value any) []byte {
		m := maps.Clone(good)
		if m[key] = value; value == nil {
			delete(m, key)
		}
		out, _ := json.Marshal(m)
		return out
	}
	for _, subject := range []string{"mailto:ops@example.com", "https://example.com", "https://example.com:8443/contact", "mailto:a.b+c@mail.example.co.uk"} {
		c, err := v.Parse(with("subject", subject))
		if err != nil || c.ID() != testPublic {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if c, err := v.Parse(with("public_key", testPublic+"=")); err != nil || c.ID() != testPublic {
		t.Errorf("with padding: %v", err)
	}
	for _, bad := range []struct {
		raw   []byte
		field string
	}{
		{nil, "credentials"},
		{[]byte("[]"), "credentials"},
		{[]byte("null"), "credentials"},
		{with("public_key", nil), "public_key"},
		{with("private_key", nil), "private_key"},
		{with("subject", nil), "subject"},
		{with("subject", ""), "subject"},
		{with("subject", 7), "subject"},
		{with("url", "https://elsewhere.example"), "url"},
		{with("public_key", "abc"), "public_key"},
		{with("public_key", testPublic[:86]), "public_key"},
		{with("public_key", otherPublic), "public_key"},
		{with("private_key", testPrivate[:42]), "private_key"},
		{with("private_key", strings.Repeat("A", 43)), "private_key"},
		{with("private_key", strings.Repeat("_", 42)+"8"), "private_key"},
		{with("subject", "ops@example.com"), "subject"},
		{with("subject", "http://example.com"), "subject"},
		{with("subject", "mailto:"), "subject"},
		{with("subject", "mailto:Ops <ops@example.com>"), "subject"},
		{with("subject", "mailto:ops@localhost"), "subject"},
		{with("subject", "mailto:ops@push.local"), "subject"},
		{with("subject", "https://localhost"), "subject"},
		{with("subject", "https://push.invalid"), "subject"},
		{with("subject", "https://127.0.0.1"), "subject"},
		{with("subject", "https://[2001:db8::1]/"), "subject"},
		{with("subject", "https://intranet/"), "subject"},
		{with("subject", "https://u:p@example.com"), "subject"},
		{with("subject", "mailto:ops@example.com"+strings.Repeat("m", 255)), "subject"},
	} {
		c, err := v.Parse(bad.raw)
		var e *wire.FieldError
		if !errors.As(err, &e) || e.Field != bad.field || c != nil {
			t.Errorf("%s: %v, want an error of %s", bad.raw, err, bad.field)
		}
		if err != nil && strings.Contains(err.Error(), testPrivate) {
			t.Errorf("%s: the error has the private key", bad.raw)
		}
	}
}

func TestGeneratedKeysAreTaken(t *testing.T) {
	t.Parallel()
	v := New(wire.Deps{Clock: clock.System{}})
	seen := map[string]bool{}
	for range 20 {
		public, private, err := GenerateKeys()
		if err != nil || len(public) != 87 || len(private) != 43 || seen[public] {
			t.Fatalf("%q, %q, %v", public, private, err)
		}
		seen[public] = true
		c, err := v.Parse(fmt.Appendf(nil, `{"public_key":%q,"private_key":%q,"subject":"https://example.com"}`, public, private))
		if err != nil || c.ID() != public {
			t.Fatal(err)
		}
		if err := v.Probe(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if v.Probe(t.Context(), nil) == nil {
		t.Error("credentials of another vendor pass")
	}
	if out := v.Send(t.Context(), nil, make([]wire.Token, 2), &wire.Message{Kind: wire.Data}); len(out) != 2 || out[0].Status != wire.Denied {
		t.Errorf("credentials of another vendor: %+v", out)
	}
}

// recorder is a push service that keeps what it was asked.
type recorder struct {
	*httptest.Server
	mu  sync.Mutex
	got []*http.Request
}

func newRecorder(t testing.TB, start func(*httptest.Server)) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		r.mu.Lock()
		r.got = append(r.got, req)
		r.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
	}))
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(r.Server)
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) authorizations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, req := range r.got {
		out = append(out, req.Header.Get("Authorization"))
	}
	return out
}

func simple() *wire.Message {
	return &wire.Message{ID: "1", Kind: wire.Notification, Title: "t", Body: "b", TTL: time.Minute}
}

func TestOneSignatureServesAllWhoSendToAnOrigin(t *testing.T) {
	t.Parallel()
	service := newRecorder(t, (*httptest.Server).Start)
	now := clock.NewFake(wiretest.Now)
	v := New(wire.Deps{BaseURL: service.URL, Clock: now})
	c := entered(t, v)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if out := v.Send(t.Context(), c, []wire.Token{{Value: token(service.URL + "/a")}}, simple()); out[0].Status != wire.Accepted {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	all := service.authorizations()
	for _, a := range all {
		if a != all[0] { // signatures are random: an equal one was made once
			t.Fatalf("signed anew: %s and %s", all[0], a)
		}
	}
	checkVAPID(t, all[0], service.URL, now.Now())
	now.Advance(12 * time.Hour)
	v.Send(t.Context(), c, []wire.Token{{Value: token(service.URL + "/a")}}, simple())
	later := service.authorizations()[50]
	if later == all[0] {
		t.Error("not signed anew when the token is over")
	}
	checkVAPID(t, later, service.URL, now.Now())
}

// checkVAPID checks an Authorization header as RFC 8292 wants a push service to.
func checkVAPID(t *testing.T, header, audience string, now time.Time) {
	t.Helper()
	token, key, ok := strings.Cut(strings.TrimPrefix(header, "vapid t="), ", k=")
	if !ok || key != testPublic {
		t.Fatalf("header %q", header)
	}
	point := raw(t, key)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.RegisteredClaims
	_, err = jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return public, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	if life := claims.ExpiresAt.Sub(now); life <= 0 || life > 24*time.Hour || claims.Subject != "mailto:ops@example.com" {
		t.Errorf("claims %+v", claims)
	}
}

func TestTheOriginIsWithoutTheSchemesOwnPort(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://push.example.net/a/b?c": "https://push.example.net", "https://PUSH.example.net:443/": "https://push.example.net",
		"https://push.example.net:8443/": "https://push.example.net:8443", "http://[::1]:80/x": "http://[::1]", "https://[::1]:4443/": "https://[::1]:4443",
	} {
		u, ok := parseEndpoint(endpoint)
		if !ok || origin(u) != want {
			t.Errorf("%s: %s, want %s", endpoint, origin(u), want)
		}
	}
}

// trusting is a vendor that believes the certificate of a server, with the guard of one without a simulator.
func trusting(service *recorder, allow ...netip.Prefix) *Vendor {
	roots := x509.NewCertPool()
	if service.Certificate() != nil {
		roots.AddCert(service.Certificate())
	}
	return New(wire.Deps{Clock: clock.System{}, Transport: newGuarded(allow, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})})
}

func TestPrivateAddressesAreNotCalledUnlessAllowed(t *testing.T) {
	t.Parallel()
	secure := newRecorder(t, (*httptest.Server).StartTLS)
	plain := newRecorder(t, (*httptest.Server).Start)
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	for _, service := range []*recorder{secure, plain} {
		_, port, _ := net.SplitHostPort(service.Listener.Addr().String())
		scheme, _, _ := strings.Cut(service.URL, ":")
		for _, endpoint := range []string{service.URL, scheme + "://localhost:" + port, scheme + "://[::ffff:127.0.0.1]:" + port} {
			for _, v := range []*Vendor{trusting(service), trusting(service, netip.MustParsePrefix("10.0.0.0/8")), New(wire.Deps{Clock: clock.System{}})} {
				out := v.Send(t.Context(), entered(t, v), []wire.Token{{Value: token(endpoint + "/a")}}, simple())
				if out[0].Status != wire.Rejected || out[0].Reason != netguard.ErrAddress.Error() {
					t.Errorf("%s: %+v", endpoint, out[0])
				}
			}
		}
		if n := len(service.authorizations()); n != 0 {
			t.Fatalf("%s was called %d times", service.URL, n)
		}
		v := trusting(service, loopback)
		out := v.Send(t.Context(), entered(t, v), []wire.Token{{Value: token(service.URL + "/a")}}, simple())
		if out[0].Status != wire.Accepted || len(service.authorizations()) != 1 {
			t.Errorf("%s, which is allowed: %+v", service.URL, out[0])
		}
	}
	// Deps.Allow is what the vendor's own transport goes by.
	v := New(wire.Deps{Clock: clock.System{}, Allow: []netip.Prefix{loopback}})
	if out := v.Send(t.Context(), entered(t, v), []wire.Token{{Value: token(plain.URL + "/a")}}, simple()); out[0].Status != wire.Accepted {
		t.Errorf("%+v", out[0])
	}
}

// answering is a transport that answers every call alike.
type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Devices name endpoints, so one that refuses must not be believed about the credentials that all the others need.
func TestOnlyKnownServicesSpeakOfTheCredentials(t *testing.T) {
	t.Parallel()
	for host, believed := range map[string]bool{
		"fcm.googleapis.com/fcm/send": true, "fcm.googleapis.com/wp": true, "updates.push.services.mozilla.com/wpush/v2": true,
		"wns2-am3p.notify.windows.com/w": true, "web.push.apple.com": true, "FCM.GoogleApis.com/fcm/send": true,
		"push.example.net/wpush": false, "fcm.googleapis.com.evil.example/wp": false, "evilweb.push.apple.com": false,
		// Services beside those for browsers: they would refuse.
		"fcm.googleapis.com/v1/projects": false, "api.push.apple.com/3/device": false, "fcm.googleapis.com/wp/../v1/projects": false,
		"fcm.googleapis.com/wp/%2e%2e/v1/projects": false,
	} {
		for _, status := range []int{400, 401, 403, 429, 500, 0} {
			v := New(wire.Deps{Clock: clock.System{}, Transport: answering(func(r *http.Request) (*http.Response, error) {
				if status == 0 {
					return nil, io.ErrUnexpectedEOF
				}
				return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"900"}}, Body: http.NoBody, Request: r}, nil
			})})
			o := v.Send(t.Context(), entered(t, v), []wire.Token{{Value: token("https://" + host + "/a")}}, simple())[0]
			want := wire.Outcome{Status: wire.Rejected}
			switch {
			case status == 429 && believed:
				want = wire.Outcome{Status: wire.Limited, After: 900 * time.Second, Alone: true}
			case status == 500 && believed:
				want = wire.Outcome{Status: wire.Failed, After: 900 * time.Second, Alone: true}
			case status == 429, status == 500:
				want = wire.Outcome{Status: wire.Failed, After: time.Minute, Alone: true}
			case status == 0:
				want = wire.Outcome{Status: wire.Unknown, Alone: true}
			case believed:
				want = wire.Outcome{Status: wire.Denied, Alone: true}
			}
			if o.Status != want.Status || o.After != want.After || o.Alone != want.Alone {
				t.Errorf("%s answers %d: %+v, want %+v", host, status, o, want)
			}
		}
	}
}

// Devices that name services which never answer hold up neither the messages to real ones nor the call.
func TestServicesThatDoNotAnswerHoldUpNobody(t *testing.T) {
	t.Parallel()
	v := New(wire.Deps{Clock: clock.System{}, Transport: answering(func(r *http.Request) (*http.Response, error) {
		if r.URL.Hostname() == "tar.example" {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})})
	v.strangeCall, v.strangeSend = 20*time.Millisecond, 100*time.Millisecond
	var list []wire.Token
	for range 500 {
		list = append(list, wire.Token{Value: token("https://tar.example/a")})
	}
	for range 500 {
		list = append(list, wire.Token{Value: token("https://fcm.googleapis.com/fcm/send/a")})
	}
	out := v.Send(t.Context(), entered(t, v), list, simple())
	for i, o := range out {
		if i >= 500 && o.Status != wire.Accepted || i < 500 && (!o.Alone || o.Status != wire.Unknown && o.Status != wire.Failed) {
			t.Fatalf("token %d: %+v", i, o)
		}
	}
}

// What a stranger answers is not kept in memory as a whole.
func TestLittleOfAnAnswerIsRead(t *testing.T) {
	t.Parallel()
	service := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusGone)
		_, _ = w.Write(bytes.Repeat([]byte("x"), 8<<20))
	}))
	service.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer service.Close()
	v := trusting(&recorder{Server: service}, netip.MustParsePrefix("127.0.0.0/8"))
	if o := v.Send(t.Context(), entered(t, v), []wire.Token{{Value: token(service.URL + "/a")}}, simple())[0]; o.Status != wire.Invalid {
		t.Errorf("%+v", o)
	}
}

func TestNothingSecretIsInOutcomes(t *testing.T) {
	t.Parallel()
	v := New(wire.Deps{Clock: clock.System{}, Transport: answering(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })})
	o := v.Send(t.Context(), entered(t, v), []wire.Token{{Value: token("https://push.example.net/capability")}}, simple())[0]
	if text := fmt.Sprintf("%+v", o); strings.Contains(text, "capability") || strings.Contains(text, rfcAuth) {
		t.Errorf("%s", text)
	}
}

func TestACancelledSendEndsWithAnOutcome(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices that its client is gone when it has read all
		cancel()
		<-r.Context().Done()
	}))
	defer service.Close()
	v := New(wire.Deps{BaseURL: service.URL, Clock: clock.System{}})
	out := v.Send(ctx, entered(t, v), []wire.Token{{Value: token(service.URL + "/a")}, {Value: token(service.URL + "/b")}}, simple())
	for _, o := range out {
		if o.Status != wire.Unknown && o.Status != wire.Failed {
			t.Errorf("%+v", o)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(201, "text/plain", "https://push.example.net/m/1", "9", []byte("x"))
	f.Add(403, "application/json", "", "Thu, 05 Mar 2026 09:31:00 GMT", []byte(`{"reason":"VapidPkHashMismatch"}`))
	f.Add(401, "text/html", "%zz", "-1", []byte(`{"errno":109,"message":7}`))
	f.Add(429, "", "/", "99999999999999999999", []byte("\xff\x00"))
	f.Fuzz(func(t *testing.T, status int, contentType, location, after string, body []byte) {
		if status < 200 || status > 999 {
			return
		}
		v := New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: answering(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Request: r,
				Header: http.Header{"Content-Type": {contentType}, "Location": {location}, "Retry-After": {after}, "Apns-Id": {location}, "X-Wns-Error-Description": {after}},
			}, nil
		})})
		tokens := []wire.Token{{Value: token("https://web.push.apple.com/a")}, {Value: string(body)}, {Value: token("https://push.example.net/")}}
		out := v.Send(t.Context(), entered(t, v), tokens, simple())
		if len(out) != len(tokens) {
			t.Fatalf("%d outcomes", len(out))
		}
		for _, o := range out {
			if o.After < 0 || o.After > time.Hour || len(o.Reason) > 210 || len(o.VendorID) > 210 {
				t.Fatalf("%+v", o)
			}
		}
	})
}

func FuzzSubscriptions(f *testing.F) {
	f.Add(token("https://push.example.net/a"))
	f.Add(`{"endpoint":"https://[::1]:99999/","keys":{}}`)
	f.Add(`{"endpoint":"https://a/","expirationTime":1e400,"keys":{"p256dh":"B","auth":""}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, reason := parseSubscription(text, wiretest.Now)
		if (s == nil) == (reason == "") {
			t.Fatalf("%+v, %q", s, reason)
		}
		if s != nil && (origin(s.endpoint) == "" || len(s.auth) != authSize || len(s.point) != pointSize) {
			t.Fatalf("%+v", s)
		}
	})
}

// Calls run side by side, in no order; each subscription has its own outcome all the same.
func TestEachSubscriptionHasItsOutcome(t *testing.T) {
	t.Parallel()
	v := New(wire.Deps{BaseURL: "https://push.example", Clock: clock.NewFake(wiretest.Now), Transport: answers(func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/gone") {
			return http.StatusGone
		}
		return http.StatusCreated
	})})
	var list []wire.Token
	for i := range 60 {
		list = append(list, wire.Token{Value: token("https://push.example/" + []string{"here", "gone"}[i%2])})
	}
	for i, o := range v.Send(t.Context(), entered(t, v), list, simple()) {
		if want := []wire.Status{wire.Accepted, wire.Invalid}[i%2]; o.Status != want {
			t.Fatalf("subscription %d: %+v, want %s", i, o, want)
		}
	}
}

// answers is a transport that answers with a status.
type answers func(*http.Request) int

// RoundTrip answers.
func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a(r), Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}
