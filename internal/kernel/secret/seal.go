package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrSealed is returned by Open for every value that is not exactly what Seal returned for the same additional data
// under one of these keys. It does not say which, on purpose.
var ErrSealed = errors.New("secret: the sealed value is damaged, belongs elsewhere or was sealed with other keys")

// ErrNoMasterKey is returned by Open when the value names a master key this node does not have.
var ErrNoMasterKey = errors.New("secret: sealed with a master key that this node does not have")

const (
	saltSize  = 16
	nonceSize = 12
	tagSize   = 16
	// sealPrefix names the format; the number after it is the version of the master key.
	sealPrefix = "s1."
)

// Seal encrypts plaintext for the database: "s1.<master key version>.<base64url of salt, nonce, ciphertext, tag>".
//
// Each value has a data key of its own (HKDF of the master key with a random salt) and is encrypted with AES-256-GCM,
// so the number of values under one master key has no practical bound. aad binds the value to its place, e.g.
// "account/phone/42": opened with another aad, it is refused.
func (k *Keys) Seal(plaintext, aad []byte) (string, error) {
	m := &k.masters[len(k.masters)-1]
	raw := make([]byte, saltSize+nonceSize, saltSize+nonceSize+len(plaintext)+tagSize)
	fill(raw)
	gcm, err := m.dataKey(raw[:saltSize])
	if err != nil {
		return "", err
	}
	raw = gcm.Seal(raw, raw[saltSize:saltSize+nonceSize], plaintext, aad)
	return sealPrefix + strconv.FormatUint(uint64(m.version), 10) + "." + base64.RawURLEncoding.EncodeToString(raw), nil
}

// Open decrypts what Seal returned for the same aad. Errors: ErrSealed, ErrNoMasterKey.
func (k *Keys) Open(sealed string, aad []byte) ([]byte, error) {
	version, body, err := splitSealed(sealed)
	if err != nil {
		return nil, err
	}
	m := k.master(version)
	if m == nil {
		return nil, ErrNoMasterKey
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) < saltSize+nonceSize+tagSize {
		return nil, ErrSealed
	}
	gcm, err := m.dataKey(raw[:saltSize])
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, raw[saltSize:saltSize+nonceSize], raw[saltSize+nonceSize:], aad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Stale reports whether a sealed value should be sealed again because a newer master key exists.
func (k *Keys) Stale(sealed string) bool {
	version, _, err := splitSealed(sealed)
	return err == nil && version < k.masters[len(k.masters)-1].version
}

// splitSealed refuses every spelling but the one Seal writes, so a value has one form.
func splitSealed(sealed string) (version uint32, body string, err error) {
	rest, ok := strings.CutPrefix(sealed, sealPrefix)
	if !ok {
		return 0, "", ErrSealed
	}
	number, body, ok := strings.Cut(rest, ".")
	if !ok || strings.ContainsAny(body, "\r\n") {
		return 0, "", ErrSealed
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != number {
		return 0, "", ErrSealed
	}
	return uint32(n), body, nil
}

func (k *Keys) master(version uint32) *masterKey {
	for i := range k.masters {
		if k.masters[i].version == version {
			return &k.masters[i]
		}
	}
	return nil
}

func (m *masterKey) dataKey(salt []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(derive(m.key[:], salt, "borealis/seal/v1"))
	if err != nil {
		return nil, fmt.Errorf("secret: cipher: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("secret: cipher mode: %w", err)
	}
	return gcm, nil
}
