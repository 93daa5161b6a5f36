package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// stampSize is how much of the code goes into a stamp, in bytes.
const stampSize = 16

// Stamp marks a message for a vendor that hands a text of ours back with every receipt and does not sign its calls: the message's
// ID and a code that only who has the secret can make. It is at most 40 bytes for an ID of 17 digits, in letters, digits, '.', '-' and '_'.
func Stamp(secret, id string) string { return id + "." + stampCode(secret, id) }

// Unstamp is the ID in a stamp; ok is false if it was not made with the secret.
func Unstamp(secret, stamp string) (id string, ok bool) {
	id, code, found := strings.Cut(stamp, ".")
	if !found || !hmac.Equal([]byte(code), []byte(stampCode(secret, id))) {
		return "", false
	}
	return id, true
}

func stampCode(secret, id string) string {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = h.Write([]byte("borealis receipt of " + id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:stampSize])
}
