// Package honor is a simulated HONOR push service: it gives access tokens for an hour, takes messages as HONOR's documents have them, refuses
// what they forbid, keeps the daily limits, and sends receipts.
//
// What HONOR does not document is chosen: the timestamp of a request may be ten minutes off, and codes are those that the service shares with
// Huawei's.
package honor

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/courier"
	"borealis/test/sim/phone"
)

// The one app.
const (
	appID        = "104000001"
	clientID     = "sim-honor-client"
	clientSecret = "sim-honor-secret"
)

// Limits.
const (
	maxBody     = 4 << 20
	tokenLife   = time.Hour
	maxSkew     = 10 * time.Minute
	perSecond   = 3000
	perDevice   = 2
	testsPerDay = 1000
	maxTokens   = 10_000
	maxDevices  = 1_000_000
	dayMillis   = 24 * 60 * 60 * 1000
	hourMillis  = 60 * 60 * 1000
	// ahead is Asia/Shanghai's lead over UTC.
	ahead = 8 * hourMillis
)

// Sim is the service. It is safe for concurrent use.
type Sim struct {
	d    phone.Deps
	post *courier.Courier

	mu sync.Mutex
	// tokens that were given, with their end.
	tokens map[string]time.Time
	// authFault is what the next request for a token fails with.
	authFault string
	fetched   int
	day       int64
	// devices are the LOW messages of the day by token; tests the test messages.
	devices map[string]int
	tests   int
	second  int64
	sent    int
	ids     int
}

// New returns a service.
func New(d phone.Deps) *Sim {
	return &Sim{d: d, post: courier.New(), tokens: make(map[string]time.Time), devices: make(map[string]int)}
}

// Channel is the name of the vendor.
func (*Sim) Channel() string { return "honor" }

// Credentials that it takes.
func (*Sim) Credentials() json.RawMessage {
	return json.RawMessage(`{"app_id":"` + appID + `","client_id":"` + clientID + `","client_secret":"` + clientSecret +
		`","package_name":"com.example.sim","badge_class":"com.example.sim.Main","app_name":"Sim"}`)
}

// ReportTo names the address that gets receipts, as the app's owner would enter it in HONOR's console.
func (s *Sim) ReportTo(address string) { s.post.To(address) }

// Wait waits until all receipts so far have been brought to the server.
func (s *Sim) Wait() { s.post.Wait() }

// Fetched is how many access tokens were given.
func (s *Sim) Fetched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetched
}

const (
	// faultCodes are answers with a code and no outcome by token.
	faultCodes = "400 403 404 429 500 502 503 80100003 80200001 80200003 80300002 80300007 80300008 80300010 81000001"
	// authFaults refuse the access token of a message, and the next request for one with the error after the underscore.
	authFaults = "auth_invalid_client auth_unauthorized_client auth_invalid_grant"
	// receiptFaults accept the message and report that status.
	receiptFaults = "receipt_2 receipt_5 receipt_6 receipt_10 receipt_15 receipt_102 receipt_201"
	// otherFaults: the access token is refused once; all tokens are in the list; nothing was done; it was done; and what proxies answer.
	otherFaults = "revoked_token fail_tokens expire_tokens no_answer lost_answer html http_500 http_503"
)

// FaultNames are the ways to fail. They are met by messages, not by requests for an access token.
func (*Sim) FaultNames() []string {
	return strings.Fields(faultCodes + " " + authFaults + " " + receiptFaults + " " + otherFaults)
}

// ServeHTTP answers one call.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil || len(body) > maxBody:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case r.URL.Path == "/auth/token" && r.Method == http.MethodPost:
		s.auth(w, r, body)
	case r.URL.Path == "/api/v1/"+appID+"/sendMessage" && r.Method == http.MethodPost:
		s.message(w, r, body)
	case strings.HasPrefix(r.URL.Path, "/api/v1/"):
		write(w, http.StatusForbidden, answer{Code: 403, Message: "no such app"})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// auth gives an access token.
