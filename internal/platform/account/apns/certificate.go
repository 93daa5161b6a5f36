package apns

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Environment is one of the two push services of Apple.
type Environment string

// Environments. The texts are stored.
const (
	Development Environment = "development"
	Production  Environment = "production"
)

// MaxFile is how large a PKCS#12 file may be, in bytes. Real ones have 3 to 7 KB.
const MaxFile = 64 << 10

// ErrInvalid is wrapped by every error of Parse; what it wraps says why.
var ErrInvalid = errors.New("certificate invalid")

// Certificate is a client certificate of Apple's push service with its private key.
type Certificate struct {
	// TLS has the private key and the certificate, then the intermediate ones of the file.
	TLS tls.Certificate
	// Topic is the bundle id of the app.
	Topic string
	// NotAfter is when it expires.
	NotAfter time.Time
	// Fingerprint is the SHA-256 of the certificate in hex.
	Fingerprint string
}

// Object ids of Apple and of the naming attribute that carries the bundle id.
var (
	oidDevelopment = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 1}
	oidProduction  = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 2}
	oidUserID      = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
)

// Parse reads a PKCS#12 file. The certificate must be one of Apple's push service in the environment (those of today are
// of both), belong to the private key beside it and be valid at the time now. Errors wrap ErrInvalid.
func Parse(file []byte, password string, environment Environment, now time.Time) (*Certificate, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("%w: the file has more than %d bytes", ErrInvalid, MaxFile)
	}
	if err := checkIterations(file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	key, certs, err := decode(file, password)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c, err := assemble(key, certs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := c.check(environment, now); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c, nil
}

// decode guards the decoder: it trusts lengths inside of the file that a forger chooses.
func decode(file []byte, password string) (key any, certs []*x509.Certificate, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("not a PKCS#12 file")
		}
	}()
	key, first, rest, err := pkcs12.DecodeChain(file, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, nil, errors.New("the password is not that of the file")
	case err != nil:
		return nil, nil, errors.New("not a PKCS#12 file with one private key and its certificate")
	}
	return key, append([]*x509.Certificate{first}, rest...), nil
}

// assemble finds the certificate of the key, wherever it stands in the file.
func assemble(key any, certs []*x509.Certificate) (*Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key is of an unknown kind")
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return nil, errors.New("the private key is of an unknown kind")
	}
	c := &Certificate{TLS: tls.Certificate{PrivateKey: key}}
	var chain [][]byte
	for _, cert := range certs {
		if c.TLS.Leaf == nil && public.Equal(cert.PublicKey) {
			c.TLS.Leaf = cert
			continue
		}
		chain = append(chain, cert.Raw)
	}
	leaf := c.TLS.Leaf
	if leaf == nil {
		return nil, errors.New("the private key belongs to none of the certificates")
	}
	c.TLS.Certificate = append([][]byte{leaf.Raw}, chain...)
	c.NotAfter = leaf.NotAfter
	for _, name := range leaf.Subject.Names {
		if text, isText := name.Value.(string); isText && name.Type.Equal(oidUserID) {
			c.Topic = text
		}
	}
	sum := sha256.Sum256(leaf.Raw)
	c.Fingerprint = hex.EncodeToString(sum[:])
	return c, nil
}

func (c *Certificate) check(environment Environment, now time.Time) error {
	wanted := oidProduction
	if environment == Development {
		wanted = oidDevelopment
	}
	found := false
	for _, e := range c.TLS.Leaf.Extensions {
		found = found || e.Id.Equal(wanted)
	}
	switch {
	case !found:
		return fmt.Errorf("not a certificate of Apple's push service for %s", environment)
	case c.Topic == "":
		return errors.New("names no bundle id")
	case now.Before(c.TLS.Leaf.NotBefore):
		return errors.New("is not valid yet")
	case !now.Before(c.NotAfter):
		return errors.New("has expired")
	}
	return nil
}

// Types of PEM blocks.
const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// Marshal is the certificate with its chain and key as PEM. It is as secret as the key.
func (c *Certificate) Marshal() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.TLS.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("apns: encode private key: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})
	for _, cert := range c.TLS.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert})...)
	}
	return out, nil
}

// Unmarshal reads what Marshal wrote.
func Unmarshal(text []byte) (*Certificate, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("apns: stored certificate: %w", err)
	}
	certs := make([]*x509.Certificate, 0, len(pair.Certificate))
	for _, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("apns: stored certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	return assemble(pair.PrivateKey, certs)
}
