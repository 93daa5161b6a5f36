package webpush

import (
	"crypto/ecdh"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"borealis/internal/kernel/clock"
)

const (
	// maxToken is the longest subscription in bytes.
	maxToken = 4096
	// maxEndpoint is the longest endpoint in bytes; the longest known ones have about 600.
	maxEndpoint = 2048
	authSize    = 16
)

// subscription is a token, read and checked.
type subscription struct {
	endpoint *url.URL
	// point is the public key of the browser, key the same.
	point []byte
	key   *ecdh.PublicKey
	auth  []byte
}

// parseSubscription reads a token. The reason says what is wrong with it, "" if nothing is; it quotes nothing of it.
func parseSubscription(token string, now time.Time) (s *subscription, reason string) {
	var body struct {
		Endpoint string   `json:"endpoint"`
		Expires  *float64 `json:"expirationTime"`
		Keys     struct {
			P256DH string `json:"p256dh"`
			Auth   string `json:"auth"`
		} `json:"keys"`
	}
	if len(token) > maxToken || json.Unmarshal([]byte(token), &body) != nil {
		return nil, "is not the JSON of a push subscription"
	}
	if body.Expires != nil && *body.Expires > 0 && *body.Expires <= float64(clock.Millis(now)) {
		return nil, "has expired"
	}
	endpoint, ok := parseEndpoint(body.Endpoint)
	if !ok {
		return nil, "endpoint is not an https address"
	}
	s = &subscription{endpoint: endpoint}
	var err error
	if s.point, err = decode(body.Keys.P256DH); err == nil {
		s.key, err = ecdh.P256().NewPublicKey(s.point)
	}
	if err != nil {
		return nil, "keys.p256dh is not a public key of P-256"
	}
	if s.auth, err = decode(body.Keys.Auth); err != nil || len(s.auth) != authSize {
		return nil, "keys.auth is not 16 bytes"
	}
	return s, ""
}

// parseEndpoint takes http too: whether that may be called is decided by where it leads.
func parseEndpoint(text string) (*url.URL, bool) {
	if len(text) > maxEndpoint {
		return nil, false
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, false
	}
	return u, true
}

// origin of an endpoint as VAPID wants it: without the scheme's own port.
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}
