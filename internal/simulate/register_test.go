package simulate

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := Register(t.Context(), w.url+"/", testKey, RegisterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.RegistrationID) != 20 || c.Secret == "" || len(c.MQTT) != 1 || c.KeepAlive != 240*time.Second {
		t.Errorf("credentials %+v", c)
	}
	alias := "me"
	if err := SetProfile(t.Context(), nil, w.url, testKey, c, Profile{Alias: &alias, Tags: &Tags{Add: []string{"a"}}}); err != nil {
		t.Fatal(err)
	}
	if got := w.Profiles(); len(got) != 1 || got[0] != `{"tags":{"add":["a"]},"alias":"me"}` {
		t.Errorf("profiles %q", got)
	}
	c.Secret = "wrong"
	var failure *APIError
	if err := SetProfile(t.Context(), nil, w.url, testKey, c, Profile{Alias: &alias}); !errors.As(err, &failure) || failure.Status != http.StatusUnauthorized {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestRegisterSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := Register(t.Context(), w.url, "nobody", RegisterOptions{})
	var failure *APIError
	if !errors.As(err, &failure) || failure.Status != http.StatusNotFound || failure.Temporary() || !strings.Contains(err.Error(), "no app has this key (HTTP 404)") {
		t.Errorf("unknown app: %v", err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if _, err := Register(t.Context(), gone.URL, testKey, RegisterOptions{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no server: %v", err)
	}
	for name, body := range map[string]string{"not JSON": "<html>", "empty": "{}"} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		if _, err := Register(t.Context(), other.URL, testKey, RegisterOptions{}); err == nil || errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
		other.Close()
	}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }))
	defer plain.Close()
	if _, err := Register(t.Context(), plain.URL, testKey, RegisterOptions{}); !errors.As(err, &failure) || !failure.Temporary() || !strings.Contains(err.Error(), "Bad Gateway") {
		t.Errorf("not a problem document: %v", err)
	}
}
