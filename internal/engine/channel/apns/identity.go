package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/engine/channel/wire"
)

// identity is a signing key or a client certificate.
type identity struct {
	// hash tells apart identities that differ in anything.
	hash string

	team, keyID string
	key         *ecdsa.PrivateKey // nil for a certificate

	certificate *tls.Certificate
	topic       string // that the certificate names, "" if it names none
	notAfter    time.Time
}

// readIdentity is the key or certificate of the fields with that prefix, nil if there is none.
func readIdentity(fields map[string]string, prefix string) (*identity, error) {
	keyID, key, certificate := fields[prefix+fieldKeyID], fields[prefix+fieldKey], fields[prefix+fieldCertificate]
	switch {
	case keyID == "" && key == "" && certificate == "":
		return nil, nil
	case certificate == "":
		return readKey(fields[fieldTeam], keyID, key, prefix)
	case keyID != "" || key != "":
		return nil, &wire.FieldError{Field: prefix + fieldCertificate, Reason: "stands beside a key: give one of them"}
	}
	return readCertificate(certificate, prefix)
}

func readKey(team, keyID, text, prefix string) (*identity, error) {
	ten := regexp.MustCompile(`^[A-Z0-9]{10}$`)
	for _, f := range []struct{ name, value string }{{fieldTeam, team}, {prefix + fieldKeyID, keyID}} {
		if f.value == "" {
			return nil, &wire.FieldError{Field: f.name, Reason: "is missing"}
		}
		if !ten.MatchString(f.value) {
			return nil, &wire.FieldError{Field: f.name, Reason: "is not 10 capital letters and digits"}
		}
	}
	if text == "" {
		return nil, &wire.FieldError{Field: prefix + fieldKey, Reason: "is missing"}
	}
	wrong := &wire.FieldError{Field: prefix + fieldKey, Reason: "is not the text of a .p8 file: a P-256 key between BEGIN and END PRIVATE KEY"}
	block, _ := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil {
		return nil, wrong
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, wrong
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, wrong
	}
	return &identity{hash: fingerprint([]byte(team+"\x00"+keyID), block.Bytes), team: team, keyID: keyID, key: key}, nil
}

func readCertificate(text, prefix string) (*identity, error) {
	pair, err := tls.X509KeyPair([]byte(text), []byte(text))
	if err != nil || pair.Leaf == nil {
		return nil, &wire.FieldError{Field: prefix + fieldCertificate, Reason: "is not a PEM text with a certificate and its private key"}
	}
	id := &identity{hash: fingerprint(pair.Certificate...), certificate: &pair, notAfter: pair.Leaf.NotAfter}
	userID := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1} // carries the bundle id
	for _, name := range pair.Leaf.Subject.Names {
		if topic, isText := name.Value.(string); isText && name.Type.Equal(userID) {
			id.topic = topic
		}
	}
	return id, nil
}

func fingerprint(parts ...[]byte) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:", len(p))
		sum.Write(p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// expired tells whether the identity is a certificate whose time is over.
func (id *identity) expired(now time.Time) bool {
	return id.certificate != nil && !now.Before(id.notAfter)
}

// sign makes a provider token that says it was made at a time.
func (id *identity) sign(at time.Time) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": id.team, "iat": at.Unix()})
	t.Header["kid"] = id.keyID
	text, err := t.SignedString(id.key)
	if err != nil {
		return "", fmt.Errorf("apns: sign: %w", err)
	}
	return text, nil
}
