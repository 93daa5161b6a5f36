package external_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/kernel/clock"
	"borealis/internal/platform/account/person/external"
)

const verifier = "a-verifier-that-has-at-least-forty-three-characters"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// issuer is an OpenID provider on the wire. change breaks its ID token.
type issuer struct {
	*httptest.Server
	key    *rsa.PrivateKey
	nonce  string
	change func(jwt.MapClaims)
	method jwt.SigningMethod
}

func newIssuer(t *testing.T, now time.Time) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, method: jwt.SigningMethodRS256}
	mux := http.NewServeMux()
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		e := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())
		reply(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": e}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if r.FormValue("code") != "good" || base64.RawURLEncoding.EncodeToString(sum[:]) != challenge() {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		claims := jwt.MapClaims{"iss": i.URL, "aud": "client", "sub": "subject", "nonce": i.nonce, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "name": "张三", "email": "somebody@example.com"}
		if i.change != nil {
			i.change(claims)
		}
		token := jwt.NewWithClaims(i.method, claims)
		token.Header["kid"] = "1"
		var sign any = key
		if i.method != jwt.SigningMethodRS256 {
			sign = []byte("secret")
		}
		raw, err := token.SignedString(sign)
		if err != nil {
			t.Error(err)
		}
		reply(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": raw})
	})
	return i
}

func TestOIDC(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	fake := clock.NewFake(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	i := newIssuer(t, fake.Now())
	client := i.Client()
	t.Cleanup(client.CloseIdleConnections)
	p := external.NewOIDC("corp", i.URL, "client", "secret", client, fake)
	where, err := p.URL(ctx, external.Request{State: "s", Nonce: "n", Challenge: challenge(), Redirect: "https://push.example.com/back"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"state": "s", "nonce": "n", "code_challenge": challenge(), "code_challenge_method": "S256", "client_id": "client", "redirect_uri": "https://push.example.com/back", "response_type": "code"} {
		if got := u.Query().Get(k); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	answer := external.Answer{Code: "good", Nonce: "n", Verifier: verifier, Redirect: "https://push.example.com/back"}
	i.nonce = "n"
	who, err := p.Identity(ctx, answer)
	if err != nil || who.Subject != "subject" || who.Name != "张三" {
		t.Errorf("%+v, %v", who, err)
	}
	for what, change := range map[string]func(jwt.MapClaims){
		"another nonce":    func(c jwt.MapClaims) { c["nonce"] = "x" },
		"no nonce":         func(c jwt.MapClaims) { delete(c, "nonce") },
		"another audience": func(c jwt.MapClaims) { c["aud"] = "other" },
		"another issuer":   func(c jwt.MapClaims) { c["iss"] = "https://evil.example" },
		"expired":          func(c jwt.MapClaims) { c["exp"] = fake.Now().Add(-time.Hour).Unix() },
	} {
		i.change = change
		if who, err := p.Identity(ctx, answer); err == nil {
			t.Errorf("%s: %+v", what, who)
		}
	}
	i.change, i.method = nil, jwt.SigningMethodHS256
	if _, err := p.Identity(ctx, answer); err == nil {
		t.Error("signed with another algorithm")
	}
	i.method = jwt.SigningMethodRS256
	for what, bad := range map[string]external.Answer{"another code": {Code: "x", Nonce: "n", Verifier: verifier}, "another verifier": {Code: "good", Nonce: "n", Verifier: verifier + "x"}} {
		if _, err := p.Identity(ctx, bad); err == nil {
			t.Error(what)
		}
	}
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	user := `{"id":7,"login":"octo","name":"","avatar_url":"https://a.example/1"}`
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_secret") != "secret" || r.FormValue("code") != "good" || r.FormValue("code_verifier") != verifier {
			reply(w, map[string]string{"error": "bad_verification_code"}) // with status 200, as the service does
			return
		}
		reply(w, map[string]string{"access_token": "t", "token_type": "bearer", "scope": ""})
	})
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(user))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	g := external.NewGitHub("client", "secret", server.URL, server.URL, server.Client())
	where, err := g.URL(ctx, external.Request{State: "s", Challenge: challenge(), Redirect: "https://push.example.com/back"})
	if err != nil || !strings.HasPrefix(where, server.URL+"/login/oauth/authorize?") || !strings.Contains(where, "state=s") || !strings.Contains(where, "code_challenge_method=S256") {
		t.Errorf("%s, %v", where, err)
	}
	who, err := g.Identity(ctx, external.Answer{Code: "good", Verifier: verifier})
	if err != nil || who.Subject != "7" || who.Name != "octo" {
		t.Errorf("%+v, %v", who, err)
	}
	if _, err := g.Identity(ctx, external.Answer{Code: "x", Verifier: verifier}); err == nil {
		t.Error("another code")
	}
	for _, user = range []string{`{}`, `{"id":0}`, `<html>`, `{"id":"7"}`} {
		if who, err := g.Identity(ctx, external.Answer{Code: "good", Verifier: verifier}); err == nil {
			t.Errorf("%s: %+v", user, who)
		}
	}
}

func TestWeChat(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	user := `{"openid":"o","unionid":"u","nickname":"张三","headimgurl":"https://a.example/1"}`
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sns/oauth2/access_token", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("secret") != "secret" || q.Get("code") != "good" || q.Get("grant_type") != "authorization_code" {
			_, _ = w.Write([]byte(`{"errcode":40029,"errmsg":"invalid code"}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"t","expires_in":7200,"refresh_token":"r","openid":"o","scope":"snsapi_login","unionid":"u"}`))
	})
	mux.HandleFunc("GET /sns/userinfo", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(user)) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := external.NewWeChat("client", "secret", server.URL, server.URL, server.Client())
	where, err := p.URL(ctx, external.Request{State: "s", Redirect: "https://push.example.com/back"})
	if err != nil || !strings.HasSuffix(where, "#wechat_redirect") || !strings.Contains(where, "state=s") || !strings.Contains(where, "scope=snsapi_login") {
		t.Errorf("%s, %v", where, err)
	}
	who, err := p.Identity(ctx, external.Answer{Code: "good"})
	if err != nil || who.Subject != "unionid:u" || who.Name != "张三" {
		t.Errorf("%+v, %v", who, err)
	}
	if _, err := p.Identity(ctx, external.Answer{Code: "x"}); err == nil {
		t.Error("another code")
	}
	for _, user = range []string{`{"errcode":40003}`, `{"openid":"somebody else"}`, `<html>`} {
		if who, err := p.Identity(ctx, external.Answer{Code: "good"}); err == nil {
			t.Errorf("%s: %+v", user, who)
		}
	}
	server.Close()
	if _, err := p.Identity(ctx, external.Answer{Code: "good"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the secret: %v", err)
	}
}
