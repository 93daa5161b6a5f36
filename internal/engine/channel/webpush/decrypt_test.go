package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"testing"
)

// The receiver of RFC 8291, appendix A.
const (
	rfcPrivate = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
	rfcPublic  = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	rfcAuth    = "BTBZMqHH6r4Tts7J_aSIgg"
)

func raw(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decrypt is a browser's half of RFC 8291, for bodies of one record.
func decrypt(own *ecdh.PrivateKey, auth, body []byte) ([]byte, error) {
	if len(body) < headSize+tagSize+1 || len(body) > maxBody {
		return nil, fmt.Errorf("a body of %d bytes", len(body))
	}
	if size := binary.BigEndian.Uint32(body[16:]); int(size) < len(body)-headSize || body[20] != pointSize {
		return nil, fmt.Errorf("records of %d bytes, a key of %d", size, body[20])
	}
	salt, point, sealed := body[:16], body[21:headSize], body[headSize:]
	sender, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	shared, err := own.ECDH(sender)
	if err != nil {
		return nil, err
	}
	info := append(append([]byte("WebPush: info\x00"), own.PublicKey().Bytes()...), point...)
	secret, err := hkdf.Key(sha256.New, shared, auth, string(info), 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, secret, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, secret, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	text, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil || len(text) == 0 || text[len(text)-1] != 2 {
		return nil, fmt.Errorf("not the last record: %w", err)
	}
	return text[:len(text)-1], nil
}

// receiver decrypts what is sent to the subscription of the cases.
func receiver(t testing.TB) func([]byte) ([]byte, error) {
	t.Helper()
	own, err := ecdh.P256().NewPrivateKey(raw(t, rfcPrivate))
	if err != nil {
		t.Fatal(err)
	}
	auth := raw(t, rfcAuth)
	return func(body []byte) ([]byte, error) { return decrypt(own, auth, body) }
}
