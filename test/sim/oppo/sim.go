// Package oppo is a simulated OPPO Push. It is written from OPPO's documents and shares no code with the package that
// sends, so that each checks the other.
package oppo

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
)

// What the simulated app has at OPPO.
const (
	appID        = "30000001"
	appKey       = "sim-oppo-app-key"
	masterSecret = "sim-oppo-master-secret"
)

const (
	// skew is how far a timestamp may be off.
	skew = 10 * time.Minute
	// tokenLife of an access token.
	tokenLife = 24 * time.Hour
	// maxBody of a call, in bytes, and maxSaved messages that are remembered.
	maxBody  = 16 << 20
	maxSaved = 10_000
	// maxSeen bounds the pairs of message and device, and the access tokens, that are remembered.
	maxSeen = 1_000_000
	// maxBatch is the most devices of a call.
	maxBatch = 1000
)

// Sim is a simulated OPPO Push. It is safe for concurrent use.
type Sim struct {
	phone.Deps

	mu sync.Mutex
	// tokens are the access tokens that were given out, by when they end.
	tokens map[string]time.Time
	// saved are messages to be broadcast, by their ids.
	saved map[string]notice
	// seen are pairs of app_message_id and device that were served.
	seen map[[2]string]string
	// sent counts public messages of day.
	sent  int
	day   string
	quota int
	// reportTo replaces call_back_url.
	reportTo string
	auths    int
}

var (
	_ phone.Simulator = (*Sim)(nil)
	_ phone.Reporter  = (*Sim)(nil)
)

// New returns a simulator for one app, whose daily quota of public messages is OPPO's least: 100,000.
func New(d phone.Deps) *Sim {
	return &Sim{
		Deps: d, tokens: make(map[string]time.Time), saved: make(map[string]notice), seen: make(map[[2]string]string), quota: 100_000,
	}
}

// Channel is oppo.
func (s *Sim) Channel() string { return "oppo" }

// Credentials of the simulated app.
func (s *Sim) Credentials() json.RawMessage {
	return json.RawMessage(`{"app_id":"` + appID + `","app_key":"` + appKey + `","master_secret":"` + masterSecret + `"}`)
}

// SetQuota changes how many public messages the app may send on a day.
func (s *Sim) SetQuota(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota = n
}

// Auths is how many access tokens were asked for.
func (s *Sim) Auths() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auths
}

// ReportTo names the address for receipts instead of the call_back_url of messages; empty: those.
func (s *Sim) ReportTo(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reportTo = url
}

// codes are OPPO's words for its codes.
var codes = map[int]string{
	-2: "Service in Flow Control", -1: "Service Currently Unavailable", 0: "Success", 11: "Invalid AuthToken", 12: "Http Action Not Allowed",
	13: "App Call Limited", 14: "Invalid App Key", 15: "Missing App Key", 16: "Invalid Signature", 17: "Missing Signature", 18: "Missing Timestamp",
	19: "Invalid Timestamp", 20: "Invalid Method", 25: "Invalid Encoding", 26: "IP Black List", 27: "Access Denied", 28: "App Disabled", 29: "Missing Auth Token",
	30: "Api Permission Denied", 31: "Data Not Exist", 32: "Data Duplicate", 33: "The number of messages exceeds the daily limit",
	40: "Missing Required Arguments", 41: "Invalid Arguments", 51: "Invalid Picture", 54: "private_msg_template_id is null", 55: "App Call Frequency Limit",
	59: "UseSecondaryAction permission denied", 67: "Category error/Private classify channel notify_level invalid", 10000: "Invalid RegistrationId",
}

// faults are what phone.Faults may name: codes by their words, and broken answers.
var faults = map[string]int{
	"flow_control": -2, "unavailable": -1, "invalid_token": 11, "call_limited": 13, "invalid_app_key": 14, "invalid_signature": 16,
	"invalid_timestamp": 19, "ip_black_list": 26, "access_denied": 27, "app_disabled": 28, "no_permission": 30, "duplicate": 32, "daily_limit": 33,
	"missing_arguments": 40, "invalid_arguments": 41, "invalid_picture": 51, "no_template": 54, "too_frequent": 55, "category": 67,
}

// FaultNames are the names of Faults.
func (s *Sim) FaultNames() []string {
	names := []string{"cut", "html", "http_500", "http_503"}
	for name := range faults {
		names = append(names, name)
	}
	return names
}

// ServeHTTP answers one call of an app's server.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.broken(w, s.Faults.Take()) {
		return
	}
	if r.Method != http.MethodPost {
		say(w, 12, nil)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		say(w, 25, nil)
		return
	}
	serve := map[string]func(http.ResponseWriter, *http.Request){
		"/server/v1/message/notification/unicast":              s.unicast,
		"/server/v1/message/notification/unicast_batch":        s.unicastBatch,
		"/server/v1/message/notification/save_message_content": s.save,
		"/server/v1/message/notification/broadcast":            s.broadcast,
	}[r.URL.Path]
	switch {
	case r.URL.Path == "/server/v1/auth":
		s.auth(w, r)
	case serve == nil:
		say(w, 20, nil)
	default:
		if code := s.admit(r.PostForm.Get("auth_token")); code != 0 {
			say(w, code, nil)
			return
		}
		serve(w, r)
	}
}

func (s *Sim) broken(w http.ResponseWriter, fault string) bool {
	code, known := faults[fault]
	switch {
	case known:
		say(w, code, nil)
	case fault == "cut":
		panic(http.ErrAbortHandler)
	case fault == "html":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>maintenance</body></html>"))
	case fault == "http_500":
		w.WriteHeader(http.StatusInternalServerError)
	case fault == "http_503":
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		return false
	}
	return true
}

func (s *Sim) auth(w http.ResponseWriter, r *http.Request) {
	f := r.PostForm
	timestamp, err := strconv.ParseInt(f.Get("timestamp"), 10, 64)
	now := s.Clock.Now()
	off := now.Sub(time.UnixMilli(timestamp))
	sum := sha256.Sum256([]byte(f.Get("app_key") + f.Get("timestamp") + masterSecret))
	switch {
	case f.Get("app_key") == "":
		say(w, 15, nil)
	case f.Get("app_key") != appKey:
		say(w, 14, nil)
	case f.Get("timestamp") == "":
		say(w, 18, nil)
	case err != nil || off > skew || off < -skew:
		say(w, 19, nil)
	case f.Get("sign") == "":
		say(w, 17, nil)
	case f.Get("sign") != hex.EncodeToString(sum[:]):
		say(w, 16, nil)
	default:
		token := newID()
		s.mu.Lock()
		s.auths++
		if len(s.tokens) >= maxSeen {
			clear(s.tokens)
		}
		s.tokens[token] = now.Add(tokenLife)
		s.mu.Unlock()
		say(w, 0, map[string]any{"auth_token": token, "create_time": clock.Millis(now)})
	}
}

// admit is the code for an access token, 0 if it is good.
func (s *Sim) admit(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.tokens[token]
	switch {
	case token == "":
		return 29
	case !known || !s.Clock.Now().Before(until):
		return 11
	}
	return 0
}

func say(w http.ResponseWriter, code int, data any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": codes[code], "data": data})
}

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
