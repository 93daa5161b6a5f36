package fcm_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"borealis/internal/engine/channel/fcm"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
)

// grant is the call for an access token that most cases begin with.
const grant = `{"path":"/token","answer":{"body":{"access_token":"ya29.one","expires_in":3599,"token_type":"Bearer"}}}`

var privateKey = sync.OnceValue(func() string { return newKey(2048) })

func newKey(bits int) string {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// account is a key file, changed by pairs of a field and its value.
func account(change ...any) []byte {
	file := map[string]any{
		"type": "service_account", "project_id": "demo-app", "private_key_id": "k1", "private_key": privateKey(),
		"client_email": "push@demo-app.iam.gserviceaccount.com", "client_id": "1", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
		"token_uri": "https://oauth2.googleapis.com/token", "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
		"client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/push", "universe_domain": "googleapis.com",
	}
	for i := 0; i < len(change); i += 2 {
		file[fmt.Sprint(change[i])] = change[i+1]
	}
	raw, _ := json.Marshal(file)
	return raw
}

func newVendor(d wire.Deps) wire.Vendor { return fcm.New(d) }

func TestCases(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", newVendor, `"$account"`, string(account()), `"$grant"`, grant)
}

func TestKeyFilesAreChecked(t *testing.T) {
	t.Parallel()
	v := fcm.New(wire.Deps{Clock: clock.System{}})
	for field, raw := range map[string][]byte{
		"type":            account("type", "authorized_user"),
		"project_id":      account("project_id", "../other"),
		"client_email":    account("client_email", "nobody"),
		"token_uri":       account("token_uri", "https://evil.example/token"),
		"universe_domain": account("universe_domain", "evil.example"),
		"private_key":     account("private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		"project_info":    account("project_info", "x"),
		"credentials":     []byte("[]"),
	} {
		_, err := v.Parse(raw)
		if wrong, ok := errors.AsType[*wire.FieldError](err); !ok || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, missing := range []string{"type", "project_id", "client_email", "private_key"} {
		_, err := v.Parse(account(missing, ""))
		if wrong, ok := errors.AsType[*wire.FieldError](err); !ok || wrong.Field != missing {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	if _, err := v.Parse(account("private_key", newKey(1024))); err == nil || !strings.Contains(err.Error(), "2048") {
		t.Errorf("a short key: %v", err)
	}
	for name, raw := range map[string][]byte{
		"as given": account(), "line ends as two characters": account("private_key", strings.ReplaceAll(privateKey(), "\n", `\n`)),
		"the old token_uri": account("token_uri", "https://accounts.google.com/o/oauth2/token"), "no addresses": account("token_uri", "", "universe_domain", ""),
	} {
		c, err := v.Parse(raw)
		if err != nil || c.ID() != "demo-app" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// google answers every message with what answer says, and counts.
type google struct {
	*httptest.Server
	grants, sends atomic.Int64
}

func newGoogle(t *testing.T, answer func(w http.ResponseWriter, token string)) *google {
	t.Helper()
	g := &google{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			n := g.grants.Add(1)
			_, _ = fmt.Fprintf(w, `{"access_token":"ya29.%d","expires_in":3599}`, n)
			return
		}
		g.sends.Add(1)
		var body struct{ Message struct{ Token string } }
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &body)
		answer(w, body.Message.Token)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *google) vendor() *fcm.Vendor {
	return fcm.New(wire.Deps{BaseURL: g.URL, Clock: clock.NewFake(wiretest.Now)})
}

func parse(t testing.TB, v *fcm.Vendor, raw []byte) wire.Credentials {
	t.Helper()
	c, err := v.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tokens(n int) []wire.Token {
	out := make([]wire.Token, n)
	for i := range out {
		out[i].Value = fmt.Sprintf("token-%d", i)
	}
	return out
}

var hello = wire.Message{ID: "42", Kind: wire.Notification, Title: "Hello", Body: "World", TTL: 3600e9}

func TestSendsAtOnceFetchOneAccessToken(t *testing.T) {
	t.Parallel()
	g := newGoogle(t, func(w http.ResponseWriter, token string) { _, _ = fmt.Fprintf(w, `{"name":"%s"}`, token) })
	v := g.vendor()
	c := parse(t, v, account())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if o := v.Send(t.Context(), c, tokens(2), &hello); o[1].Status != wire.Accepted {
				t.Errorf("%+v", o)
			}
		})
	}
	wg.Wait()
	if g.grants.Load() != 1 || g.sends.Load() != 100 {
		t.Fatalf("%d access tokens for %d messages", g.grants.Load(), g.sends.Load())
	}
	other := parse(t, v, account("private_key", newKey(2048)))
	v.Send(t.Context(), other, tokens(1), &hello)
	if g.grants.Load() != 2 {
		t.Fatal("another key of the same account got the access token of the first")
	}
}

func TestOutcomesStandInTheOrderOfTheTokens(t *testing.T) {
	t.Parallel()
	g := newGoogle(t, func(w http.ResponseWriter, token string) {
		if strings.HasSuffix(token, "3") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"name":"id of %s"}`, token)
	})
	v := g.vendor()
	for i, o := range v.Send(t.Context(), parse(t, v, account()), tokens(500), &hello) {
		if i%10 == 3 {
			if o.Status != wire.Invalid {
				t.Errorf("token %d: %+v", i, o)
			}
		} else if o.VendorID != fmt.Sprintf("id of token-%d", i) {
			t.Errorf("token %d: %+v", i, o)
		}
	}
}

func TestARefusedProjectIsNotAskedForEveryToken(t *testing.T) {
	t.Parallel()
	g := newGoogle(t, func(w http.ResponseWriter, _ string) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":{"status":"PERMISSION_DENIED"}}`)
	})
	v := g.vendor()
	for i, o := range v.Send(t.Context(), parse(t, v, account()), tokens(500), &hello) {
		if o.Status != wire.Denied {
			t.Errorf("token %d: %+v", i, o)
		}
	}
	if n := g.sends.Load(); n > 100 {
		t.Errorf("%d calls", n)
	}
}

func TestProbeSaysWhatGoogleRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token, send int
		field       string
		failed      bool
	}{
		"taken":    {200, 200, "", false},
		"account":  {400, 200, "private_key", true},
		"project":  {200, 403, "project_id", true},
		"unwell":   {200, 503, "", true},
		"no oauth": {503, 200, "", true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.URL.Path == "/token" {
				w.WriteHeader(c.token)
				_, _ = io.WriteString(w, `{"access_token":"x","expires_in":60,"error":"invalid_grant"}`)
				return
			}
			if !strings.Contains(string(body), `"validate_only":true`) {
				t.Errorf("a probe sends: %s", body)
			}
			w.WriteHeader(c.send)
			_, _ = io.WriteString(w, `{"name":"projects/demo-app/messages/fake_message_id"}`)
		}))
		v := fcm.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
		err := v.Probe(t.Context(), parse(t, v, account()))
		wrong, isField := errors.AsType[*wire.FieldError](err)
		if (err != nil) != c.failed || isField != (c.field != "") || isField && wrong.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(404, `{"error":{"status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}`)
	f.Add(400, `{"error":{"details":[{"fieldViolations":[{"field":"message.token"}]}]}}`)
	f.Add(200, `{"name":"x"}`)
	f.Add(429, `<html>`)
	raw := account()
	f.Fuzz(func(t *testing.T, status int, body string) {
		v := fcm.New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: wiretest.Answers(func(r *http.Request) (int, string) {
			if r.URL.Path == "/token" && status%2 == 0 {
				return 200, `{"access_token":"x","expires_in":60}`
			}
			return 100 + (status%500+500)%500, body
		})})
		if o := v.Send(t.Context(), parse(t, v, raw), tokens(3), &hello); len(o) != 3 {
			t.Fatalf("%d outcomes", len(o))
		}
	})
}
