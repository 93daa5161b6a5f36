package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"time"

	"borealis/internal/kernel/clock"
)

// The team and its keys.
const (
	teamID           = "SIMTEAM001"
	keyID            = "SIMKEY0001"
	developmentKeyID = "SIMKEYDEV1"
)

const (
	// oldest is the age of a provider token that is still taken, updates the least time between two on one connection.
	oldest  = time.Hour
	updates = 20 * time.Minute
	// maxConnections bounds what is remembered of connections.
	maxConnections = 10_000
)

// authority knows who may send.
type authority struct {
	clock clock.Clock
	keys  map[string]signingKey
	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey

	mu          sync.Mutex
	connections map[string]connection
}

// signingKey is a key of the team.
type signingKey struct {
	private         *ecdsa.PrivateKey
	text            string
	onlyDevelopment bool
}

// connection is what is known since its first request: the key, and the provider token in use since when.
type connection struct {
	keyID, token string
	since        time.Time
	// revoked is a token that is not taken any more.
	revoked string
}

func newAuthority(c clock.Clock) *authority {
	a := &authority{clock: c, keys: make(map[string]signingKey), connections: make(map[string]connection)}
	for id, onlyDevelopment := range map[string]bool{keyID: false, developmentKeyID: true} {
		private, text := newKey()
		a.keys[id] = signingKey{private, text, onlyDevelopment}
	}
	a.ca, a.caKey = newCA()
	return a
}

// DevelopmentKey is a key that is for the environment for development alone.
func (s *Sim) DevelopmentKey() (id, privateKey string) {
	return developmentKeyID, s.authority.keys[developmentKeyID].text
}

func newKey() (*ecdsa.PrivateKey, string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// sender is who a request comes from.
type sender struct {
	// certificate: authenticated by one; then topic is the default.
	certificate bool
	topic       string
}

// authenticate finds out who sends, by the certificate if there is one.
func (a *authority) authenticate(r *request) (sender, string) {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return a.byCertificate(r.TLS.PeerCertificates[0], r.sandbox)
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "bearer ")
	if !ok || token == "" {
		return sender{}, "MissingProviderToken"
	}
	key, id, issued, ok := a.read(token)
	now := a.clock.Now()
	switch {
	case !ok, issued.After(now.Add(oldest)):
		return sender{}, "InvalidProviderToken"
	case now.Sub(issued) > oldest:
		return sender{}, "ExpiredProviderToken"
	case key.onlyDevelopment && !r.sandbox:
		return sender{}, "BadEnvironmentKeyIdInToken"
	}
	return sender{}, a.connection(r.RemoteAddr, id, token, now)
}

// read checks the signature of a provider token of the team.
func (a *authority) read(token string) (key signingKey, id string, issued time.Time, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return key, "", issued, false
	}
	var head struct{ Alg, Kid string }
	var claims struct {
		Iss string
		Iat int64
	}
	if !decode(parts[0], &head) || !decode(parts[1], &claims) {
		return key, "", issued, false
	}
	key, known := a.keys[head.Kid]
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if !known || err != nil || len(signature) != 64 || head.Alg != "ES256" || claims.Iss != teamID || claims.Iat <= 0 {
		return key, "", issued, false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return key, head.Kid, time.Unix(claims.Iat, 0), ecdsa.Verify(&key.private.PublicKey, sum[:], r, s)
}

func decode(part string, v any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, v) == nil
}

// connection is why a token is not taken on a connection, "" if it is.
func (a *authority) connection(address, id, token string, now time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, known := a.connections[address]
	switch {
	case !known:
		if len(a.connections) >= maxConnections {
			clear(a.connections)
		}
	case c.keyID != "" && c.keyID != id:
		return "UnrelatedKeyIdInToken"
	case c.token == token:
		return ""
	case c.revoked == token:
		return "ExpiredProviderToken"
	case c.token != "" && now.Sub(c.since) < updates:
		return "TooManyProviderTokenUpdates"
	}
	a.connections[address] = connection{id, token, now, c.revoked}
	return ""
}

// revoke ends a token on a connection. The next one is the first.
func (a *authority) revoke(address, token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.connections[address]
	if c.token == token {
		c.token = ""
	}
	c.revoked = token
	a.connections[address] = c
}
