package fcm

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"borealis/test/sim/phone"
)

const (
	project = "borealis-sim"
	email   = "push@borealis-sim.iam.gserviceaccount.com"
	keyID   = "sim-key-1"
	maxBody = 1 << 20
)

// Sim is the service. It is safe for concurrent use.
type Sim struct {
	deps phone.Deps
	key  *rsa.PrivateKey
	file json.RawMessage

	mu sync.Mutex
	// access is until when each access token is good.
	access map[string]time.Time
	// refuse is what the next assertion is answered with, "" for the truth.
	refuse  string
	project window
	devices map[string]*device
	sent    int64
}

// New returns a service with one project and one service account, whose key is made here.
func New(d phone.Deps) *Sim {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system has no randomness
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	file, err := json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": project, "private_key_id": keyID,
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": email, "client_id": "100000000000000000001",
		"auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": tokenURI,
		"universe_domain": "googleapis.com",
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return &Sim{
		deps: d, key: key, file: file, access: make(map[string]time.Time),
		project: window{limit: projectPerMinute, length: time.Minute}, devices: make(map[string]*device),
	}
}

// Channel is fcm.
func (*Sim) Channel() string { return "fcm" }

// Credentials are the service account's key file.
func (s *Sim) Credentials() json.RawMessage { return s.file }

// FaultNames are FCM's error codes and what can happen around them.
func (*Sim) FaultNames() []string {
	names := []string{"unauthenticated", "permission_denied", "account_disabled", "token_unavailable", "html", "cut"}
	for _, f := range documented {
		names = append(names, f.code)
	}
	return names
}

// documented are the error codes of the reference with the status that each comes with.
var documented = []struct {
	code, status, message string
	http                  int
}{
	{"UNSPECIFIED_ERROR", "UNKNOWN", "Unknown error.", http.StatusInternalServerError},
	{"INVALID_ARGUMENT", "INVALID_ARGUMENT", "Request contains an invalid argument.", http.StatusBadRequest},
	{"UNREGISTERED", "NOT_FOUND", "Requested entity was not found.", http.StatusNotFound},
	{"SENDER_ID_MISMATCH", "PERMISSION_DENIED", "SenderId mismatch", http.StatusForbidden},
	{"QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", "Sending limit exceeded for the message target.", http.StatusTooManyRequests},
	{"UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable.", http.StatusServiceUnavailable},
	{"INTERNAL", "INTERNAL", "Internal error encountered.", http.StatusInternalServerError},
	{"THIRD_PARTY_AUTH_ERROR", "UNAUTHENTICATED", "Auth error from APNS or Web Push Service", http.StatusUnauthorized},
}

var sendPath = regexp.MustCompile(`^/v1/projects/([^/]+)/messages:send$`)

// ServeHTTP answers a call to oauth2.googleapis.com or fcm.googleapis.com.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		s.token(w, r)
		return
	}
	path := sendPath.FindStringSubmatch(r.URL.Path)
	if path == nil || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>")
		return
	}
	if s.fault(w) {
		return
	}
	if refused := s.authorise(r, path[1]); refused != nil {
		refused.write(w)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return
	}
	name, refused := s.send(body)
	if refused != nil {
		refused.write(w)
		return
	}
	answer(w, http.StatusOK, map[string]string{"name": "projects/" + project + "/messages/" + name})
}

// fault answers with what is to go wrong, if anything is.
func (s *Sim) fault(w http.ResponseWriter) bool {
	switch name := s.deps.Faults.Take(); name {
	case "":
		return false
	case "unauthenticated", "account_disabled", "token_unavailable":
		s.mu.Lock()
		clear(s.access)
		if name != "unauthenticated" {
			s.refuse = name
		}
		s.mu.Unlock()
		unauthenticated.write(w)
	case "permission_denied":
		problem(http.StatusForbidden, "PERMISSION_DENIED", "Permission 'cloudmessaging.messages.create' denied on resource", "").write(w)
	case "html":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><title>502</title></html>")
	case "cut":
		panic(http.ErrAbortHandler)
	default:
		for _, f := range documented {
			if f.code != name {
				continue
			}
			if f.http == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "30")
			}
			problem(f.http, f.status, f.message, f.code).write(w)
			return true
		}
		problem(http.StatusInternalServerError, "INTERNAL", "no fault is named "+name, "").write(w)
	}
	return true
}

// refusal is an error in the form of Google's APIs.
type refusal struct {
	http    int
	status  string
	message string
	details []any
}

// problem is an error; code is FCM's own, "" for one of Google's.
func problem(http int, status, message, code string) *refusal {
	p := &refusal{http: http, status: status, message: message}
	if code != "" {
		p.details = append(p.details, map[string]any{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
	}
	return p
}

// invalid is an argument that is wrong; code as of problem.
func invalid(field, message, code string) *refusal {
	p := problem(http.StatusBadRequest, "INVALID_ARGUMENT", message, code)
	p.details = append(p.details, map[string]any{
		"@type":           "type.googleapis.com/google.rpc.BadRequest",
		"fieldViolations": []any{map[string]string{"field": field, "description": message}},
	})
	return p
}

func (p *refusal) write(w http.ResponseWriter) {
	body := map[string]any{"code": p.http, "message": p.message, "status": p.status}
	if p.details != nil {
		body["details"] = p.details
	}
	answer(w, p.http, map[string]any{"error": body})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
