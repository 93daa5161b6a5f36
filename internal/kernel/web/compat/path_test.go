package compat

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// routes is a mux with the shapes of the compatible APIs. Each handler echoes its pattern, its path values and the query.
func routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, p := range []string{
		"POST /v3/push", "POST /v3/push/validate", "GET /v3/push/cid",
		"POST /v3/schedules", "GET /v3/schedules/{id}", "DELETE /v3/schedules/{id}",
		"GET /v3/devices/{rid}", "POST /v3/devices/{rid}", "POST /v3/devices/status",
		"GET /v3/tags", "GET /v3/tags/{tag}/registration_ids/{rid}", "POST /v3/tags/{tag}", "DELETE /v3/tags/{tag}",
		"GET /v3/aliases/{alias}", "DELETE /v3/aliases/{alias}",
		"GET /v3/received/detail", "GET /v3/users", "POST /v3/status/message",
		"POST /v1/app", "POST /v1/app/{key}/delete",
		"GET /console/", "GET /{$}",
	} {
		mux.HandleFunc(p, func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s|%s|%s", r.Pattern, r.PathValue("tag")+r.PathValue("alias")+r.PathValue("rid")+r.PathValue("id")+r.PathValue("key"), r.URL.RawQuery)
		})
	}
	mux.Handle("/v3/", Fallback(mux))
	mux.Handle("/v1/", Fallback(mux))
	return mux
}

