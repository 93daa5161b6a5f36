package pushkit

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/test/sim/phone"
)

const (
	// Project is the one that a simulator has.
	Project = "388421841221"
	// TokenURI is the audience of what the service account signs.
	TokenURI   = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
	subAccount = "110001"
	keyID      = "sim-key-1"
	// MaxTokens of a call.
	MaxTokens = 1000
	// MaxBytes of its body without the tokens.
	MaxBytes = 4096
	// MaxTTL is 15 days in seconds.
	MaxTTL = 15 * 24 * 3600
)

// Codes of answers.
const (
	Success      = "80000000"
	Partly       = "80100000"
	BadStructure = "80100003"
	BadAuth      = "80200001"
	NoneGood     = "80300007"
)

// Service is the part that both simulators are made of. It is safe for concurrent use.
type Service struct {
	phone.Deps
	Channel string
	// Version of the receipts: 1 or 2.
	Version int

	key  *rsa.PrivateKey
	file json.RawMessage
	// codes are the documented errors, by code.
	codes map[string]Refusal

	mu       sync.Mutex
	reportTo string
	requests int64
	counts   map[countKey]int
	day      string
}

// Refusal is an answer that is not success.
type Refusal struct {
	HTTP      int
	Code, Msg string
}

type countKey struct{ what, token string }

// New returns a service with a key of its own.
func New(d phone.Deps, channel string, version int, codes map[string]Refusal) *Service {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system has no randomness
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	file, err := json.Marshal(map[string]string{
		"project_id": Project, "key_id": keyID, "sub_account": subAccount,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"auth_uri":    "https://oauth-login.cloud.huawei.com/oauth2/v3/authorize", "token_uri": TokenURI,
	})
	if err != nil {
		panic(err)
	}
	return &Service{Deps: d, Channel: channel, Version: version, key: key, file: file, codes: codes, counts: make(map[countKey]int)}
}

// KeyFile is the service account's key as Huawei gives it.
func (s *Service) KeyFile() json.RawMessage { return s.file }

// skew is how far the clock of a caller may be off.
const skew = 5 * time.Minute

// CheckToken checks what the service account signed: nil, or the answer.
func (s *Service) CheckToken(token string) *Refusal {
	var claims jwt.RegisteredClaims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"PS256"}), jwt.WithoutClaimsValidation())
	parsed, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return &s.key.PublicKey, nil })
	now := s.Clock.Now()
	switch {
	case err != nil, parsed.Header["kid"] != keyID, claims.Issuer != subAccount, claims.IssuedAt == nil, claims.ExpiresAt == nil,
		len(claims.Audience) != 1 || claims.Audience[0] != TokenURI, claims.IssuedAt.After(now.Add(skew)):
		return &Refusal{http.StatusUnauthorized, BadAuth, "Authentication Error."}
	case !claims.ExpiresAt.After(now):
		return &Refusal{http.StatusUnauthorized, "80200005", "Jwt token expired."}
	case claims.ExpiresAt.Sub(claims.IssuedAt.Time) > 24*time.Hour:
		return &Refusal{http.StatusBadRequest, "80300036", "JWT expire period over threshold."}
	}
	return nil
}

// FaultNames are the documented codes, and what can happen around them.
func (s *Service) FaultNames() []string {
	names := []string{"flow_control", "html", "cut"}
	for code := range s.codes {
		names = append(names, code)
	}
	slices.Sort(names)
	return names
}

// Answer answers a call with the fault of a name.
func (s *Service) Answer(w http.ResponseWriter, fault string) {
	switch fault {
	case "flow_control":
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
	case "html":
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><title>502 Bad Gateway</title></html>")
	case "cut":
		panic(http.ErrAbortHandler)
	default:
		refusal, ok := s.codes[fault]
		if !ok {
			refusal = Refusal{http.StatusInternalServerError, "81000001", "no fault is named " + fault}
		}
		s.Refuse(w, refusal)
	}
}

// Refuse answers with a code.
func (s *Service) Refuse(w http.ResponseWriter, r Refusal) { s.answer(w, r, s.Request()) }

// Request is a new request id.
func (s *Service) Request() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return strconv.FormatInt(s.Clock.Now().UnixMilli(), 10) + strconv.FormatInt(1_000_000+s.requests, 10)
}

func (s *Service) answer(w http.ResponseWriter, r Refusal, request string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.HTTP)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": r.Code, "msg": r.Msg, "requestId": request})
}

// Bearer is the token of a call, "" if it has none.
func Bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

var shanghai = time.FixedZone("CST", 8*3600)

// Count counts one more of something on this day of Asia/Shanghai, if that is at most limit.
func (s *Service) Count(what, token string, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if day := s.Clock.Now().In(shanghai).Format(time.DateOnly); day != s.day {
		s.day = day
		clear(s.counts)
	}
	k := countKey{what, token}
	if s.counts[k] >= limit {
		return false
	}
	s.counts[k]++
	return true
}

// Body reads the body of a call.
func Body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return nil, errors.New("the body is too large")
	}
	return body, nil
}
