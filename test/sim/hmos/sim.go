package hmos

import (
	"encoding/json"
	"net/http"
	"regexp"
	"sync"
	"time"

	"borealis/test/sim/phone"
	"borealis/test/sim/pushkit"
)

const (
	client = "6917500000000000001"
	// testsPerDay is how many test messages a project may send, testTokens how many tokens each may have.
	testsPerDay, testTokens = 1000, 10
	// once is how long a device knows an appMessageId.
	once = 24 * time.Hour
	// maxKnown bounds what is remembered of them.
	maxKnown = 100_000
)

// Sim is the service. It is safe for concurrent use.
type Sim struct {
	*pushkit.Service

	mu    sync.Mutex
	known map[appMessage]time.Time
}

type appMessage struct{ token, id string }

// New returns a service with one project.
func New(d phone.Deps) *Sim {
	return &Sim{Service: pushkit.New(d, "hmos", 2, codes), known: make(map[appMessage]time.Time)}
}

// codes are the errors of the reference.
var codes = map[string]pushkit.Refusal{
	"80100001": {HTTP: 400, Code: "80100001", Msg: "Check Parameter Error."},
	"80100003": {HTTP: 400, Code: "80100003", Msg: "Illegal payload"},
	"80100004": {HTTP: 400, Code: "80100004", Msg: "Illegal expire time."},
	"80100022": {HTTP: 400, Code: "80100022", Msg: "Anti-Spam: image not verify."},
	"80200001": {HTTP: 401, Code: "80200001", Msg: "Authentication Error."},
	"80200005": {HTTP: 401, Code: "80200005", Msg: "Jwt token expired."},
	"80300002": {HTTP: 400, Code: "80300002", Msg: "No permission to send message to these tmIDs."},
	"80300007": {HTTP: 400, Code: "80300007", Msg: "All the tokens are invalid."},
	"80300008": {HTTP: 400, Code: "80300008", Msg: "Push message size is too long."},
	"80300010": {HTTP: 400, Code: "80300010", Msg: "token count should within 1 and 1000."},
	"80300029": {HTTP: 400, Code: "80300029", Msg: "When send test message, the api request exceed limit."},
	"80300030": {HTTP: 400, Code: "80300030", Msg: "When send test message, token count exceed limit."},
	"80300036": {HTTP: 400, Code: "80300036", Msg: "JWT expire period over threshold."},
	"80300037": {HTTP: 400, Code: "80300037", Msg: "Disable send huawei msg because of penalty."},
	"81000001": {HTTP: 500, Code: "81000001", Msg: "Inner Error."},
}

// Credentials are the service account's key file, and what receipts and retractions need.
func (s *Sim) Credentials() json.RawMessage {
	raw, err := json.MarshalIndent(map[string]any{
		"service_account": s.KeyFile(), "client_id": client, "callback_user": pushkit.CallbackUser, "callback_secret": pushkit.CallbackSecret,
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return raw
}

// Channel is hmos.
func (*Sim) Channel() string { return "hmos" }

var (
	sendPath   = regexp.MustCompile(`^/v3/([0-9]+)/messages:send$`)
	revokePath = regexp.MustCompile(`^/v1/([0-9]+)/messages:revoke$`)
)

// ServeHTTP answers a call to push-api.cloud.huawei.com.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	send, revoke := sendPath.FindStringSubmatch(r.URL.Path), revokePath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodPost || send == nil && revoke == nil {
		http.NotFound(w, r)
		return
	}
	if fault := s.Faults.Take(); fault != "" {
		s.Answer(w, fault)
		return
	}
	refused := s.CheckToken(pushkit.Bearer(r))
	if refused == nil && (send != nil && send[1] != pushkit.Project || revoke != nil && revoke[1] != client) {
		refused = new(codes["80300002"])
	}
	if refused != nil {
		s.Refuse(w, *refused)
		return
	}
	body, err := pushkit.Body(w, r)
	if err != nil {
		s.Refuse(w, codes["80300008"])
		return
	}
	if revoke != nil {
		s.revoke(w, r, body)
		return
	}
	m, refused := s.read(r.Header.Get("Push-Type"), body)
	if refused != nil {
		s.Refuse(w, *refused)
		return
	}
	s.Deliver(w, r, m, pushkit.ByReason(len(m.Tokens)))
}

// again reports whether a device has had an appMessageId in the last day, and remembers it.
func (s *Sim) again(id string) func(token string) bool {
	if id == "" {
		return nil
	}
	return func(token string) bool {
		now := s.Clock.Now()
		s.mu.Lock()
		defer s.mu.Unlock()
		k := appMessage{token, id}
		if at, ok := s.known[k]; ok && now.Sub(at) < once {
			return true
		}
		if len(s.known) >= maxKnown {
			clear(s.known)
		}
		s.known[k] = now
		return false
	}
}
