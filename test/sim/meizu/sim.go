// Package meizu is a simulated Flyme push service: it checks signatures and messages as Meizu's API documents have them, refuses with
// their codes, by request and by push id, and sends receipts.
package meizu

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/courier"
	"borealis/test/sim/phone"
)

// The one app. receiptToken is what its owner entered beside the address for receipts.
const (
	appID        = "100999"
	secret       = "sim-meizu-secret"
	receiptToken = "sim-meizu-receipts"
)

// Limits.
const (
	maxBody    = 4 << 20
	maxBatch   = 100
	perSecond  = 200
	perDevice  = 3
	perMinute  = 5
	maxDevices = 1_000_000
	dayMillis  = 24 * 60 * 60 * 1000
	// ahead is Asia/Shanghai's lead over UTC, in milliseconds.
	ahead = 8 * 60 * 60 * 1000
)

// Sim is the service. It is safe for concurrent use.
type Sim struct {
	d    phone.Deps
	post *courier.Courier

	mu               sync.Mutex
	second           int64
	requests, ids    int
	day, minute      int64
	today, thisSpell map[string]int
	// last is the last message of each push id, for Click.
	last map[string]*sent
}

// sent is a message that was taken.
type sent struct {
	id string
	m  *message
}

// New returns a service.
func New(d phone.Deps) *Sim {
	return &Sim{d: d, post: courier.New(), today: make(map[string]int), thisSpell: make(map[string]int), last: make(map[string]*sent)}
}

// Channel is the name of the vendor.
func (*Sim) Channel() string { return "meizu" }

// Credentials that it takes.
func (*Sim) Credentials() json.RawMessage {
	return json.RawMessage(`{"app_id":"` + appID + `","app_secret":"` + secret + `","receipt_token":"` + receiptToken + `","app_name":"Sim"}`)
}

// ReportTo names the server that is told what became of messages, at the path that each message names.
func (s *Sim) ReportTo(address string) { s.post.To(address) }

// Wait waits until all receipts so far have been brought to the server.
func (s *Sim) Wait() { s.post.Wait() }

const (
	// faultCodes are codes of whole answers; the ones in tokenFaults stand for each push id.
	faultCodes  = "201 300 500 518 519 1001 1003 1005 1006 110000 110001 110004 110009 110010 110019 110031 110033 110051 110053"
	tokenFaults = "token_201 token_501 token_513 token_518 token_519 token_520 token_110002 token_110003 token_110010 token_110011"
	// otherFaults: nothing was done; it was done; and what proxies answer.
	otherFaults = "no_answer lost_answer html http_500 http_503"
)

// FaultNames are the ways to fail.
func (*Sim) FaultNames() []string {
	return strings.Fields(faultCodes + " " + tokenFaults + " " + otherFaults)
}

// answer of the API.
type answer struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	Value    any    `json:"value"`
	Redirect string `json:"redirect"`
	MsgID    string `json:"msgId,omitempty"`
}

func refuse(code, why string) answer { return answer{Code: code, Message: why, Value: ""} }

// ServeHTTP answers one call.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
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
	s.mu.Lock()
	a, ok := s.route(r, body, fault)
	s.mu.Unlock()
	if fault == "lost_answer" {
		panic(http.ErrAbortHandler)
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(a)
}

// route does what a call asks for. The caller holds mu.
func (s *Sim) route(r *http.Request, body []byte, fault string) (answer, bool) {
	if _, err := strconv.Atoi(fault); err == nil {
		a := refuse(fault, "fault "+fault)
		if fault == "300" {
			a.Redirect = "http://elsewhere.example/"
		}
		return a, true
	}
	text, handle := string(body), s.push
	switch r.Method + " " + r.URL.Path {
	case "POST /garcia/api/server/push/varnished/pushByPushId":
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			return refuse("1005", "Content-Type"), true
		}
	case "GET /garcia/api/server/push/statistics/dailyPushStatics":
		text, handle = r.URL.RawQuery, s.statistics
	default:
		return answer{}, false
	}
	f, err := url.ParseQuery(text)
	if err != nil {
		return refuse("1005", "the parameters are no form"), true
	}
	if f.Get("appId") != appID {
		return refuse("110000", "appId"), true
	}
	if f.Get("sign") == "" {
		return refuse("110004", "sign"), true
	}
	if subtle.ConstantTimeCompare([]byte(f.Get("sign")), []byte(signature(f))) != 1 {
		return refuse("1006", "the signature is wrong"), true
	}
	now := clock.Millis(s.d.Clock.Now())
	if now/1000 != s.second {
		s.second, s.requests = now/1000, 0
	}
	if s.requests++; s.requests > perSecond {
		return refuse("110010", "too many requests of the app"), true
	}
	if day := (now + ahead) / dayMillis; day != s.day || len(s.today) >= maxDevices {
		s.day = day
		clear(s.today)
	}
	if minute := now / 60_000; minute != s.minute || len(s.thisSpell) >= maxDevices {
		s.minute = minute
		clear(s.thisSpell)
	}
	return handle(f, fault), true
}

// signature of the parameters.
func signature(f url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name != "sign" {
			parts = append(parts, name+"="+f.Get(name))
		}
	}
	sum := md5.Sum([]byte(strings.Join(parts, "") + secret))
	return hex.EncodeToString(sum[:])
}

// statistics of days.
func (*Sim) statistics(f url.Values, _ string) answer {
	for _, name := range []string{"startTime", "endTime"} {
		if len(f.Get(name)) != 8 || strings.Trim(f.Get(name), "0123456789") != "" {
			return refuse("1005", name)
		}
	}
	if f.Get("endTime") < f.Get("startTime") {
		return refuse("500", "the end is before the start")
	}
	return answer{Code: "200", Value: []any{}}
}

// push sends a message. The caller holds mu.
func (s *Sim) push(f url.Values, fault string) answer {
	if f.Get("pushIds") == "" || f.Get("messageJson") == "" {
		return refuse("110004", "pushIds or messageJson")
	}
	ids := strings.Split(f.Get("pushIds"), ",")
	if len(ids) > maxBatch {
		return refuse("1005", fmt.Sprintf("pushIds has more than %d values", maxBatch))
	}
	m, why := read(f.Get("messageJson"))
	if why != "" {
		return refuse("1005", why)
	}
	s.ids++
	message := &sent{id: fmt.Sprintf("sim%032d", s.ids), m: m}
	value := make(map[string][]string)
	var arrived []string
	for _, id := range ids {
		code, isFault := strings.CutPrefix(fault, "token_")
		if !isFault {
			code = s.deliver(id, message)
		}
		switch code {
		case "":
			arrived = append(arrived, id)
		case waiting:
		default:
			value[code] = append(value[code], id)
		}
	}
	s.report(message, delivered, arrived)
	return answer{Code: "200", Value: value, MsgID: message.id}
}
