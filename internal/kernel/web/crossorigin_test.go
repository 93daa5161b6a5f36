package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"borealis/internal/kernel/web"
)

func TestScriptsOfOtherSitesMayCallWhatIsBelowThePrefixOnly(t *testing.T) {
	t.Parallel()
	h := web.CrossOrigin("/device/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	call := func(method, path string, header map[string]string) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		for name, value := range header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	asked := map[string]string{"Origin": "https://shop.example", "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,x-app-key"}

	pre := call("OPTIONS", "/device/v1/profile", asked)
	if pre.StatusCode != 204 || pre.Header.Get("Access-Control-Allow-Origin") != "*" || pre.Header.Get("Access-Control-Max-Age") == "" {
		t.Errorf("preflight: %d %v", pre.StatusCode, pre.Header)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if !strings.Contains(pre.Header.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("%s is not allowed", method)
		}
	}
	for _, name := range []string{"Authorization", "Content-Type", "X-App-Key"} {
		if !strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("%s is not allowed", name)
		}
	}
	// A refusal must be readable too, or a script cannot tell it from a network that is down.
	refused := call("POST", "/device/v1/register", map[string]string{"Origin": "https://shop.example"})
	if refused.StatusCode != 429 || refused.Header.Get("Access-Control-Allow-Origin") != "*" || refused.Header.Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("refusal: %d %v", refused.StatusCode, refused.Header)
	}
	if a := call("OPTIONS", "/device/v1/register", nil); a.StatusCode != 429 {
		t.Errorf("OPTIONS that is no preflight: %d", a.StatusCode)
	}
	if a := call("OPTIONS", "/v3/push", asked); a.StatusCode != 429 || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another surface: %d %v", a.StatusCode, a.Header)
	}
	if a := call("GET", "/device/v1/profile", asked); a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Error("credentials of the browser are allowed")
	}
}