func TestPath(t *testing.T) {
	t.Parallel()
	cases := []struct{ method, target, want string }{
		// Clean paths.
		{"POST", "/v3/push", "POST /v3/push||"},
		{"GET", "/v3/push/cid?count=3", "GET /v3/push/cid||count=3"},
		{"GET", "/console/x", "GET /console/||"},
		// Trailing slash, also before a query.
		{"POST", "/v3/schedules/", "POST /v3/schedules||"},
		{"GET", "/v3/tags/", "GET /v3/tags||"},
		{"POST", "/v3/devices/status/", "POST /v3/devices/status||"},
		{"POST", "/v1/app/", "POST /v1/app||"},
		{"DELETE", "/v3/tags/vip/?platform=android", "DELETE /v3/tags/{tag}|vip|platform=android"},
		{"GET", "/v3/users/?time_unit=DAY", "GET /v3/users||time_unit=DAY"},
		{"POST", "/v3/push//", "POST /v3/push||"},
		// Doubled slash.
		{"POST", "/v3//push/validate", "POST /v3/push/validate||"},
		{"POST", "/v3/tags//vip", "POST /v3/tags/{tag}|vip|"},
		{"POST", "//v3/push", "POST /v3/push||"},
		// The Beijing zone.
		{"POST", "/v3/push/schedules", "POST /v3/schedules||"},
		{"GET", "/v3/push/schedules/9", "GET /v3/schedules/{id}|9|"},
		{"GET", "/v3/device/1507bfd3f7", "GET /v3/devices/{rid}|1507bfd3f7|"},
		{"POST", "/v3/device/status/", "POST /v3/devices/status||"},
		{"GET", "/v3/device/tags/a/registration_ids/r", "GET /v3/tags/{tag}/registration_ids/{rid}|ar|"},
		{"GET", "/v3/device/tags/", "GET /v3/tags||"},
		{"GET", "/v3/device/aliases/b?platform=ios", "GET /v3/aliases/{alias}|b|platform=ios"},
		{"GET", "/v3/report/received/detail?msg_ids=1", "GET /v3/received/detail||msg_ids=1"},
		{"POST", "/v3/report/status/message", "POST /v3/status/message||"},
		// The query glued to an alias.
		{"GET", "/v3/aliases/al&new_format=true", "GET /v3/aliases/{alias}|al|new_format=true"},
		{"GET", "/v3/aliases/al&new_format=true?platform=ios", "GET /v3/aliases/{alias}|al|platform=ios&new_format=true"},
		{"GET", "/v3/device/aliases/al&new_format=true", "GET /v3/aliases/{alias}|al|new_format=true"},
		{"GET", "/v3/aliases/al&new_format=false", "GET /v3/aliases/{alias}|al&new_format=false|"},
		{"GET", "/v3/aliases/al%26new_format=true", "GET /v3/aliases/{alias}|al&new_format=true|"},
		{"POST", "/v3/tags/t&new_format=true", "POST /v3/tags/{tag}|t&new_format=true|"},
		// Decoded once, + stays +.
		{"POST", "/v3/tags/a+b", "POST /v3/tags/{tag}|a+b|"},
		{"POST", "/v3/tags/a%2Bb%20c", "POST /v3/tags/{tag}|a+b c|"},
		{"POST", "/v3/tags//a%2Bb", "POST /v3/tags/{tag}|a+b|"},
		{"POST", "/v3/tags/%2541/", "POST /v3/tags/{tag}|%41|"},
		{"POST", "/v3/tags/a%2Fb", "POST /v3/tags/{tag}|a/b|"},
		{"POST", "/v3/tags/a%2Fb/", "POST /v3/tags/{tag}|a/b|"},
		{"POST", "/v3/tags/a%2F%2Fb", "POST /v3/tags/{tag}|a//b|"},
		{"POST", "/v3/tags/!@$&*=.￥", "POST /v3/tags/{tag}|!@$&*=.￥|"},
		{"POST", "/v3/tags/%E5%8F%B7", "POST /v3/tags/{tag}|号|"},
		{"POST", "/v3/tags/号/", "POST /v3/tags/{tag}|号|"},
		// Dots are names here.
		{"POST", "/v3/tags/..", "POST /v3/tags/{tag}|..|"},
		{"POST", "/v3/tags/./", "POST /v3/tags/{tag}|.|"},
		{"POST", "/v3/tags/%2e%2E", "POST /v3/tags/{tag}|..|"},
		// Errors are JSON.
		{"GET", "/v3/nothing", `404 {"error":{"code":1020,"message":"The requested resource does not exist."}}`},
		{"GET", "/v3", `404 {"error":{"code":1020,"message":"The requested resource does not exist."}}`},
		{"GET", "//v1", `404 {"error":{"code":1020,"message":"The requested resource does not exist."}}`},
		{"GET", "/v3/tags/a/b/c/d", `404 {"error":{"code":1020,"message":"The requested resource does not exist."}}`},
		{"GET", "/v3/push", `405 {"error":{"code":1001,"message":"Method not allowed."}}`},
		{"PATCH", "/v3/schedules/1", `405 {"error":{"code":1001,"message":"Method not allowed."}}`},
		{"GET", "/v1/app/", `405 {"error":{"code":4001,"message":"Method not allowed."}}`},
	}
	h := Path(routes())
	for _, c := range cases {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request(t, c.method, c.target))
			got := w.Body.String()
			if w.Code != 200 {
				got = fmt.Sprint(w.Code, " ", got)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// request builds what net/http builds from a request line.
func request(t *testing.T, method, target string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPathKeepsTheCallersRequest(t *testing.T) {
	t.Parallel()
	r := request(t, "POST", "/v3//push/?a=b")
	Path(routes()).ServeHTTP(httptest.NewRecorder(), r)
	if r.URL.String() != "/v3//push/?a=b" {
		t.Errorf("URL changed to %s", r.URL)
	}
	if r.Pattern != "POST /v3/push" {
		t.Errorf("pattern %q is not noted", r.Pattern)
	}
}

// Clients probe with HEAD / before each session; it needs no credentials and no route.
func TestHeadOnARealSocket(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(Path(http.NotFoundHandler()))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "HEAD"})
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%+v, %v", resp, err)
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/v3/push", "/v3//tags/%2e%2e/", "/v3/aliases/&new_format=true", "/v3/device/./..", "/v1/../v3/report/a%2F", "/v3/report/report/x"} {
		f.Add(s)
	}
	mux := routes()
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip()
		}
		r := &http.Request{Method: "POST", URL: u, Host: "x", Header: http.Header{}}
		w := httptest.NewRecorder()
		Path(mux).ServeHTTP(w, r)
		if underAPI(u.EscapedPath()) {
			if w.Code >= 300 && w.Code < 400 {
				t.Fatalf("%q is answered with %d to %q", target, w.Code, w.Header().Get("Location"))
			}
			once, _ := cleanPath(u.EscapedPath())
			if strings.Contains(once, "//") || len(once) > len("/v3/") && strings.HasSuffix(once, "/") {
				t.Errorf("%q becomes %q", target, once)
			}
			if _, err := url.PathUnescape(once); err != nil {
				t.Errorf("%q becomes %q: %v", target, once, err)
			}
		}
	})
}

func BenchmarkPath(b *testing.B) {
	h := Path(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/v3/push", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
