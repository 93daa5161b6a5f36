package fcm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	vendor "borealis/internal/engine/channel/fcm"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/fcm"
	"borealis/test/sim/phone"
)

// lab is a simulator with the vendor's package in front of it.
type lab struct {
	*testing.T
	clock  *clock.Fake
	phones *phone.Network
	faults *phone.Faults
	sim    *fcm.Sim
	server *httptest.Server
	vendor *vendor.Vendor
	creds  wire.Credentials
}

func newLab(t *testing.T) *lab {
	t.Helper()
	now := clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC))
	l := &lab{T: t, clock: now, phones: phone.NewNetwork(now), faults: &phone.Faults{}}
	l.sim = fcm.New(phone.Deps{Phones: l.phones, Faults: l.faults, Clock: now})
	l.server = httptest.NewServer(l.sim)
	t.Cleanup(l.server.Close)
	l.vendor = vendor.New(wire.Deps{BaseURL: l.server.URL, Clock: now})
	creds, err := l.vendor.Parse(l.sim.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	l.creds = creds
	return l
}

func (l *lab) send(token string, m *wire.Message) wire.Outcome {
	l.Helper()
	return l.vendor.Send(l.Context(), l.creds, []wire.Token{{Value: token}}, m)[0]
}

func (l *lab) phone(token string) phone.Phone {
	l.Helper()
	p, ok := l.phones.Find("fcm", token)
	if !ok {
		l.Fatalf("no phone has token %s", token)
	}
	return p
}

func TestWhatThePackageSendsIsTaken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	full := wire.Message{
		Title: "Hello", Body: strings.Repeat("光", 3000), Extras: json.RawMessage(`{"k":"v","deep":{"a":[1]}}`), TTL: 60 * 24 * time.Hour,
		Replaces: "41", ChannelID: "news", Sound: "ding", Badge: wire.Badge{Set: new(7)}, LargeIcon: "https://example.com/l.png",
		SmallIcon: "ic_bell", Click: wire.Click{Action: "com.example.OPEN"}, Style: wire.Style{BigPicture: "https://example.com/p.png"},
		Truncate: true, Options: json.RawMessage(`{"collapse_key":"scores"}`),
	}
	for _, kind := range []wire.Kind{wire.Notification, wire.Data} {
		for priority := -2; priority <= 2; priority++ {
			m := full
			m.ID, m.Kind, m.Priority = fmt.Sprintf("%d", 50+priority), kind, priority
			token := l.phones.Add("fcm", "")
			if o := l.send(token, &m); o.Status != wire.Accepted || o.VendorID == "" {
				t.Errorf("%s, priority %d: %+v", kind, priority, o)
				continue
			}
			got := l.phone(token).Got[0]
			var data map[string]string
			if json.Unmarshal(got.Data, &data) != nil || got.ID != m.ID || data["k"] != "v" || data["deep"] != `{"a":[1]}` {
				t.Errorf("%s: got %+v", kind, got)
			}
			if kind == wire.Notification && (got.Title != "Hello" || got.Tag != "41" || !strings.HasPrefix(full.Body, got.Body) || len(got.Body) < 3000) {
				t.Errorf("notification %+v", got)
			}
		}
	}
	if err := l.vendor.Probe(t.Context(), l.creds); err != nil {
		t.Errorf("probe: %v", err)
	}
}

