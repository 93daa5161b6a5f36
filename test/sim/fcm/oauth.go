package fcm

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tokenURI  = "https://oauth2.googleapis.com/token"
	grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// accessLife of an access token, in seconds.
	accessLife = 3599
	// skew is how far the clock of a caller may be off.
	skew = 5 * time.Minute
)

var scopes = map[string]bool{
	"https://www.googleapis.com/auth/firebase.messaging": true,
	"https://www.googleapis.com/auth/cloud-platform":     true,
}

var unauthenticated = problem(http.StatusUnauthorized, "UNAUTHENTICATED",
	"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.", "")

// token is Google's token endpoint.
func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code, description string) {
		answer(w, status, map[string]string{"error": code, "error_description": description})
	}
	s.mu.Lock()
	fault := s.refuse
	s.refuse = ""
	s.mu.Unlock()
	switch fault {
	case "account_disabled":
		refuse(http.StatusBadRequest, "invalid_grant", "Invalid grant: account not found")
		return
	case "token_unavailable":
		w.Header().Set("Retry-After", "10")
		refuse(http.StatusServiceUnavailable, "internal_failure", "")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || r.ParseForm() != nil {
		refuse(http.StatusBadRequest, "invalid_request", "Bad Request")
		return
	}
	if r.PostForm.Get("grant_type") != grantType {
		refuse(http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: "+r.PostForm.Get("grant_type"))
		return
	}
	if code, description := s.assertion(r.PostForm.Get("assertion")); code != "" {
		refuse(http.StatusBadRequest, code, description)
		return
	}
	b := make([]byte, 24)
	_, _ = rand.Read(b)
	access := "ya29.sim-" + base64.RawURLEncoding.EncodeToString(b)
	now := s.deps.Clock.Now()
	s.mu.Lock()
	for old, until := range s.access {
		if !now.Before(until) {
			delete(s.access, old)
		}
	}
	s.access[access] = now.Add(accessLife * time.Second)
	s.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"access_token": access, "expires_in": accessLife, "token_type": "Bearer"})
}

// assertion checks a signed assertion; code is "" if it is good.
func (s *Sim) assertion(text string) (code, description string) {
	var claims struct {
		jwt.RegisteredClaims
		Scope string `json:"scope"`
	}
	// Times are checked below, by our clock and Google's rules.
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	token, err := parser.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return &s.key.PublicKey, nil })
	switch {
	case err != nil:
		return "invalid_grant", "Invalid JWT Signature."
	case claims.Issuer != email:
		return "invalid_grant", "Invalid grant: account not found"
	case token.Header["kid"] != nil && token.Header["kid"] != keyID:
		return "invalid_grant", "Invalid JWT Signature."
	case len(claims.Audience) != 1 || claims.Audience[0] != tokenURI && claims.Audience[0] != "https://accounts.google.com/o/oauth2/token":
		return "invalid_grant", "Invalid JWT: Failed audience check."
	}
	now := s.deps.Clock.Now()
	if claims.IssuedAt == nil || claims.ExpiresAt == nil || claims.IssuedAt.After(now.Add(skew)) || !claims.ExpiresAt.After(now.Add(-skew)) ||
		claims.ExpiresAt.Sub(claims.IssuedAt.Time) > time.Hour || !claims.ExpiresAt.After(claims.IssuedAt.Time) {
		return "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."
	}
	for scope := range strings.FieldsSeq(claims.Scope) {
		if scopes[scope] {
			return "", ""
		}
	}
	return "invalid_scope", "Invalid OAuth scope or ID token audience provided."
}

// authorise checks the access token of a call for a project.
func (s *Sim) authorise(r *http.Request, forProject string) *refusal {
	access, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	until, known := s.access[access]
	s.mu.Unlock()
	if !ok || !known || !s.deps.Clock.Now().Before(until) {
		return unauthenticated
	}
	if forProject != project {
		return problem(http.StatusForbidden, "PERMISSION_DENIED",
			"Permission 'cloudmessaging.messages.create' denied on resource '//cloudresourcemanager.googleapis.com/projects/"+forProject+"' (or it may not exist).", "")
	}
	return nil
}
