// Package deviceid makes and reads the two strings a device is known by: its registration id and its secret.
//
// A registration id is 20 lower-case hexadecimal digits (80 bits): a 40-bit tag and the 40-bit pair (installation
// epoch, ordinal) masked by it. The tag is a MAC over (app, epoch, ordinal) under the permanent id key, so the id is
// bound to its app, cannot be guessed or enumerated and does not tell how many devices an app has; resolving one is
// two AES blocks and no look-up.
//
// A secret authenticates one device: a byte with the version of the key, a 16-bit generation and a 120-bit MAC, 24
// characters of URL-safe base64. Raising the generation of a device revokes its older secrets.
package deviceid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrMalformed says that a string is not a registration id of the app: wrong length, alphabet or tag.
var ErrMalformed = errors.New("not a registration id of this app")

// Len is the length of a registration id in characters.
const Len = 20

const (
	tagLen     = 5
	macLen     = 15
	keyVersion = 1
)

// Ref is what a registration id carries.
type Ref struct {
	// Epoch of the installation: raised by one when a backup is restored, so that no id is issued twice.
	Epoch uint8
	// Ordinal is the dense number of the device within its app.
	Ordinal uint32
}

// Codec makes and checks ids under one id key. It is safe for concurrent use.
type Codec struct {
	tag, mask, secret cipher.Block
}

// New derives the codec from the permanent id key (at least 32 bytes).
func New(idKey []byte) (*Codec, error) {
	if len(idKey) < 32 {
		return nil, fmt.Errorf("deviceid: id key has %d bytes, at least 32 are needed", len(idKey))
	}
	var c Codec
	for info, block := range map[string]*cipher.Block{
		"borealis registration id tag":  &c.tag,
		"borealis registration id mask": &c.mask,
		"borealis device secret":        &c.secret,
	} {
		key, err := hkdf.Key(sha256.New, idKey, nil, info, 32)
		if err != nil {
			return nil, fmt.Errorf("deviceid: derive key: %w", err)
		}
		if *block, err = aes.NewCipher(key); err != nil {
			return nil, fmt.Errorf("deviceid: %w", err)
		}
	}
	return &c, nil
}

// ID is the registration id of a device of the app with the given internal number.
func (c *Codec) ID(app int64, ref Ref) string {
	var raw [2 * tagLen]byte
	tag := c.makeTag(app, ref)
	copy(raw[:tagLen], tag[:])
	raw[tagLen] = ref.Epoch
	binary.BigEndian.PutUint32(raw[tagLen+1:], ref.Ordinal)
	c.applyMask(app, &raw)
	return hex.EncodeToString(raw[:])
}

// Parse reads a registration id of the app. Whether the device exists is the caller's question.
func (c *Codec) Parse(app int64, id string) (Ref, error) {
	var raw [2 * tagLen]byte
	if !decodeLowerHex(raw[:], id) {
		return Ref{}, ErrMalformed
	}
	c.applyMask(app, &raw)
	ref := Ref{Epoch: raw[tagLen], Ordinal: binary.BigEndian.Uint32(raw[tagLen+1:])}
	want := c.makeTag(app, ref)
	if subtle.ConstantTimeCompare(want[:], raw[:tagLen]) != 1 {
		return Ref{}, ErrMalformed
	}
	return ref, nil
}

// Secret is the secret of the given generation (from 1) of a device.
func (c *Codec) Secret(app int64, ref Ref, generation uint16) string {
	var raw [3 + macLen]byte
	raw[0] = keyVersion
	binary.BigEndian.PutUint16(raw[1:], generation)
	mac := c.secretMAC(app, ref, generation)
	copy(raw[3:], mac[:macLen])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// CheckSecret tells whether secret belongs to the device, and its generation. Whether that generation has been
// revoked is the caller's question.
func (c *Codec) CheckSecret(app int64, ref Ref, secret string) (generation uint16, ok bool) {
	var raw [3 + macLen]byte
	if len(secret) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return 0, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(secret)); err != nil || raw[0] != keyVersion {
		return 0, false
	}
	generation = binary.BigEndian.Uint16(raw[1:])
	mac := c.secretMAC(app, ref, generation)
	return generation, subtle.ConstantTimeCompare(mac[:macLen], raw[3:]) == 1
}

// Each PRF input is exactly one AES block of fixed layout, so AES itself is the PRF.

func (c *Codec) makeTag(app int64, ref Ref) (tag [tagLen]byte) {
	var block [aes.BlockSize]byte
	binary.BigEndian.PutUint64(block[:], uint64(app))
	block[8] = ref.Epoch
	binary.BigEndian.PutUint32(block[9:], ref.Ordinal)
	c.tag.Encrypt(block[:], block[:])
	copy(tag[:], block[:])
	return tag
}

func (c *Codec) applyMask(app int64, raw *[2 * tagLen]byte) {
	var block [aes.BlockSize]byte
	binary.BigEndian.PutUint64(block[:], uint64(app))
	copy(block[8:], raw[:tagLen])
	c.mask.Encrypt(block[:], block[:])
	for i := range tagLen {
		raw[tagLen+i] ^= block[i]
	}
}

func (c *Codec) secretMAC(app int64, ref Ref, generation uint16) (block [aes.BlockSize]byte) {
	binary.BigEndian.PutUint64(block[:], uint64(app))
	block[8] = ref.Epoch
	binary.BigEndian.PutUint32(block[9:], ref.Ordinal)
	binary.BigEndian.PutUint16(block[13:], generation)
	block[15] = keyVersion
	c.secret.Encrypt(block[:], block[:])
	return block
}

// decodeLowerHex is hex.Decode that refuses upper case: an id has exactly one spelling.
func decodeLowerHex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := nibble(s[2*i]), nibble(s[2*i+1])
		if hi|lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func nibble(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10
	}
	return 0xff
}
