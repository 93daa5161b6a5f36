// Package wiretest runs the case files of vendors: what goes onto the wire for a message, and what an answer means.
//
// A case file is a JSON array of Case. In wanted headers, forms and bodies the text "*" stands for any value that is
// there and not empty. Calls are expected in their order and answered as the case says. In tokens the text "{base}" stands
// for the address of the server that answers, for vendors whose tokens are addresses.
package wiretest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// Now is what the clock of every case shows.
var Now = time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC)

// Case is one Send.
type Case struct {
	Name        string          `json:"name"`
	Credentials json.RawMessage `json:"credentials"`
	Tokens      []string        `json:"tokens"`
	Sandbox     bool            `json:"sandbox"`
	// Message has the fields of wire.Message in any case; ttl_s is its TTL in seconds.
	Message struct {
		wire.Message
		TTLSeconds int `json:"ttl_s"`
	} `json:"message"`
	// Retract takes back the message of this id instead of sending one.
	Retract  string    `json:"retract"`
	Calls    []Call    `json:"calls"`
	Outcomes []Outcome `json:"outcomes"`
}

// Call is a call that is expected, and its answer.
type Call struct {
	Method string            `json:"method"` // POST if empty
	Path   string            `json:"path"`   // with the query
	Header map[string]string `json:"header"` // others may be there too; a value of "" must be absent
	// Body is compared as JSON, Form as a form; at most one is given.
	Body   json.RawMessage   `json:"body"`
	Form   map[string]string `json:"form"`
	Answer struct {
		Status int               `json:"status"` // 200 if 0; -1 cuts the connection
		Header map[string]string `json:"header"`
		Body   json.RawMessage   `json:"body"` // a JSON text is sent as what it says, without quotes
	} `json:"answer"`
}

// Outcome is a wire.Outcome; an empty Reason is not compared.
type Outcome struct {
	Status   string `json:"status"`
	VendorID string `json:"vendor_id"`
	Code     string `json:"code"`
	Reason   string `json:"reason"`
	AfterS   int    `json:"after_s"`
	Token    string `json:"token"`
	Since    int64  `json:"since"`
}

// Run runs all cases of the files that the pattern names, each against a vendor that was just made. replace are pairs of a text
// in the files and what stands for it: keys that are made for the test, and calls that are the same in every case.
func Run(t *testing.T, pattern string, vendor func(wire.Deps) wire.Vendor, replace ...string) {
	t.Helper()
	RunEncrypted(t, pattern, vendor, func(body []byte) ([]byte, error) { return body, nil }, replace...)
}

// RunEncrypted is Run for a vendor whose bodies are encrypted: what decrypt makes of one is compared.
func RunEncrypted(t *testing.T, pattern string, vendor func(wire.Deps) wire.Vendor, decrypt func(body []byte) ([]byte, error), replace ...string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no case files (%v)", pattern, err)
	}
	replacer := strings.NewReplacer(replace...)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []Case
		d := json.NewDecoder(strings.NewReader(replacer.Replace(string(text))))
		d.DisallowUnknownFields()
		if err := d.Decode(&cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		base := strings.TrimSuffix(filepath.Base(file), ".json")
		for i := range cases {
			t.Run(base+"/"+cases[i].Name, func(t *testing.T) {
				t.Parallel()
				cases[i].run(t, vendor, decrypt)
			})
		}
	}
}

func (c *Case) run(t *testing.T, vendor func(wire.Deps) wire.Vendor, decrypt func([]byte) ([]byte, error)) {
	t.Helper()
	s := &script{calls: c.Calls, decrypt: decrypt}
	server := httptest.NewUnstartedServer(s)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	v := vendor(wire.Deps{BaseURL: server.URL, Clock: clock.NewFake(Now)})
	creds, err := v.Parse(c.Credentials)
	if err != nil {
		t.Fatalf("credentials: %v", err)
	}
	m := c.Message.Message
	m.TTL = time.Duration(c.Message.TTLSeconds) * time.Second
	tokens := make([]wire.Token, len(c.Tokens))
	for i, value := range c.Tokens {
		tokens[i] = wire.Token{Value: strings.ReplaceAll(value, "{base}", server.URL), Sandbox: c.Sandbox}
	}
	var outcomes []wire.Outcome
	if c.Retract != "" {
		retractor, ok := v.(wire.Retractor)
		if !ok {
			t.Fatal("the vendor takes nothing back")
		}
		outcomes = retractor.Retract(t.Context(), creds, tokens, c.Retract)
	} else {
		outcomes = v.Send(t.Context(), creds, tokens, &m)
	}
	s.report(t)
	c.compare(t, outcomes)
}

