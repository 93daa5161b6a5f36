package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// Headers of a delivery.
const (
	// HeaderID is the id of the delivery, the same at each attempt.
	HeaderID = "X-Callback-Id"
	// HeaderTimestamp is when the attempt was made, in Unix seconds.
	HeaderTimestamp = "X-Callback-Timestamp"
	// HeaderNonce is 32 hexadecimal digits that no other attempt carries.
	HeaderNonce = "X-Callback-Nonce"
	// HeaderSignature is what Sign says of the other two and the body.
	HeaderSignature = "X-Callback-Signature"
)

// Sign is the HMAC-SHA256, in lower-case hexadecimal, of timestamp + "." + nonce + "." + body under the secret.
func Sign(secret, timestamp, nonce string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + nonce + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// newNonce is 128 random bits in hexadecimal.
func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return hex.EncodeToString(b[:])
}
