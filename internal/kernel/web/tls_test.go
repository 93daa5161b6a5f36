package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/web"
)

// writeCert writes a self-signed certificate with the given name, dated so that a file is never mistaken for an older one.
func writeCert(t *testing.T, certFile, keyFile, name string, stamp time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	log := &logBuffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	c := clock.NewFake(time.Now())
	if _, err := web.LoadTLS(cert, key, c, logger); err == nil {
		t.Error("files that are not there")
	}
	writeCert(t, cert, key, "first", time.Unix(1000, 0))
	cfg, err := web.LoadTLS(cert, key, c, logger)
	if err != nil {
		t.Fatal(err)
	}
	name := func() string {
		t.Helper()
		pair, err := cfg.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	writeCert(t, cert, key, "second", time.Unix(2000, 0))
	if got := name(); got != "first" {
		t.Errorf("looked at the files again at once: %s", got)
	}
	c.Advance(time.Minute)
	if got := name(); got != "second" {
		t.Errorf("after a minute: %s", got)
	}
	if err := os.WriteFile(key, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	if got := name(); got != "second" || !strings.Contains(log.String(), "not read again") {
		t.Errorf("with a broken key: %s, log %s", got, log)
	}
}