func (c *Case) compare(t *testing.T, got []wire.Outcome) {
	t.Helper()
	if len(got) != len(c.Tokens) {
		t.Fatalf("%d outcomes for %d tokens: %+v", len(got), len(c.Tokens), got)
	}
	if len(c.Outcomes) != len(got) {
		t.Fatalf("the case names %d outcomes, there are %d: %+v", len(c.Outcomes), len(got), got)
	}
	for i, want := range c.Outcomes {
		g := Outcome{
			Status: got[i].Status.String(), VendorID: got[i].VendorID, Code: got[i].Code, Reason: got[i].Reason,
			AfterS: int(got[i].After / time.Second), Token: got[i].Token, Since: got[i].Since,
		}
		if want.Reason == "" {
			g.Reason = ""
		}
		if want != g {
			t.Errorf("token %d: outcome %+v (%s), want %+v", i, g, got[i].Reason, want)
		}
	}
}

// script answers calls as the case says.
type script struct {
	decrypt func([]byte) ([]byte, error)

	mu       sync.Mutex
	calls    []Call
	made     int
	problems []string
}

func (s *script) problemf(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *script) report(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.problems {
		t.Error(p)
	}
	if s.made < len(s.calls) {
		t.Errorf("%d calls were made, expected are %d", s.made, len(s.calls))
	}
}

// ServeHTTP answers one call.
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.made++
	if s.made > len(s.calls) {
		s.problemf("call %d is one too many: %s %s %s", s.made, r.Method, r.URL, body)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	call := &s.calls[s.made-1]
	s.check(call, r, body)
	if call.Answer.Status == -1 {
		panic(http.ErrAbortHandler)
	}
	for k, v := range call.Answer.Header {
		w.Header().Set(k, v)
	}
	if call.Answer.Status != 0 {
		w.WriteHeader(call.Answer.Status)
	}
	answer := []byte(call.Answer.Body)
	if text := ""; json.Unmarshal(answer, &text) == nil {
		answer = []byte(text)
	}
	_, _ = w.Write(answer)
}

func (s *script) check(call *Call, r *http.Request, body []byte) {
	method := call.Method
	if method == "" {
		method = http.MethodPost
	}
	if r.Method != method || r.URL.RequestURI() != call.Path {
		s.problemf("call %d is %s %s, want %s %s", s.made, r.Method, r.URL.RequestURI(), method, call.Path)
	}
	for k, want := range call.Header {
		if got := r.Header.Get(k); got != want && (want != "*" || got == "") {
			s.problemf("call %d: header %s is %q, want %q", s.made, k, got, want)
		}
	}
	switch {
	case call.Form != nil:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			s.problemf("call %d: %v", s.made, err)
		}
		got := make(map[string]any)
		for k := range form {
			got[k] = form.Get(k)
		}
		want := make(map[string]any)
		for k, v := range call.Form {
			want[k] = v
		}
		s.same(got, want)
	case call.Body != nil:
		body, err := s.decrypt(body)
		if err != nil {
			s.problemf("call %d: %v", s.made, err)
			return
		}
		var got, want any
		if err := json.Unmarshal(body, &got); err != nil {
			s.problemf("call %d: body %q is no JSON", s.made, body)
			return
		}
		if err := json.Unmarshal(call.Body, &want); err != nil {
			s.problemf("call %d: the case's body: %v", s.made, err)
			return
		}
		s.same(got, want)
	}
}

func (s *script) same(got, want any) {
	if !matches(got, want) {
		g, _ := json.MarshalIndent(got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		s.problemf("call %d has the body\n%s\nwant\n%s", s.made, g, w)
	}
}

// matches compares decoded JSON. A text inside that is JSON itself ("messageJson") is compared as what it encodes.
func matches(got, want any) bool {
	switch w := want.(type) {
	case string:
		g, ok := got.(string)
		if w == "*" {
			return got != nil && got != ""
		}
		if !ok || g == w {
			return ok
		}
		var inner, wanted any
		if !strings.HasPrefix(w, "{") && !strings.HasPrefix(w, "[") || json.Unmarshal([]byte(w), &wanted) != nil {
			return false
		}
		return json.Unmarshal([]byte(g), &inner) == nil && matches(inner, wanted)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if v, there := g[k]; !there || !matches(v, w[k]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !matches(g[i], w[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}
