// Package secret keeps the key material of an installation and does with it what domain code needs.
//
// Two kinds of keys live in one small file (see Load):
//   - the id key, 32 bytes, permanent. Registration ids and blind indexes hang on it; it never changes, because what
//     was derived from it has left the house;
//   - the master keys, 32 bytes each, numbered. The newest encrypts, all decrypt. Rotation adds one.
//
// The database holds a Fingerprint of both. A node whose keys do not cover it must refuse to start: with other keys
// it would issue wrong ids and could read nothing.
//
// Invariants: key bytes leave this package only through Marshal (backups) and Derive (subkeys); no error and no log
// value contains them. A Keys is immutable, so all methods are safe for concurrent use.
package secret

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
)

// KeySize is the length of every key and derived subkey in bytes.
const KeySize = 32

// Keys is the key material of one installation.
type Keys struct {
	id [KeySize]byte
	// masters in ascending order of version; at least one.
	masters []masterKey
}

type masterKey struct {
	version uint32
	key     [KeySize]byte
}

// Generate makes new random key material with master key 1.
func Generate() *Keys {
	k := &Keys{masters: []masterKey{{version: 1}}}
	fill(k.id[:])
	fill(k.masters[0].key[:])
	return k
}

// fill reads the system's random source, which never fails (crypto/rand ends the process if it does).
func fill(b []byte) { _, _ = rand.Read(b) }

// Rotate returns a copy of k with one more master key, which encrypts from now on. Save it on every node before any
// node uses it.
func (k *Keys) Rotate() (*Keys, error) {
	last := k.masters[len(k.masters)-1].version
	if len(k.masters) >= maxMasters {
		return nil, fmt.Errorf("secret: %d master keys already, the most there can be", maxMasters)
	}
	next := &Keys{id: k.id, masters: append(slices.Clone(k.masters), masterKey{version: last + 1})}
	fill(next.masters[len(next.masters)-1].key[:])
	return next, nil
}

// Derive returns a 32-byte subkey of the permanent id key. Equal purposes give equal subkeys for the life of the
// installation; nothing about the id key or other subkeys follows from one. A purpose is a constant such as "rid/v1".
func (k *Keys) Derive(purpose string) []byte { return derive(k.id[:], nil, "borealis/derive/"+purpose) }

// Blind is the blind index of a personal value (a mobile number, an address): equal values of a purpose have equal
// indexes, so a row can be found, and the value cannot be told from the index without the id key. 32 characters,
// URL-safe. Normalise the value before.
func (k *Keys) Blind(purpose, value string) string {
	mac := hmac.New(sha256.New, derive(k.id[:], nil, "borealis/blind/"+purpose))
	mac.Write([]byte(value))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24])
}

// derive is HKDF-SHA256. It cannot fail for 32 bytes.
func derive(key, salt []byte, info string) []byte {
	sub, err := hkdf.Key(sha256.New, key, salt, info, KeySize)
	if err != nil {
		panic("secret: hkdf refused 32 bytes: " + err.Error())
	}
	return sub
}

// String hides the keys from printing.
func (*Keys) String() string { return "secret.Keys" }

// GoString hides the keys from %#v.
func (*Keys) GoString() string { return "secret.Keys" }

// LogValue hides the keys from logs.
func (*Keys) LogValue() slog.Value { return slog.StringValue("secret.Keys") }
