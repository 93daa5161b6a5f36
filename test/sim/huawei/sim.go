package huawei

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"borealis/test/sim/phone"
	"borealis/test/sim/pushkit"
)

const (
	app       = "100000001"
	appSecret = "simulated-app-secret"
	// accessLife of an access token, in seconds.
	accessLife = 3600
	// perFiveMinutes is how many access tokens an app may ask for.
	perFiveMinutes = 1000
	// testsPerDay is how many test messages an app may send.
	testsPerDay = 500
)

// Sim is the service. It is safe for concurrent use.
type Sim struct {
	*pushkit.Service

	mu     sync.Mutex
	access map[string]time.Time
	asked  []time.Time
	refuse bool
}

// New returns a service with one app.
func New(d phone.Deps) *Sim {
	return &Sim{Service: pushkit.New(d, "huawei", 1, codes), access: make(map[string]time.Time)}
}

// codes are the errors of the reference.
var codes = map[string]pushkit.Refusal{
	"80100001": {HTTP: 400, Code: "80100001", Msg: "UnSupported svc"},
	"80100003": {HTTP: 400, Code: "80100003", Msg: "Illegal payload"},
	"80100004": {HTTP: 400, Code: "80100004", Msg: "Illegal expire time"},
	"80100013": {HTTP: 400, Code: "80100013", Msg: "Illegal collapse_key"},
	"80100016": {HTTP: 400, Code: "80100016", Msg: "The message contains sensitive information"},
	"80100017": {HTTP: 400, Code: "80100017", Msg: "More than 100 topic tasks"},
	"80100018": {HTTP: 400, Code: "80100018", Msg: "The review does not match"},
	"80200001": {HTTP: 401, Code: "80200001", Msg: "Oauth authentication error"},
	"80200003": {HTTP: 401, Code: "80200003", Msg: "Oauth Token expired"},
	"80200005": {HTTP: 401, Code: "80200005", Msg: "Jwt token expired."},
	"80300002": {HTTP: 400, Code: "80300002", Msg: "No permission to send message to these tmIDs"},
	"80300007": {HTTP: 400, Code: "80300007", Msg: "All the tokens are invalid"},
	"80300008": {HTTP: 400, Code: "80300008", Msg: "The message body size exceeds the default value"},
	"80300010": {HTTP: 400, Code: "80300010", Msg: "The number of tokens in the message body exceeds the default value"},
	"80300011": {HTTP: 400, Code: "80300011", Msg: "You are not authorized to send high-priority notification messages"},
	"80300013": {HTTP: 400, Code: "80300013", Msg: "The receipt address is wrong"},
	"80600003": {HTTP: 500, Code: "80600003", Msg: "Failed to request the OAuth service"},
	"81000001": {HTTP: 500, Code: "81000001", Msg: "System inner error"},
}

// Credentials have both ways to authorise calls.
func (s *Sim) Credentials() json.RawMessage {
	raw, err := json.MarshalIndent(map[string]any{
		"app_id": app, "app_secret": appSecret, "service_account": s.KeyFile(), "package": "com.example.app",
		"callback_user": pushkit.CallbackUser, "callback_secret": pushkit.CallbackSecret,
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return raw
}

// Channel is huawei.
func (*Sim) Channel() string { return "huawei" }

// FaultNames are the codes and what can happen around them.
func (s *Sim) FaultNames() []string {
	names := append(s.Service.FaultNames(), "secret_changed")
	slices.Sort(names)
	return names
}

var sendPath = regexp.MustCompile(`^/(v[123])/([0-9]+)/messages:send$`)

// ServeHTTP answers a call to oauth-login.cloud.huawei.com or push-api.cloud.huawei.com.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth2/v3/token" {
		s.token(w, r)
		return
	}
	path := sendPath.FindStringSubmatch(r.URL.Path)
	if path == nil || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	if s.fault(w) {
		return
	}
	if refused := s.authorise(r, path[1], path[2]); refused != nil {
		s.Refuse(w, *refused)
		return
	}
	body, err := pushkit.Body(w, r)
	if err != nil {
		s.Refuse(w, codes["80300008"])
		return
	}
	var m *pushkit.Message
	var refused *pushkit.Refusal
	validateOnly := false
	if path[1] == "v3" {
		m, refused = readLive(r, body)
	} else {
		m, validateOnly, refused = read(body)
	}
	if refused == nil && m.Test && !s.Count("test", "", testsPerDay) {
		// The documents name the limit and no code.
		refused = &pushkit.Refusal{HTTP: http.StatusBadRequest, Code: "80100001", Msg: "more than 500 test messages on a day"}
	}
	if refused != nil {
		s.Refuse(w, *refused)
		return
	}
	if validateOnly {
		s.Refuse(w, pushkit.Refusal{HTTP: http.StatusOK, Code: pushkit.Success, Msg: "Success"})
		return
	}
	s.Deliver(w, r, m, pushkit.List(len(m.Tokens)))
}

