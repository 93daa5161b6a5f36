package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxLife is how far away the end of a signature may be (RFC 8292, section 2).
	maxLife = 24 * time.Hour
	// skew is by how much clocks may differ.
	skew = time.Minute
	// maxAuthorization is the longest header in bytes.
	maxAuthorization = 4096
)

// decodeKey reads a public key: base64url of an uncompressed point of P-256.
func decodeKey(text string) ([]byte, error) {
	point, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, errors.New("is not base64url")
	}
	if _, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err != nil {
		return nil, errors.New("is not an uncompressed point of P-256")
	}
	return point, nil
}

// signature is what a request says about who sends.
type signature struct{ token, key string }

// findSignature reads the headers: "Authorization: vapid t=…, k=…" of RFC 8292, or of its drafts, which senders of the
// encoding aesgcm use, "Authorization: WebPush …" with the key in Crypto-Key. nil if there is none.
func findSignature(h http.Header) *signature {
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "vapid":
		p := params(rest, ",")
		return &signature{token: p["t"], key: p["k"]}
	case "webpush":
		for part := range strings.SplitSeq(h.Get("Crypto-Key"), ",") {
			if key, ok := params(part, ";")["p256ecdsa"]; ok {
				return &signature{token: strings.TrimSpace(rest), key: key}
			}
		}
		return &signature{token: strings.TrimSpace(rest)}
	}
	return nil
}

// params reads name=value pairs; values may be quoted.
func params(text, separator string) map[string]string {
	out := make(map[string]string)
	for part := range strings.SplitSeq(text, separator) {
		if name, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok {
			out[strings.ToLower(name)] = strings.Trim(value, `"`)
		}
	}
	return out
}

// verify checks a signature and returns the public key. The error says what is wrong.
func (e *endpoint) verify(sig *signature, now time.Time) ([]byte, error) {
	point, err := decodeKey(sig.key)
	if err != nil {
		return nil, fmt.Errorf("the public key (k) %w", err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errors.New("the public key (k) is not a point of P-256")
	}
	var claims jwt.RegisteredClaims
	_, err = jwt.ParseWithClaims(sig.token, &claims, func(*jwt.Token) (any, error) { return public, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithExpirationRequired(), jwt.WithLeeway(skew), jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, errors.New("the token has expired (exp)")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return nil, errors.New("the token has no exp")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return nil, errors.New("the token is not signed with the key, by ES256")
	case err != nil:
		return nil, errors.New("the token (t) is not understood")
	case claims.ExpiresAt.Sub(now) > maxLife+skew:
		return nil, errors.New("the token expires in more than 24 hours (exp)")
	case !slices.ContainsFunc(claims.Audience, func(aud string) bool { return originHash(originOf(aud)) == e.origin }):
		return nil, errors.New("the token is for another origin (aud) than that of the endpoint")
	case e.bound() && !e.boundTo(point):
		return nil, errors.New("the subscription was made for another public key")
	}
	return point, nil
}
