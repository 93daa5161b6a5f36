package apns

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// CertificateOptions say how a client certificate differs from an ordinary one for both environments.
type CertificateOptions struct {
	// Topic is the bundle id; empty: Bundle.
	Topic string
	// NotAfter, if zero, is a year from now.
	NotAfter time.Time
	// OnlyDevelopment: not for production. Foreign: not made by Apple.
	OnlyDevelopment, Foreign bool
}

// Object ids of Apple's extensions that name the environments, and of the attribute that has the bundle id.
var (
	oidDevelopment = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 1}
	oidProduction  = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 2}
	oidUserID      = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
)

// Issue makes a client certificate: a PEM text with the certificate and its key.
func (s *Sim) Issue(o CertificateOptions) string {
	a := s.authority
	now := a.clock.Now()
	if o.Topic == "" {
		o.Topic = Bundle
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = now.AddDate(1, 0, 0)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), NotBefore: o.NotAfter.AddDate(-2, 0, 0), NotAfter: o.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		Subject: pkix.Name{
			CommonName: "Apple Push Services: " + o.Topic,
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: oidUserID, Value: o.Topic}},
		},
		ExtraExtensions: []pkix.Extension{{Id: oidDevelopment, Value: asn1.NullBytes}},
	}
	if !o.OnlyDevelopment {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidProduction, Value: asn1.NullBytes})
	}
	ca, caKey := a.ca, a.caKey
	if o.Foreign {
		ca, caKey = newCA()
	}
	key, text := newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + text
}

// byCertificate finds out who sends.
func (a *authority) byCertificate(cert *x509.Certificate, sandbox bool) (sender, string) {
	now := a.clock.Now()
	if cert.CheckSignatureFrom(a.ca) != nil || now.Before(cert.NotBefore) || !now.Before(cert.NotAfter) {
		return sender{}, "BadCertificate"
	}
	wanted := oidProduction
	if sandbox {
		wanted = oidDevelopment
	}
	found := false
	for _, e := range cert.Extensions {
		found = found || e.Id.Equal(wanted)
	}
	if !found {
		return sender{}, "BadCertificateEnvironment"
	}
	from := sender{certificate: true}
	for _, name := range cert.Subject.Names {
		if text, ok := name.Value.(string); ok && name.Type.Equal(oidUserID) {
			from.topic = text
		}
	}
	return from, ""
}

func newCA() (*x509.Certificate, *ecdsa.PrivateKey) {
	key, _ := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Simulated Apple"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert, key
}

// Authority is the certificate, as PEM, that the server's own is signed with.
func (s *Sim) Authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.authority.ca.Raw})
}

// TLSConfig is that of a server on this machine: HTTP/2 only, and clients may have certificates.
func (s *Sim) TLSConfig() *tls.Config {
	key, _ := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.authority.ca, key.Public(), s.authority.caKey)
	if err != nil {
		panic(err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, ClientAuth: tls.RequestClientCert,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
}