func (s *Sim) fault(w http.ResponseWriter) bool {
	s.mu.Lock()
	held := s.refuse
	s.mu.Unlock()
	if held {
		s.Refuse(w, codes["80200003"])
		return true
	}
	name := s.Faults.Take()
	switch name {
	case "":
		return false
	case "secret_changed":
		s.mu.Lock()
		clear(s.access)
		s.refuse = true
		s.mu.Unlock()
		s.Refuse(w, codes["80200003"])
	case "80200003":
		s.mu.Lock()
		clear(s.access)
		s.mu.Unlock()
		s.Refuse(w, codes[name])
	default:
		s.Service.Answer(w, name)
	}
	return true
}

// token is HUAWEI ID's token endpoint.
func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(sub int, description string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": 1101, "sub_error": sub, "error_description": description})
	}
	now := s.Clock.Now()
	s.mu.Lock()
	s.asked = slices.DeleteFunc(s.asked, func(t time.Time) bool { return now.Sub(t) >= 5*time.Minute })
	tooMany := len(s.asked) >= perFiveMinutes
	if !tooMany {
		s.asked = append(s.asked, now)
	}
	changed := s.refuse
	s.refuse = false
	s.mu.Unlock()
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if tooMany {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Method != http.MethodPost || r.ParseForm() != nil || r.PostForm.Get("grant_type") != "client_credentials" {
		refuse(20182, "invalid grant_type")
		return
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	switch {
	case !isNumber.MatchString(id):
		refuse(20002, "invalid client_id")
	case id != app:
		refuse(20003, "the client does not exist")
	case secret == "":
		refuse(20171, "client_secret is empty")
	case secret != appSecret || changed:
		refuse(12304, "invalid client_secret")
	default:
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		access := base64.StdEncoding.EncodeToString(b)
		s.mu.Lock()
		for old, until := range s.access {
			if !now.Before(until) {
				delete(s.access, old)
			}
		}
		s.access[access] = now.Add(accessLife * time.Second)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": access, "expires_in": accessLife, "token_type": "Bearer"})
	}
}

var isNumber = regexp.MustCompile(`^[0-9]{1,64}$`)

// authorise checks who calls, and whether the address is that of the app or of its project.
func (s *Sim) authorise(r *http.Request, version, id string) *pushkit.Refusal {
	token := pushkit.Bearer(r)
	s.mu.Lock()
	until, known := s.access[token]
	s.mu.Unlock()
	if known && !s.Clock.Now().Before(until) {
		return new(codes["80200003"])
	}
	if !known || version == "v3" { // which takes no access tokens
		if refused := s.CheckToken(token); refused != nil {
			return refused
		}
	}
	switch {
	case version == "v1" && id != app:
		return new(codes["80200001"]) // the token is another app's
	case version != "v1" && id != pushkit.Project:
		return new(codes["80300002"])
	}
	return nil
}