func TestARepetitionAndAReplacementTakeThePlaceOnTheScreen(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("fcm", "")
	for _, m := range []wire.Message{{ID: "1", Body: "one"}, {ID: "1", Body: "one"}, {ID: "2", Body: "two"}, {ID: "3", Body: "three", Replaces: "1"}} {
		m.Kind, m.TTL = wire.Notification, time.Hour
		if o := l.send(token, &m); o.Status != wire.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	var shown []string
	for _, n := range l.phone(token).Screen {
		shown = append(shown, n.Body)
	}
	if want := []string{"two", "three"}; !slices.Equal(shown, want) {
		t.Errorf("the screen shows %q, want %q", shown, want)
	}
}

func TestTokensThatAreNoLongerGood(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	gone := l.phones.Add("fcm", "")
	l.phones.SetState("fcm", gone, phone.Uninstalled)
	away := l.phones.Add("fcm", "")
	l.phones.SetState("fcm", away, phone.Inactive)
	m := wire.Message{ID: "1", Kind: wire.Notification, Body: "x", TTL: time.Hour}
	for token, want := range map[string]string{gone: "UNREGISTERED", strings.Repeat("n", 64): "UNREGISTERED", "cut off": "INVALID_ARGUMENT"} {
		if o := l.send(token, &m); o.Status != wire.Invalid || o.Code != want {
			t.Errorf("%s: %+v", want, o)
		}
	}
	if o := l.send(away, &m); o.Status != wire.Accepted || len(l.phone(away).Got) != 0 {
		t.Errorf("a phone that is away: %+v", o)
	}
}

func TestEveryFaultIsOneThatThePackageUnderstands(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("fcm", "")
	m := wire.Message{ID: "1", Kind: wire.Notification, Body: "x", TTL: time.Hour}
	want := map[string]wire.Status{
		"unauthenticated": wire.Accepted, "permission_denied": wire.Denied, "account_disabled": wire.Denied,
		"token_unavailable": wire.Failed, "html": wire.Failed, "cut": wire.Unknown,
		"UNSPECIFIED_ERROR": wire.Failed, "INVALID_ARGUMENT": wire.Rejected, "UNREGISTERED": wire.Invalid, "SENDER_ID_MISMATCH": wire.Rejected,
		"QUOTA_EXCEEDED": wire.Limited, "UNAVAILABLE": wire.Failed, "INTERNAL": wire.Failed, "THIRD_PARTY_AUTH_ERROR": wire.Rejected,
	}
	names := l.sim.FaultNames()
	slices.Sort(names)
	if known := slices.Sorted(maps.Keys(want)); !slices.Equal(names, known) {
		t.Fatalf("faults %q, want %q", names, known)
	}
	for _, name := range names {
		l.faults.Next(name)
		if o := l.send(token, &m); o.Status != want[name] {
			t.Errorf("%s: %+v, want %s", name, o, want[name])
		}
		if o := l.send(token, &m); o.Status != wire.Accepted {
			t.Errorf("after %s: %+v", name, o)
		}
	}
}

func TestAccessTokensEndAfterAnHour(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("fcm", "")
	m := wire.Message{ID: "1", Kind: wire.Data, Body: "x", TTL: time.Hour}
	for range 5 {
		if o := l.send(token, &m); o.Status != wire.Accepted {
			t.Fatalf("%+v", o)
		}
		l.clock.Advance(50 * time.Minute)
	}
	access := l.access()
	l.clock.Advance(time.Hour)
	if status, _ := l.post(access, `{"message":{"token":"`+token+`"}}`); status != http.StatusUnauthorized {
		t.Errorf("an access token of an hour ago: status %d", status)
	}
}

func TestRatesAreCounted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token, other := l.phones.Add("fcm", ""), l.phones.Add("fcm", "")
	m := wire.Message{ID: "1", Kind: wire.Data, Body: "x", TTL: time.Hour}
	for i := range 241 {
		if o := l.send(token, &m); (o.Status == wire.Accepted) != (i < 240) {
			t.Fatalf("message %d: %+v", i+1, o)
		} else if i == 240 && (o.Status != wire.Limited || o.Code != "QUOTA_EXCEEDED" || o.After != time.Minute) {
			t.Fatalf("message 241: %+v", o)
		}
	}
	if o := l.send(other, &m); o.Status != wire.Accepted {
		t.Errorf("another device: %+v", o)
	}
	l.clock.Advance(time.Minute)
	if o := l.send(token, &m); o.Status != wire.Accepted {
		t.Errorf("a minute later: %+v", o)
	}
}

func TestCallsGoOverHTTP2(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var newer, older atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			newer.Add(1)
		} else {
			older.Add(1)
		}
		l.sim.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	v := vendor.New(wire.Deps{BaseURL: server.URL, Clock: l.clock, Transport: server.Client().Transport})
	tokens := make([]wire.Token, 300)
	for i := range tokens {
		tokens[i].Value = l.phones.Add("fcm", "")
	}
	m := wire.Message{ID: "1", Kind: wire.Notification, Body: "x", TTL: time.Hour}
	for i, o := range v.Send(t.Context(), l.creds, tokens, &m) {
		if o.Status != wire.Accepted {
			t.Fatalf("token %d: %+v", i, o)
		}
	}
	if newer.Load() != 301 || older.Load() != 0 {
		t.Errorf("%d calls over HTTP/2, %d over HTTP/1", newer.Load(), older.Load())
	}
}

// access is a fresh access token.
func (l *lab) access() string {
	l.Helper()
	_, body := l.grant(l.claims(), "RS256", nil)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		l.Fatalf("no access token: %s", body)
	}
	return answer.AccessToken
}

func (l *lab) claims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "push@borealis-sim.iam.gserviceaccount.com", "scope": "https://www.googleapis.com/auth/firebase.messaging",
		"aud": "https://oauth2.googleapis.com/token", "iat": l.clock.Now().Unix(), "exp": l.clock.Now().Add(time.Hour).Unix(),
	}
}

// grant asks for an access token with claims signed by key, or the account's if it is nil.
func (l *lab) grant(claims jwt.MapClaims, algorithm string, key any) (int, []byte) {
	l.Helper()
	var file struct {
		PrivateKey string `json:"private_key"`
	}
	if err := json.Unmarshal(l.sim.Credentials(), &file); err != nil {
		l.Fatal(err)
	}
	if key == nil {
		parsed, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(file.PrivateKey))
		if err != nil {
			l.Fatal(err)
		}
		key = parsed
	}
	signed, err := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims).SignedString(key)
	if err != nil {
		l.Fatal(err)
	}
	return l.form(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}})
}

func (l *lab) form(form url.Values) (int, []byte) {
	l.Helper()
	resp, err := http.PostForm(l.server.URL+"/token", form)
	if err != nil {
		l.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, body
}

func (l *lab) post(access, body string) (int, []byte) {
	l.Helper()
	req, _ := http.NewRequestWithContext(l.Context(), http.MethodPost, l.server.URL+"/v1/projects/borealis-sim/messages:send", bytes.NewReader([]byte(body)))
	req.Header.Set("Authorization", "Bearer "+access)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, answer
}
