package conformance

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"borealis/test/e2e"
)

// request is a call of the compatible API.
type request struct {
	// method is POST and path /v3/push if empty.
	method, path string
	// body is sent as it is if it is a string, as JSON otherwise; nil is none.
	body any
	// chunked hides the length of the body.
	chunked bool
	// header is added; a value set here replaces what would be sent.
	header map[string]string
}

// answer is what came back, already checked against the rules that hold for every answer.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	code    int // of the error; 0 for a success
	illegal []string
}

// object is the body of a success.
func (a answer) object(t testing.TB) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != http.StatusOK {
		t.Fatalf("status %d, %s: %v", a.status, a.body, err)
	}
	return out
}

// basic is the value of an Authorization header.
func basic(c e2e.Credentials) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Key+":"+c.Secret))
}

// send makes the call as c and checks the rules that real clients depend on for every answer of the compatible API.
func send(t testing.TB, n *e2e.Node, c e2e.Credentials, r request) answer {
	t.Helper()
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	if r.chunked {
		body = io.MultiReader(body) // of a type whose length net/http does not know
	}
	req, err := http.NewRequest(cmp.Or(r.method, http.MethodPost), n.URL+cmp.Or(r.path, "/v3/push"), body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", basic(c))
	req.Header.Set("Content-Type", "application/json")
	for name, value := range r.header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	return check(t, do(t, n, req), req.URL.Path)
}

// flat tells whether the errors of a call lie flat in the answer, as clients of template pushes and plans read them.
func flat(path string) bool {
	return strings.HasPrefix(path, "/v3/push/template") || strings.HasPrefix(path, "/v3/push_plan/")
}

// do sends a request and never follows a redirect.
func do(t testing.TB, n *e2e.Node, req *http.Request) answer {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if n.HTTP != nil {
		client.Transport = n.HTTP.Transport
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: data}
}

// check holds the answer of the compatible API to a call at path against what real clients depend on.
func check(t testing.TB, a answer, path string) answer {
	t.Helper()
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		t.Errorf("Content-Type %q", kind)
	}
	if length := a.header.Get("Content-Length"); length != strconv.Itoa(len(a.body)) {
		t.Errorf("Content-Length %q, the body has %d bytes", length, len(a.body))
	}
	business := strings.HasPrefix(path, "/v1/") && bytes.HasPrefix(a.body, []byte(`{"error"`)) // this API refuses with status 200
	if a.status == http.StatusOK && !business {
		if !json.Valid(a.body) || bytes.Contains(a.body, []byte(`"error"`)) {
			t.Errorf("body of a success: %s", a.body)
		}
		return a
	}
	if a.status < 400 && !business {
		t.Errorf("status %d", a.status)
	}
	type refused struct {
		Code    *int     `json:"code"`
		Message *string  `json:"message"`
		Illegal []string `json:"illegal_rids"`
	}
	var (
		envelope struct {
			Error *refused `json:"error"`
		}
		into any = &envelope
	)
	if flat(path) {
		envelope.Error = new(refused)
		into = envelope.Error
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	e := envelope.Error
	if err != nil || e == nil || e.Code == nil || e.Message == nil || *e.Message == "" || flat(path) && e.Illegal != nil {
		t.Errorf("body of an error: %s (%v)", a.body, err)
		return a
	}
	if text := string(a.body); strings.Contains(text, "msg_id") || strings.Contains(text, "schedule_id") {
		t.Errorf("an error that two public clients take for a success: %s", text)
	}
	a.code, a.illegal = *e.Code, e.Illegal
	return a
}

// rate is the limit as the headers of an answer tell it.
type rate struct{ limit, remaining, reset int }

// rateOf reads the headers; the limit goes by two names.
func rateOf(t testing.TB, a answer) rate {
	t.Helper()
	number := func(name string) int {
		n, err := strconv.Atoi(a.header.Get(name))
		if err != nil {
			t.Errorf("header %s of an answer with status %d, %s: %q", name, a.status, a.body, a.header.Get(name))
		}
		return n
	}
	r := rate{number("X-Rate-Limit-Limit"), number("X-Rate-Limit-Remaining"), number("X-Rate-Limit-Reset")}
	if quota := number("X-Rate-Limit-Quota"); quota != r.limit {
		t.Errorf("X-Rate-Limit-Quota %d, X-Rate-Limit-Limit %d", quota, r.limit)
	}
	return r
}

// refusal is what an answer must be.
type refusal struct {
	request
	status, code int
}

// refuse runs refusals as subtests.
func refuse(t *testing.T, n *e2e.Node, c e2e.Credentials, cases map[string]refusal) {
	t.Helper()
	for name, r := range cases {
		t.Run(name, func(t *testing.T) {
			a := send(t, n, c, r.request)
			if a.status != r.status || a.code != r.code {
				t.Errorf("status %d, %s; want status %d, code %d", a.status, a.body, r.status, r.code)
			}
		})
	}
}

// pushBody is a valid push to a device, changed: a value replaces a member, nil removes it.
func pushBody(rid string, change map[string]any) map[string]any {
	body := alert("must not arrive", rid)
	for name, value := range change {
		body[name] = value
		if value == nil {
			delete(body, name)
		}
	}
	return body
}

// many is a list of n different names.
func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("name", i)
	}
	return out
}

// with is a JSON object of one member.
func with(name string, value any) map[string]any { return map[string]any{name: value} }
