package vendor_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/service/push/relay/vendor"
)

func TestAddressesThatGetTheSecret(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		vendor.PushURL: true, "https://bjapi.push.jiguang.cn": true, "https://x.example/": true, "http://127.0.0.1:8080": true, "http://localhost:1": true, "http://[::1]:1": true,
		"http://api.jpush.cn": false, "": false, "api.jpush.cn": false, "https://u:p@x.example": false, "https://x.example?a=b": false, "ftp://x.example": false, "http://10.0.0.1": false,
	} {
		if err := vendor.CheckURL(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func client(t *testing.T, h http.HandlerFunc) *vendor.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := vendor.New(vendor.HTTPClient(nil), s.URL+"/", "key", "secret")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnswersAreRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		header  map[string]string
		body    string
		pause   time.Duration
		text    string
		message string // of Push
		fails   bool
	}{
		"accepted":                 {status: 200, body: `{"sendno":"0","msg_id":"58546795154321"}`, message: "58546795154321"},
		"accepted, id as a number": {status: 200, body: `{"sendno":"0","msg_id":58546795154321}`, message: "58546795154321"},
		"the last of the window":   {status: 200, header: map[string]string{"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "17"}, body: `{"msg_id":"1"}`, message: "1", pause: 17 * time.Second},
		"one of the window":        {status: 200, header: map[string]string{"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "9", "X-Rate-Limit-Reset": "17"}, body: `{"msg_id":"1"}`, message: "1"},
		"too many":                 {status: 429, header: map[string]string{"X-Rate-Limit-Reset": "0"}, body: `{"error":{"code":2002,"message":"Rate limit exceeded"}}`, pause: time.Second, text: "HTTP status 429, code 2002: Rate limit exceeded"},
		"too many, no headers":     {status: 429, pause: time.Minute, text: "HTTP status 429"},
		"too many, for ever":       {status: 429, header: map[string]string{"X-Rate-Limit-Reset": "99999999999"}, pause: vendor.MaxPause, text: "HTTP status 429"},
		"busy":                     {status: 503, header: map[string]string{"Retry-After": "5"}, body: `{"error":{"code":1030,"message":"busy"}}`, pause: 5 * time.Second, text: "HTTP status 503, code 1030: busy"},
		"nobody":                   {status: 400, body: `{"error":{"code":1011,"message":"cannot find user"}}`, text: "HTTP status 400, code 1011: cannot find user"},
		"a page instead of JSON":   {status: 502, body: `<html>`, text: "HTTP status 502"},
		"a redirect":               {status: 302, header: map[string]string{"Location": "http://127.0.0.1:1/"}, text: "HTTP status 302"},
		"200 without an id":        {status: 200, body: `{"msg_id":""}`, fails: true},
		"200 with something else":  {status: 200, body: `<html>`, fails: true},
		"an answer without an end": {status: 200, body: strings.Repeat(" ", 1<<20+1), fails: true},
		"a message without an end": {status: 400, body: `{"error":{"code":1,"message":"` + strings.Repeat("长", 200) + `"}}`, text: "HTTP status 400, code 1: " + strings.Repeat("长", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := client(t, func(w http.ResponseWriter, r *http.Request) {
				if key, secret, _ := r.BasicAuth(); key != "key" || secret != "secret" || r.URL.Path != "/v3/push" {
					t.Errorf("asked %s as %s", r.URL, key)
				}
				for k, x := range c.header {
					w.Header().Set(k, x)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			id, a, err := v.Push(context.Background(), []byte(`{}`))
			if (err != nil) != c.fails || id != c.message {
				t.Fatalf("id %q, %v", id, err)
			}
			if !c.fails && (a.Pause() != c.pause || !a.OK() && a.String() != c.text) {
				t.Errorf("pause %s, %s", a.Pause(), a)
			}
		})
	}
}

func TestDevicesAndKeys(t *testing.T) {
	t.Parallel()
	v := client(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v3/devices/full":
			fmt.Fprint(w, `{"tags":["a","b"],"alias":"u","mobile":"13800000000"}`)
		case "/v3/devices/bare":
			fmt.Fprint(w, `{"tags":null,"alias":null,"mobile":null}`)
		case "/v3/devices/number":
			fmt.Fprint(w, `{"tags":[],"alias":"","mobile":13800000000}`)
		case "/v3/push/cid":
			fmt.Fprint(w, `{"cidlist":["c1","c2"]}`)
		default:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":7002,"message":"invalid"}}`)
		}
	})
	ctx := context.Background()
	for id, want := range map[string]vendor.Device{
		"full": {Tags: []string{"a", "b"}, Alias: "u", Mobile: "13800000000"}, "bare": {}, "number": {Mobile: "13800000000"},
	} {
		d, _, err := v.Device(ctx, id)
		if err != nil || !slices.Equal(d.Tags, want.Tags) || d.Alias != want.Alias || d.Mobile != want.Mobile {
			t.Errorf("%s: %+v, %v", id, d, err)
		}
	}
	if _, a, err := v.Device(ctx, "unknown/../x"); err != nil || a.Code != 7002 {
		t.Errorf("unknown: %s, %v", a, err)
	}
	if list, _, err := v.CIDs(ctx, 100); err != nil || len(list) != 2 {
		t.Errorf("cids %v, %v", list, err)
	}
}
