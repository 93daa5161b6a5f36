package apns

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"borealis/test/sim/phone"
)

// Bundle is the app that the simulator knows.
const Bundle = "com.example.courier"

const (
	// channelName is that of the phones' tokens.
	channelName = "apns"
	// maxDropped bounds what is remembered of dropped notifications.
	maxDropped = 1000
)

// Sim is Apple's push service. It is safe for concurrent use.
type Sim struct {
	deps      phone.Deps
	authority *authority

	mu sync.Mutex
	// sandbox are the tokens of the environment for development, topics those that are for one topic only.
	sandbox map[string]bool
	topics  map[string]string
	dropped []string
	// channels by environment and id; subscribers by the same.
	channels    map[channelKey]channel
	subscribers map[channelKey][]string
	noBroadcast bool
}

// New returns a simulator with keys of its own.
func New(d phone.Deps) *Sim {
	return &Sim{
		deps: d, authority: newAuthority(d.Clock),
		sandbox: make(map[string]bool), topics: make(map[string]string),
		channels: make(map[channelKey]channel), subscribers: make(map[channelKey][]string),
	}
}

// Channel is "apns".
func (s *Sim) Channel() string { return channelName }

// Credentials are a key for both environments.
func (s *Sim) Credentials() json.RawMessage {
	out, _ := json.Marshal(map[string]string{
		"team_id": teamID, "key_id": keyID, "private_key": s.authority.keys[keyID].text, "bundle_id": Bundle,
	})
	return out
}

// FaultNames are Apple's reasons, and "cut" (the stream ends without an answer), "html" (a page of something between, status
// 502) and "login" (one with status 200).
func (s *Sim) FaultNames() []string {
	return append(slices.Sorted(maps.Keys(statuses)), "cut", "html", "login")
}

// MarkSandbox says that a phone's token is one of the environment for development.
func (s *Sim) MarkSandbox(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sandbox[token] = true
}

// SetTopic says that a phone's token is for one topic: a PushKit token, or one of a live activity.
func (s *Sim) SetTopic(token, topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[token] = topic
}

// Dropped says why notifications were taken and not delivered, the oldest first.
func (s *Sim) Dropped() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dropped)
}

func (s *Sim) drop(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dropped) < maxDropped {
		s.dropped = append(s.dropped, why)
	}
}

// refusal is an answer that is not a success; the zero value is none.
type refusal struct {
	reason string
	// since is Unix milliseconds, of dead tokens.
	since int64
}

// request is a request with what was found out about it.
type request struct {
	*http.Request
	path    string
	sandbox bool
	// id is the apns-id, or the apns-request-id of requests about channels.
	id       string
	idHeader string
}

// ServeHTTP answers a request.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 {
		http.Error(w, "HTTP/2 only", http.StatusHTTPVersionNotSupported)
		return
	}
	req := &request{Request: r, path: r.URL.Path, idHeader: "Apns-Id"}
	if rest, ok := strings.CutPrefix(req.path, "/sandbox/"); ok {
		req.path, req.sandbox = "/"+rest, true
	}
	parts := strings.Split(strings.TrimPrefix(req.path, "/"), "/")
	device := len(parts) >= 2 && parts[0] == "3" && parts[1] == "device"
	if parts[0] == "1" || parts[0] == "4" {
		req.idHeader = "Apns-Request-Id"
	}
	req.id = r.Header.Get(req.idHeader)
	if !isUUID(req.id) {
		req.id = uuid.NewString()
	}
	w.Header().Set(req.idHeader, req.id)
	if req.sandbox {
		w.Header().Set("Apns-Unique-Id", uuid.NewString())
	}
	if s.fail(w, req) {
		return
	}
	var no refusal
	switch {
	case device:
		no = s.device(req, parts[2:])
	case len(parts) == 4 && parts[0] == "4" && parts[1] == "broadcasts" && parts[2] == "apps":
		no = s.broadcast(req, parts[3])
	case len(parts) == 4 && parts[0] == "1" && parts[1] == "apps" && (parts[3] == "channels" || parts[3] == "all-channels"):
		no = s.manage(w, req, parts[2], parts[3])
	default:
		no.reason = "BadPath"
	}
	if no.reason != "" {
		s.refuse(w, no)
	}
}

// refuse writes a refusal.
func (s *Sim) refuse(w http.ResponseWriter, no refusal) {
	body := map[string]any{"reason": no.reason}
	if no.since != 0 {
		body["timestamp"] = no.since
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statuses[no.reason])
	_ = json.NewEncoder(w).Encode(body)
}

// isUUID tells whether a text is a UUID as Apple writes them: small letters, with hyphens.
func isUUID(text string) bool {
	id, err := uuid.Parse(text)
	return err == nil && id.String() == text
}
