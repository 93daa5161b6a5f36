package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// checkVAPID checks who sends (RFC 8292). want is the key that the subscription is bound to, "" for any.
func checkVAPID(h http.Header, origin, want string, now time.Time) error {
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "vapid") {
		return refuse(http.StatusUnauthorized, "who sends is not said")
	}
	var token, key string
	for part := range strings.SplitSeq(rest, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "t":
			token = value
		case "k":
			key = value
		}
	}
	point, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return refuse(http.StatusForbidden, "BadJwtToken: k is no base64url")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return refuse(http.StatusForbidden, "BadJwtToken: k is no point of P-256")
	}
	signed, signature, ok := cutLast(token)
	head, body, both := strings.Cut(signed, ".")
	if !ok || !both {
		return refuse(http.StatusForbidden, "BadJwtToken: t is no JWT")
	}
	var header struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
	}
	var claims struct {
		Aud string `json:"aud"`
		Exp int64  `json:"exp"`
		Sub string `json:"sub"`
	}
	if !decodePart(head, &header) || header.Alg != "ES256" || !decodePart(body, &claims) {
		return refuse(http.StatusForbidden, "BadJwtToken: header or claims")
	}
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	sum := sha256.Sum256([]byte(signed))
	if err != nil || len(sig) != 64 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return refuse(http.StatusForbidden, "BadJwtToken: the signature is wrong")
	}
	left := time.Unix(claims.Exp, 0).Sub(now)
	switch {
	case claims.Aud != origin:
		return refuse(http.StatusForbidden, "BadJwtToken: aud is %q, this is %s", claims.Aud, origin)
	case left <= 0:
		return refuse(http.StatusForbidden, "BadJwtToken: it has expired")
	case left > 24*time.Hour:
		return refuse(http.StatusForbidden, "BadJwtToken: it expires in more than 24 hours")
	case !reachable(claims.Sub):
		return refuse(http.StatusForbidden, "BadJwtToken: sub is %q", claims.Sub)
	case want != "" && key != want:
		return refuse(http.StatusForbidden, "VapidPkHashMismatch")
	}
	return nil
}

func cutLast(token string) (signed, signature string, ok bool) {
	at := strings.LastIndexByte(token, '.')
	if at < 0 {
		return "", "", false
	}
	return token[:at], token[at+1:], true
}

func decodePart(part string, into any) bool {
	data, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(data, into) == nil
}

// reachable tells whether a subject is an address that Apple takes.
func reachable(sub string) bool {
	host := ""
	if address, ok := strings.CutPrefix(sub, "mailto:"); ok {
		_, host, _ = strings.Cut(address, "@")
	} else if u, err := url.Parse(sub); err == nil && u.Scheme == "https" {
		host = u.Hostname()
	}
	return strings.Contains(host, ".") && !strings.HasSuffix(host, ".localhost") && !strings.HasSuffix(host, ".invalid")
}
