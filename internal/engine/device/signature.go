package device

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
)

// maxSignatureLife bounds how far in the future a signature may expire, lest one be made for ever.
const maxSignatureLife = 24 * time.Hour

// maxSignatureBytes is the longest signature looked at.
const maxSignatureBytes = 1024

// Claims are what an app's backend vouches for towards a device: that an installation may register, that it is the device
// that another push service knew by an id, or that a device may take an alias.
//
// A signature is base64url(JSON of the claims) + "." + base64url(MAC), both without padding. The MAC is HMAC-SHA256
// over the characters before the dot; its key is the SHA-256 of the master secret (32 bytes), because the server keeps
// nothing else of it.
type Claims struct {
	// InstallID may register, and with ImportedID become the device that was imported under that id.
	InstallID  string `json:"install_id,omitempty"`
	ImportedID string `json:"imported_id,omitempty"`
	// RegistrationID may take Alias.
	RegistrationID string `json:"registration_id,omitempty"`
	Alias          string `json:"alias,omitempty"`
	// Exp is when it ends, Unix milliseconds, at most 24 h from now.
	Exp int64 `json:"exp"`
}

// Sign makes a signature, as an app's backend does.
func Sign(masterSecret string, c Claims) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	key := sha256.Sum256([]byte(masterSecret))
	return text + "." + base64.RawURLEncoding.EncodeToString(signatureMAC(key, text)), nil
}

func signatureMAC(key [sha256.Size]byte, text string) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// verify reads the claims of a signature that is valid now. The error says what is wrong with it.
func verify(app *gate.App, signature string, now time.Time) (Claims, *Error) {
	bad := func(detail string) (Claims, *Error) {
		return Claims{}, &Error{Kind: Denied, Field: "signature", Detail: detail}
	}
	text, mac, ok := strings.Cut(signature, ".")
	if !ok || len(signature) > maxSignatureBytes {
		return bad("must be two base64url texts with a dot between")
	}
	sum, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil || !hmac.Equal(sum, signatureMAC(app.SecretHash, text)) {
		return bad("is not signed with this app's master secret")
	}
	var c Claims
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(body, &c) != nil {
		return bad("does not contain the claims as JSON")
	}
	switch left := clock.FromMillis(c.Exp).Sub(now); {
	case left <= 0:
		return bad("has expired")
	case left > maxSignatureLife:
		return bad("expires more than 24 hours from now")
	}
	return c, nil
}
