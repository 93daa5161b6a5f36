// Package apnstest makes certificates like those of Apple's push service, for tests.
package apnstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Options say how a certificate differs from an ordinary one for both environments.
type Options struct {
	// Topic is the bundle id; empty: the certificate names none.
	Topic string
	// NotBefore, if zero, is a year before NotAfter.
	NotBefore, NotAfter time.Time
	// OnlyDevelopment: not for production.
	OnlyDevelopment bool
	// Other: a certificate for something else.
	Other bool
}

// Make returns a certificate and its private key.
func Make(t testing.TB, o Options) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: "Apple Push Services: " + o.Topic, Country: []string{"US"}}
	if o.Topic != "" {
		subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: o.Topic}}
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = o.NotAfter.AddDate(-1, 0, 0)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: o.NotBefore, NotAfter: o.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature}
	kinds := []int{1, 2}
	switch {
	case o.Other:
		kinds = nil
	case o.OnlyDevelopment:
		kinds = []int{1}
	}
	for _, kind := range kinds {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
			Id: asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, kind}, Value: asn1.NullBytes,
		})
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// File is a PKCS#12 file with a new certificate, in the ciphers that Apple's Keychain has used for long.
func File(t testing.TB, o Options, password string) []byte {
	t.Helper()
	cert, key := Make(t, o)
	file, err := pkcs12.LegacyRC2.Encode(key, cert, nil, password)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
