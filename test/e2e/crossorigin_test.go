package e2e

import (
	"net/http"
	"testing"
)

// Devices that are browsers call from the page of the app's own site.
func TestDeviceAPIIsOpenToScriptsOfOtherSites(t *testing.T) {
	t.Parallel()
	n := Start(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		open         bool
	}{
		{http.MethodOptions, "/device/v1/register", 204, true},
		{http.MethodOptions, "/device/v1/profile", 204, true},
		{http.MethodGet, "/device/v1/profile", 401, true},
		{http.MethodPost, "/device/v1/events", 0, true},
		{http.MethodOptions, "/v3/push", 0, false},
	} {
		req, err := http.NewRequest(c.method, n.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://shop.example")
		if c.method == http.MethodOptions {
			req.Header.Set("Access-Control-Request-Method", "POST")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if c.status != 0 && resp.StatusCode != c.status || (resp.Header.Get("Access-Control-Allow-Origin") == "*") != c.open {
			t.Errorf("%s %s: %d %v", c.method, c.path, resp.StatusCode, resp.Header)
		}
	}
}
