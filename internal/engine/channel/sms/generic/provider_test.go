package generic_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const credentials = `{"templates":{"1":"tpl-1"},"signs":{"0":"Sign"}}`

func TestADescriptionIsCheckedWhenTheServerStarts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*generic.Config){
		"no address":           func(c *generic.Config) { c.URL = "" },
		"no host":              func(c *generic.Config) { c.URL = "/v1/sms" },
		"another scheme":       func(c *generic.Config) { c.URL = "file:///etc/passwd" },
		"method":               func(c *generic.Config) { c.Method = "TRACE" },
		"encoding":             func(c *generic.Config) { c.Encoding = "xml" },
		"GET with JSON":        func(c *generic.Config) { c.Method = "GET" },
		"no body":              func(c *generic.Config) { c.Body = nil },
		"body that is no JSON": func(c *generic.Config) { c.Body = json.RawMessage(`{"to":{mobile}}`) },
		"body without number":  func(c *generic.Config) { c.Body = json.RawMessage(`{"to":"x"}`) },
		"body that is too long": func(c *generic.Config) {
			c.Body = json.RawMessage(`{"to":"{mobile}` + strings.Repeat("x", 16<<10) + `"}`)
		},
		"form that is no texts":    func(c *generic.Config) { c.Encoding, c.Body = "form", json.RawMessage(`{"to":["{mobile}"]}`) },
		"result without success":   func(c *generic.Config) { c.Success = nil },
		"success without result":   func(c *generic.Config) { c.ResultField = "" },
		"a result that is unknown": func(c *generic.Config) { c.Results = map[string]string{"1": "fine"} },
		"a status that is none":    func(c *generic.Config) { c.Statuses = []int{7} },
		"a header with a line":     func(c *generic.Config) { c.Headers = map[string]string{"a": "b\r\nc: d"} },
		"a header with a colon":    func(c *generic.Config) { c.Headers = map[string]string{"a:": "b"} },
		"a negative rate":          func(c *generic.Config) { c.PerSecond = -1 },
	} {
		c := gateway()
		change(&c)
		if _, err := generic.New(wire.Deps{Clock: clock.System{}}, c); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	c := gateway()
	c.PerSecond, c.Parallel, c.Idempotent, c.SignNeeded = 50, 9, true, true
	p := newProvider(t, wire.Deps{Clock: clock.System{}}, c)
	if got := p.Traits(); got.Rate.PerSecond != 50 || got.Parallel != 9 || !got.Idempotent || got.Batch != 1 {
		t.Errorf("%+v", got)
	}
	var wrong *wire.FieldError
	if _, err := p.Parse([]byte(`{"templates":{"1":"a"}}`)); !errors.As(err, &wrong) || wrong.Field != "signs" {
		t.Errorf("no signature: %v", err)
	}
	if _, err := p.Parse([]byte(`{"templates":{"1":"a"},"url":"http://x"}`)); !errors.As(err, &wrong) || wrong.Field != "url" {
		t.Errorf("an app names an address: %v", err)
	}
}

func TestFormsAndQueries(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	want := url.Values{"to": {"+8613800138000"}, "text": {"Sign tpl-1 7"}, "vars": {`{"a":"b=c"}`}}
	m := smswire.Message{ID: "7", Mobile: "+8613800138000", Template: 1, Parameters: map[string]string{"a": "b=c"}}
	for _, method := range []string{"post", "PUT", "GET"} {
		for _, address := range []string{"http://gateway.example.com/send", "http://gateway.example.com/send?key=k"} {
			p := newProvider(t, wire.Deps{BaseURL: server.URL, Clock: clock.System{}}, generic.Config{
				URL: address, Method: method, Encoding: "form", Body: json.RawMessage(`{"to":"{mobile}","text":"{sign} {template} {id}","vars":"{params}"}`),
			})
			c, err := p.Parse([]byte(credentials))
			if err != nil {
				t.Fatal(err)
			}
			if o := p.Send(t.Context(), c, []smswire.Message{m}); o[0].Status != wire.Accepted {
				t.Fatalf("%s: %+v", method, o)
			}
			form, _ := url.ParseQuery(string(body))
			query := seen.URL.Query()
			if strings.Contains(address, "key=k") != (query.Get("key") == "k") {
				t.Errorf("%s: query %v", method, query)
			}
			query.Del("key")
			got := form
			if method == "GET" {
				got = query
			}
			if seen.Method != strings.ToUpper(method) || got.Encode() != want.Encode() {
				t.Errorf("%s: %s %v, want %v", method, seen.Method, got, want)
			}
		}
	}
	p := newProvider(t, wire.Deps{BaseURL: server.URL, Clock: clock.System{}}, generic.Config{
		URL: "http://gateway.example.com/", Body: json.RawMessage(`["{mobile}"]`), Statuses: []int{200},
	})
	c, err := p.Parse([]byte(credentials))
	if err != nil {
		t.Fatal(err)
	}
	if o := p.Send(t.Context(), c, []smswire.Message{m}); o[0].Status != wire.Rejected || o[0].Code != "202" {
		t.Errorf("a status that does not count as success: %+v", o)
	}
}

// answers is a transport that always says the same.
type answers struct {
	status int
	body   []byte
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

func FuzzEveryAnswerGivesAnOutcome(f *testing.F) {
	f.Add(200, []byte(`{"status":"0","data":[{"id":1}]}`), "status")
	f.Add(200, []byte(`{"a":[{"b":true}]}`), "a.0.b")
	f.Add(200, []byte(`[1]`), "1.x")
	f.Add(503, []byte(`<html>`), "")
	f.Fuzz(func(t *testing.T, status int, body []byte, path string) {
		if status < 100 || status > 999 {
			t.Skip()
		}
		config := gateway()
		config.IDField, config.ReasonField = path, path
		if path != "" {
			config.ResultField = path
		}
		p := newProvider(t, wire.Deps{Transport: answers{status, body}, Clock: clock.System{}}, config)
		c, err := p.Parse([]byte(credentials))
		if err != nil {
			t.Fatal(err)
		}
		o := p.Send(t.Context(), c, []smswire.Message{{Mobile: "+8613800138000", Template: 1}, {Mobile: "x"}})
		if len(o) != 2 || len(o[0].Reason) > 200 || len(o[0].VendorID) > 128 || o[1].Status != wire.Rejected {
			t.Fatalf("%+v", o)
		}
	})
}