func (s *Sim) auth(w http.ResponseWriter, r *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := url.ParseQuery(string(body))
	isForm := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	fault := s.authFault
	s.authFault = ""
	switch {
	case fault != "":
	case err != nil || !isForm || f.Get("grant_type") != "client_credentials":
		fault = "unsupported_grant_type"
	case f.Get("client_id") != clientID || f.Get("client_secret") != clientSecret:
		fault = "unauthorized_client"
	}
	if fault != "" {
		write(w, http.StatusUnauthorized, map[string]string{"error": fault, "error_description": "Invalid client or Invalid client credentials"})
		return
	}
	now := s.d.Clock.Now()
	for t, until := range s.tokens {
		if len(s.tokens) >= maxTokens || now.After(until) {
			delete(s.tokens, t)
		}
	}
	token := rand.Text()
	s.tokens[token] = now.Add(tokenLife)
	s.fetched++
	write(w, http.StatusOK, map[string]any{"access_token": token, "expires_in": int(tokenLife / time.Second), "token_type": "Bearer"})
}

// answer to a message.
type answer struct {
	Code    int     `json:"code"`
	Message string  `json:"message"`
	Data    *result `json:"data,omitempty"`
}

type result struct {
	SendResult   bool     `json:"sendResult"`
	RequestID    string   `json:"requestId"`
	FailTokens   []string `json:"failTokens"`
	ExpireTokens []string `json:"expireTokens"`
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// message takes a message.
func (s *Sim) message(w http.ResponseWriter, r *http.Request, body []byte) {
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
	status, a := s.take(r, body, fault)
	s.mu.Unlock()
	if fault == "lost_answer" {
		panic(http.ErrAbortHandler)
	}
	write(w, status, a)
}

// take does what a call asks for and returns the answer. The caller holds mu.
func (s *Sim) take(r *http.Request, body []byte, fault string) (int, answer) {
	now := s.d.Clock.Now()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if auth, ok := strings.CutPrefix(fault, "auth_"); ok {
		s.authFault = auth
		delete(s.tokens, token)
	}
	if fault == "revoked_token" {
		delete(s.tokens, token)
	}
	if until, ok := s.tokens[token]; !ok || !now.Before(until) {
		return http.StatusUnauthorized, answer{Code: 401, Message: "Unauthorized"}
	}
	if code, err := strconv.Atoi(fault); err == nil {
		return http.StatusOK, answer{Code: code, Message: "fault " + fault}
	}
	sent, err := strconv.ParseInt(r.Header.Get("Timestamp"), 10, 64)
	if skew := now.Sub(clock.FromMillis(sent)).Abs(); err != nil || skew > maxSkew {
		return http.StatusBadRequest, answer{Code: 400, Message: "timestamp is wrong"}
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return http.StatusBadRequest, answer{Code: 400, Message: "Content-Type is wrong"}
	}
	m, no := read(body)
	if no != nil {
		return http.StatusOK, *no
	}
	s.turn(now)
	if s.sent+len(m.Token) > perSecond {
		return http.StatusTooManyRequests, answer{Code: 429, Message: "too many messages"}
	}
	s.sent += len(m.Token)
	if m.Android.TargetUserType == 1 {
		if s.tests+len(m.Token) > testsPerDay {
			return http.StatusTooManyRequests, answer{Code: 429, Message: "too many test messages on this day"}
		}
		s.tests += len(m.Token)
	}
	return http.StatusOK, s.send(m, fault)
}

// turn begins a second or a day. The caller holds mu.
func (s *Sim) turn(now time.Time) {
	if now.Unix() != s.second {
		s.second, s.sent = now.Unix(), 0
	}
	if day := (clock.Millis(now) + ahead) / dayMillis; day != s.day || len(s.devices) >= maxDevices {
		s.day, s.tests = day, 0
		clear(s.devices)
	}
}

// send brings a message to its phones. The caller holds mu.
func (s *Sim) send(m *message, fault string) answer {
	s.ids++
	r := &result{RequestID: fmt.Sprintf("sim%d", s.ids), FailTokens: []string{}, ExpireTokens: []string{}}
	var statuses []status
	for _, token := range m.Token {
		if _, ok := s.d.Phones.Find(s.Channel(), token); !ok || fault == "expire_tokens" {
			r.ExpireTokens = append(r.ExpireTokens, token)
			continue
		}
		if fault == "fail_tokens" {
			r.FailTokens = append(r.FailTokens, token)
			continue
		}
		r.SendResult = true
		code, err := strconv.Atoi(strings.TrimPrefix(fault, "receipt_"))
		if err != nil {
			code = s.deliver(token, m)
		}
		statuses = append(statuses, status{
			BiTag: m.Android.BiTag, AppID: appID, Token: token, Status: code, Timestamp: clock.Millis(s.d.Clock.Now()), RequestID: r.RequestID,
		})
	}
	s.report(statuses)
	return answer{Code: 200, Message: "success", Data: r}
}
