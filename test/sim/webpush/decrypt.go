package webpush

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// decrypt reads a body of the encoding aes128gcm (RFC 8188) with the keys of a subscription (RFC 8291), of one record as RFC 8291
// demands.
func decrypt(own *ecdh.PrivateKey, auth, body []byte) ([]byte, error) {
	const fixed = 16 + 4 + 1
	if len(body) < fixed {
		return nil, errors.New("the header is cut")
	}
	salt, size, length := body[:16], int(binary.BigEndian.Uint32(body[16:20])), int(body[20])
	if length != 65 || len(body) < fixed+length {
		return nil, fmt.Errorf("the key has %d bytes", length)
	}
	point, record := body[fixed:fixed+length], body[fixed+length:]
	if len(record) > size || size < 18 {
		return nil, fmt.Errorf("more than one record of %d bytes", size)
	}
	sender, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	shared, err := own.ECDH(sender)
	if err != nil {
		return nil, err
	}
	info := bytes.Join([][]byte{[]byte("WebPush: info\x00"), own.PublicKey().Bytes(), point}, nil)
	secret := extract(extract(auth, shared), append(info, 1))
	prk := extract(salt, secret)
	block, err := aes.NewCipher(extract(prk, []byte("Content-Encoding: aes128gcm\x00\x01"))[:16])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	text, err := gcm.Open(nil, extract(prk, []byte("Content-Encoding: nonce\x00\x01"))[:12], record, nil)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimRight(text, "\x00") // padding
	if len(text) == 0 || text[len(text)-1] != 2 {
		return nil, errors.New("the last record is not marked as such")
	}
	return text[:len(text)-1], nil
}

// extract is HMAC-SHA256, of which HKDF is made.
func extract(key, data []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return mac.Sum(nil)
}
