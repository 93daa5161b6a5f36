package apns_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"borealis/internal/platform/account/apns"
	"borealis/internal/platform/account/apns/apnstest"
)

var now = time.Date(2027, 2, 28, 12, 0, 0, 0, time.UTC)

func valid() apnstest.Options {
	return apnstest.Options{Topic: "com.example.courier", NotAfter: now.Add(time.Hour)}
}

func TestReadsWhatExportersWrite(t *testing.T) {
	t.Parallel()
	cert, key := apnstest.Make(t, valid())
	issuer, _ := apnstest.Make(t, apnstest.Options{Topic: "issuer", NotAfter: now.Add(time.Hour)})
	for name, encoder := range map[string]*pkcs12.Encoder{"RC2": pkcs12.LegacyRC2, "triple DES": pkcs12.LegacyDES, "AES": pkcs12.Modern2023, "AES with PBMAC1": pkcs12.Modern2026} {
		for _, password := range []string{"Käse 1", ""} {
			file, err := encoder.Encode(key, cert, []*x509.Certificate{issuer}, password)
			if err != nil {
				t.Fatal(err)
			}
			for _, environment := range []apns.Environment{apns.Development, apns.Production} {
				got, err := apns.Parse(file, password, environment, now)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if got.Topic != "com.example.courier" || !got.NotAfter.Equal(cert.NotAfter) || len(got.Fingerprint) != 64 || len(got.TLS.Certificate) != 2 {
					t.Errorf("%s: %+v", name, got)
				}
				text, err := got.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				back, err := apns.Unmarshal(text)
				if err != nil || back.Fingerprint != got.Fingerprint || back.Topic != got.Topic || len(back.TLS.Certificate) != 2 {
					t.Errorf("%s: stored and read: %+v, %v", name, back, err)
				}
				if !back.TLS.PrivateKey.(*ecdsa.PrivateKey).Equal(key) {
					t.Errorf("%s: another key", name)
				}
			}
			if _, err := apns.Parse(file, "wrong", apns.Production, now); !errors.Is(err, apns.ErrInvalid) || !strings.Contains(err.Error(), "password") {
				t.Errorf("%s: wrong password: %v", name, err)
			}
		}
	}
}

// The certificate of the key is found among others, in whatever order.
func TestLeafIsTheCertificateOfTheKey(t *testing.T) {
	t.Parallel()
	leaf, key := apnstest.Make(t, valid())
	issuer, _ := apnstest.Make(t, apnstest.Options{Topic: "issuer", NotAfter: now.Add(time.Hour)})
	file, err := pkcs12.LegacyDES.Encode(key, issuer, []*x509.Certificate{leaf}, "x")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := apns.Parse(file, "x", apns.Production, now); err != nil || got.Topic != "com.example.courier" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	with := func(change func(*apnstest.Options)) []byte {
		o := valid()
		change(&o)
		return apnstest.File(t, o, "x")
	}
	leaf, _ := apnstest.Make(t, valid())
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"empty":          {nil, "not a PKCS#12"},
		"garbage":        {[]byte("certificate"), "not a PKCS#12"},
		"cut":            {with(func(*apnstest.Options) {})[:500], "not a PKCS#12"},
		"too large":      {make([]byte, apns.MaxFile+1), "bytes"},
		"expired":        {with(func(o *apnstest.Options) { o.NotAfter = now }), "expired"},
		"not yet":        {with(func(o *apnstest.Options) { o.NotBefore = now.Add(time.Second) }), "not valid yet"},
		"no bundle id":   {with(func(o *apnstest.Options) { o.Topic = "" }), "bundle id"},
		"another kind":   {with(func(o *apnstest.Options) { o.Other = true }), "not a certificate of Apple"},
		"of development": {with(func(o *apnstest.Options) { o.OnlyDevelopment = true }), "not a certificate of Apple"},
		"key of another": {encode(t, pkcs12.LegacyDES, stranger, leaf), "belongs to none"},
	} {
		_, err := apns.Parse(c.file, "x", apns.Production, now)
		if !errors.Is(err, apns.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func encode(t testing.TB, e *pkcs12.Encoder, key crypto.Signer, cert *x509.Certificate) []byte {
	t.Helper()
	file, err := e.Encode(key, cert, nil, "x")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Each of the derivations of a file is looked at: one after the other is made to take 128 times as long.
func TestDerivationsOfAbsurdLengthAreNotBegun(t *testing.T) {
	t.Parallel()
	cert, key := apnstest.Make(t, valid())
	short, long := []byte{2, 3, 1, 0, 0}, []byte{2, 3, 0x7f, 0xff, 0xff}
	for name, e := range map[string]*pkcs12.Encoder{"old": pkcs12.LegacyDES, "new": pkcs12.Modern2023, "newest": pkcs12.Modern2026} {
		file := encode(t, e.WithIterations(1<<16), key, cert)
		found := 0
		for at := bytes.Index(file, short); at >= 0; found++ {
			changed := bytes.Clone(file)
			copy(changed[at:], long)
			if _, err := apns.Parse(changed, "x", apns.Production, now); !errors.Is(err, apns.ErrInvalid) || !strings.Contains(err.Error(), "too long") {
				t.Errorf("%s: derivation %d: %v", name, found, err)
			}
			next := bytes.Index(file[at+1:], short)
			if next < 0 {
				break
			}
			at += 1 + next
		}
		if found < 2 { // counted from 0: checksum, certificates and key
			t.Errorf("%s: %d derivations found", name, found+1)
		}
	}
}

func FuzzParse(f *testing.F) {
	o := valid()
	f.Add(apnstest.File(f, o, "x"))
	leaf, key := apnstest.Make(f, o)
	f.Add(encode(f, pkcs12.Modern2023, key, leaf))
	f.Add(encode(f, pkcs12.LegacyRC2, key, leaf))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := apns.Parse(file, "x", apns.Production, now)
		if (c == nil) == (err == nil) || err != nil && !errors.Is(err, apns.ErrInvalid) {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
