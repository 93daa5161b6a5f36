// Package id makes identifiers: public keys and secrets, UUIDs, and numbers that are unique over all nodes.
package id

import (
	"crypto/rand"

	"github.com/google/uuid"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// KeyLen is the length of app keys and secrets: public clients check that it is exactly this.
const KeyLen = 24

// NewKey returns 24 random characters of [A-Za-z0-9], about 142 bits.
func NewKey() string {
	out := make([]byte, 0, KeyLen)
	var buf [2 * KeyLen]byte
	for {
		_, _ = rand.Read(buf[:]) // never fails, by its documentation
		for _, b := range buf {
			// Bytes that would favour the first characters are thrown away.
			if int(b) >= 256-256%len(alphabet) {
				continue
			}
			if out = append(out, alphabet[int(b)%len(alphabet)]); len(out) == KeyLen {
				return string(out)
			}
		}
	}
}

// NewUUID returns a time-ordered UUID (version 7).
func NewUUID() string {
	u, err := uuid.NewV7()
	if err != nil {
		// Only a failing random source can do this, and crypto/rand does not fail.
		return uuid.NewString()
	}
	return u.String()
}
