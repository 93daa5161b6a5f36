package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// ErrToken is returned by OpenToken for every text that is not exactly what Token returned for the same purpose under this
// id key.
var ErrToken = ErrSealed

// Token makes data into a text that can leave the house in an address: base64url, nothing can be read from it or guessed,
// and OpenToken refuses every change of it. It hangs on the permanent id key, so it stays good as long as the
// installation. Equal data of a purpose have equal tokens; a purpose is a constant such as "webpush/endpoint/v1".
//
// The nonce of AES-256-GCM is a MAC of the data, so that two different data do not share one; 28 bytes more than the data.
func (k *Keys) Token(purpose string, data []byte) string {
	mac := hmac.New(sha256.New, derive(k.id[:], nil, "borealis/token-nonce/"+purpose))
	mac.Write(data)
	raw := append(make([]byte, 0, nonceSize+len(data)+tagSize), mac.Sum(nil)[:nonceSize]...)
	return base64.RawURLEncoding.EncodeToString(k.tokenCipher(purpose).Seal(raw, raw, data, nil))
}

// OpenToken is the data of a token, or ErrToken.
func (k *Keys) OpenToken(purpose, token string) ([]byte, error) {
	if strings.ContainsAny(token, "\r\n") { // the decoder would pass over them
		return nil, ErrToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < nonceSize+tagSize {
		return nil, ErrToken
	}
	data, err := k.tokenCipher(purpose).Open(nil, raw[:nonceSize], raw[nonceSize:], nil)
	if err != nil {
		return nil, ErrToken
	}
	return data, nil
}

func (k *Keys) tokenCipher(purpose string) cipher.AEAD {
	block, err := aes.NewCipher(derive(k.id[:], nil, "borealis/token/"+purpose))
	if err != nil {
		panic("secret: a cipher refused its key: " + err.Error()) // not one of 32 bytes
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("secret: a cipher mode refused its cipher: " + err.Error())
	}
	return gcm
}
