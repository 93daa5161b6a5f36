// Package xiaomi is a simulated MiPush service: it speaks v3 of Xiaomi's server API as its documents have it, refuses what they
// forbid with their codes, keeps their quotas, and reports to the addresses that messages name.
//
// It has one app, com.example.sim, with the channels public (at most 5 a device and day, and a quota for the app), private and call, and
// the template order_shipped of the private channel with the variables order and shop.
package xiaomi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/courier"
	"borealis/test/sim/phone"
)

// The one app.
const (
	secret      = "sim-xiaomi-secret=="
	packageName = "com.example.sim"
)

// Limits that the documents have.
const (
	maxBody      = 4 << 20
	maxTokens    = 1000
	perSecond    = 500
	perDevice    = 5
	firstQuota   = 20_000
	maxRemember  = 1_000_000
	dayMillis    = 24 * 60 * 60 * 1000
	shanghaiLead = 8 * 60 * 60 * 1000
)

// Sim is the service. It is safe for concurrent use.
type Sim struct {
	d    phone.Deps
	post *courier.Courier

	mu sync.Mutex
	// quota of public messages on a day, and the ones that were used on it.
	quota, used int
	day         int64
	// devices are the public messages of the day by regid.
	devices map[string]int
	// seen are the job keys that phones have had.
	seen map[seenKey]bool
	// second is the one of which requests are counted.
	second   int64
	requests int
	ids      int
	// last is the last message of each regid, for Click.
	last map[string]*message
}

type seenKey struct{ regid, job string }

// New returns a service.
func New(d phone.Deps) *Sim {
	return &Sim{
		d: d, post: courier.New(), quota: firstQuota,
		devices: make(map[string]int), seen: make(map[seenKey]bool), last: make(map[string]*message),
	}
}

// Channel is the name of the vendor.
func (*Sim) Channel() string { return "xiaomi" }

// Credentials that it takes.
func (*Sim) Credentials() json.RawMessage {
	return json.RawMessage(`{"app_secret":"` + secret + `","package_name":"` + packageName + `","channel_id":"public","system_channel_id":"private","app_name":"Sim"}`)
}

// ReportTo names the server that is told what became of messages, at the path that each message names.
func (s *Sim) ReportTo(address string) { s.post.To(address) }

// SetQuota changes how many public messages of the app are delivered on a day.
func (s *Sim) SetQuota(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota = n
}

// faultCodes are the documented codes that Faults can ask for.
const faultCodes = "-1 1 10001 10002 10003 10008 10012 10016 10017 10027 10029 10031 10034 10036 10037 20301 20607 21301 21302 21303 21305 " +
	"22000 22006 22007 22022 22102 26003 26004 26006 27001 65003 65009 65011 65014 65015 65029 65030 65036 65037 65038 200001"

// receiptFaults accept the message and report that it was lost, with the type after the underscore.
const receiptFaults = "receipt_16 receipt_32 receipt_64 receipt_128 receipt_1024"

// FaultNames are the ways to fail: codes, losses that are reported later, and what can happen on the way: no_answer (nothing was done),
// lost_answer (it was done), html, http_500, http_503.
func (*Sim) FaultNames() []string {
	return append(strings.Fields(faultCodes+" "+receiptFaults), "no_answer", "lost_answer", "html", "http_500", "http_503")
}

// ServeHTTP answers one call.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		s.refuse(w, refusal{"10018", "request body length over limit"})
		return
	}
	fault := s.d.Faults.Take()
	switch fault {
	case "no_answer":
		panic(http.ErrAbortHandler)
	case "html":
		_, _ = io.WriteString(w, "<html><body>It works!</body></html>")
		return
	case "http_500":
		w.WriteHeader(http.StatusInternalServerError)
		return
	case "http_503":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if fault != "" && fault != "lost_answer" && !strings.HasPrefix(fault, "receipt_") {
		reason := "fault " + fault
		if fault == "20301" {
			reason = "send failed"
		}
		s.refuse(w, refusal{fault, reason})
		return
	}
	s.mu.Lock()
	answer := s.route(r, body, fault)
	s.mu.Unlock()
	if fault == "lost_answer" {
		panic(http.ErrAbortHandler)
	}
	answer(w)
}

// route does what a call asks for. The caller holds mu.
func (s *Sim) route(r *http.Request, body []byte, fault string) func(http.ResponseWriter) {
	no := func(code, reason string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { s.refuse(w, refusal{code, reason}) }
	}
	if r.Header.Get("Authorization") != "key="+secret {
		return no("21301", "Invalid application secret.")
	}
	now := clock.Millis(s.d.Clock.Now())
	if now/1000 != s.second {
		s.second, s.requests = now/1000, 0
	}
	if s.requests++; s.requests > perSecond {
		return no("10027", "Application api call too often.")
	}
	if day := (now + shanghaiLead) / dayMillis; day != s.day {
		s.day, s.used = day, 0
		clear(s.devices)
	}
	if r.URL.Path == "/v1/channel/list" && r.Method == http.MethodGet {
		return func(w http.ResponseWriter) {
			s.accept(w, map[string]any{"list": []string{"public", "private", "call"}}, "")
		}
	}
	if r.Method != http.MethodPost {
		return no("10021", "Http method is not supported for this request")
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return no("10007", "unsupport mime type")
	}
	f, err := url.ParseQuery(string(body))
	if err != nil {
		return no("10008", "Parameter error")
	}
	if f.Get("restricted_package_name") != packageName {
		return no("22022", "Invalid package name")
	}
	switch r.URL.Path {
	case "/v3/message/regid":
		return s.send(f, fault)
	case "/v1/message/regid/revoke":
		return s.revoke(f)
	}
	return func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }
}

// refusal is a code and why.
type refusal struct{ code, reason string }

func (s *Sim) refuse(w http.ResponseWriter, r refusal) {
	code, _ := strconv.Atoi(r.code)
	s.write(w, map[string]any{"result": "error", "reason": r.reason, "trace_id": "Xcm0", "code": code, "description": "发送消息失败"})
}

func (s *Sim) accept(w http.ResponseWriter, data map[string]any, info string) {
	s.write(w, map[string]any{"result": "ok", "trace_id": "Xdm0", "code": 0, "data": data, "description": "成功", "info": info})
}

func (*Sim) write(w http.ResponseWriter, answer map[string]any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(answer)
}

// regids are the tokens of a field.
func regids(f url.Values, name string) ([]string, *refusal) {
	if f.Get(name) == "" {
		return nil, &refusal{"10016", "miss required parameter " + name}
	}
	list := strings.Split(f.Get(name), ",")
	if len(list) > maxTokens {
		return nil, &refusal{"10017", fmt.Sprintf("%s has more than %d values", name, maxTokens)}
	}
	return list, nil
}

// revoke takes notifications off screens. The caller holds mu.
func (s *Sim) revoke(f url.Values) func(http.ResponseWriter) {
	list, no := regids(f, "registration_ids")
	if no == nil {
		if _, err := strconv.ParseInt(f.Get("notify_id"), 10, 32); err != nil {
			no = &refusal{"22103", "Invalid notify id"}
		}
	}
	if no != nil {
		return func(w http.ResponseWriter) { s.refuse(w, *no) }
	}
	for _, r := range list {
		s.d.Phones.Retract(s.Channel(), r, f.Get("notify_id"))
	}
	s.ids++
	id := "srv" + strconv.Itoa(s.ids)
	return func(w http.ResponseWriter) { s.accept(w, map[string]any{"id": id}, "") }
}
