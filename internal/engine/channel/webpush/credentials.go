package webpush

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// Lengths of keys in bytes: a private key, an uncompressed point of P-256.
const (
	scalarSize = 32
	pointSize  = 65
)

// maxSubject is the longest subject in bytes; it is in a header of each call.
const maxSubject = 255

// credentials are an application server's key pair and how to reach its operator (RFC 8292).
type credentials struct {
	key     *ecdsa.PrivateKey
	public  string // base64url of the uncompressed point
	subject string
	// account tells credentials apart that differ in anything.
	account string
}

// ID is the public key, as browsers get it.
func (c *credentials) ID() string { return c.public }

// GenerateKeys makes a new key pair in the form of the credentials: base64url without padding, 87 and 43 characters.
func GenerateKeys() (publicKey, privateKey string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("webpush: make a key: %w", err)
	}
	scalar, err := key.Bytes()
	if err != nil {
		return "", "", fmt.Errorf("webpush: encode the key: %w", err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return "", "", fmt.Errorf("webpush: encode the key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(point), base64.RawURLEncoding.EncodeToString(scalar), nil
}

// Parse reads {"public_key":…,"private_key":…,"subject":…}; see docs/channels/webpush.md.
func (*Vendor) Parse(raw []byte) (wire.Credentials, error) {
	var in struct {
		PublicKey  string `json:"public_key"`
		PrivateKey string `json:"private_key"`
		Subject    string `json:"subject"`
	}
	if err := wire.ReadFields(raw, &in); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, value string }{{"public_key", in.PublicKey}, {"private_key", in.PrivateKey}, {"subject", in.Subject}} {
		if f.value == "" {
			return nil, &wire.FieldError{Field: f.name, Reason: "is missing"}
		}
	}
	c, err := newCredentials(in.PublicKey, in.PrivateKey, in.Subject)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func newCredentials(public, private, subject string) (*credentials, error) {
	point, err := decode(public)
	if err != nil || len(point) != pointSize {
		return nil, &wire.FieldError{Field: "public_key", Reason: "must be the base64url of an uncompressed point of P-256 (65 bytes, 87 characters)"}
	}
	scalar, err := decode(private)
	if err != nil || len(scalar) != scalarSize {
		return nil, &wire.FieldError{Field: "private_key", Reason: "must be the base64url of 32 bytes (43 characters)"}
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return nil, &wire.FieldError{Field: "private_key", Reason: "is not a private key of P-256"}
	}
	if own, err := key.PublicKey.Bytes(); err != nil || !bytes.Equal(own, point) {
		return nil, &wire.FieldError{Field: "public_key", Reason: "does not belong to private_key"}
	}
	if reason := checkSubject(subject); reason != "" {
		return nil, &wire.FieldError{Field: "subject", Reason: reason}
	}
	sum := sha256.New()
	sum.Write(scalar)
	sum.Write([]byte(subject))
	return &credentials{
		key: key, public: base64.RawURLEncoding.EncodeToString(point), subject: subject, account: hex.EncodeToString(sum.Sum(nil)),
	}, nil
}

// checkSubject says what is wrong with a subject, "" if nothing is. It must lead to people: Apple refuses names that no
// one on the internet has.
func checkSubject(subject string) string {
	if len(subject) > maxSubject {
		return fmt.Sprintf("is longer than %d bytes", maxSubject)
	}
	scheme, rest, _ := strings.Cut(subject, ":")
	var host string
	switch scheme {
	case "mailto":
		address, err := mail.ParseAddress(rest)
		if err != nil || address.Address != rest {
			return "has no mail address after mailto:"
		}
		host = rest[strings.LastIndexByte(rest, '@')+1:]
	case "https":
		u, err := url.Parse(subject)
		if err != nil || u.User != nil || u.Hostname() == "" {
			return "is not an https address"
		}
		host = u.Hostname()
	default:
		return "must begin with mailto: or https:"
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	last := host[strings.LastIndexByte(host, '.')+1:]
	if err == nil || last == host || slices.Contains([]string{"localhost", "local", "invalid", "internal", "test"}, last) {
		return "must name a host of the internet; push services refuse localhost and the like"
	}
	return ""
}

// decode reads base64url, and the other spellings of base64 that browsers and libraries are seen to use.
func decode(text string) ([]byte, error) {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	return base64.RawURLEncoding.Strict().DecodeString(text)
}
