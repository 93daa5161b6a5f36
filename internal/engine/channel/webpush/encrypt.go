package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Sizes in bytes. A message is one record: push services take bodies of 4096, which is also the record size that is
// announced.
const (
	maxBody   = 4096
	saltSize  = 16
	tagSize   = 16
	headSize  = saltSize + 4 + 1 + pointSize
	maxText   = maxBody - headSize - tagSize - 1
	keySize   = 16
	nonceSize = 12
)

// encrypt makes the body of a call from a text of at most maxText bytes (RFC 8291).
func encrypt(to *subscription, text []byte) ([]byte, error) {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("webpush: make a key: %w", err)
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return encryptWith(to, own, salt, text)
}

func encryptWith(to *subscription, own *ecdh.PrivateKey, salt, text []byte) ([]byte, error) {
	shared, err := own.ECDH(to.key)
	if err != nil {
		return nil, fmt.Errorf("webpush: agree on a key: %w", err)
	}
	point := own.PublicKey().Bytes()
	// RFC 8291 section 3.4: the shared secret of the keys, bound to both and to the secret of the subscription …
	secret, err := hkdf.Key(sha256.New, shared, to.auth, string(slices.Concat([]byte("WebPush: info\x00"), to.point, point)), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("webpush: derive a secret: %w", err)
	}
	// … and RFC 8188 section 2.2: the key and the nonce of the one record.
	key, err := hkdf.Key(sha256.New, secret, salt, "Content-Encoding: aes128gcm\x00", keySize)
	if err != nil {
		return nil, fmt.Errorf("webpush: derive a key: %w", err)
	}
	nonce, err := hkdf.Key(sha256.New, secret, salt, "Content-Encoding: nonce\x00", nonceSize)
	if err != nil {
		return nil, fmt.Errorf("webpush: derive a nonce: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("webpush: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("webpush: %w", err)
	}
	body := make([]byte, 0, headSize+len(text)+1+tagSize)
	body = append(body, salt...)
	body = binary.BigEndian.AppendUint32(body, maxBody)
	body = append(body, pointSize)
	body = append(body, point...)
	const last = 2 // the delimiter of the last record
	return gcm.Seal(body, nonce, append(slices.Clone(text), last), nil), nil
}
