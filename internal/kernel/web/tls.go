package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"borealis/internal/kernel/clock"
)

// certCheck is how often the certificate files are looked at, at most, and only while handshakes happen.
const certCheck = 30 * time.Second

// certFiles serves a certificate from two files and reads them again when they change, so a renewal needs no restart.
type certFiles struct {
	cert, key string
	clock     clock.Clock
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	checked time.Time
	stamp   string // sizes and modification times of both files when current was read
}

// LoadTLS makes a server configuration (TLS 1.2 and later) from PEM files, which are read again when they change. Files
// that are broken now are an error; files that break later are logged and the last good certificate stays.
func LoadTLS(certFile, keyFile string, c clock.Clock, log *slog.Logger) (*tls.Config, error) {
	f := &certFiles{cert: certFile, key: keyFile, clock: c, log: log}
	if err := f.load(); err != nil {
		return nil, err
	}
	f.checked = c.Now()
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.get(), nil },
	}, nil
}

func (f *certFiles) get() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.clock.Now(); now.Sub(f.checked) >= certCheck {
		f.checked = now
		if err := f.load(); err != nil {
			f.log.Error("certificate not read again, the previous one stays in use", "err", err)
		}
	}
	return f.current
}

// load reads the files unless they are those already read. It is called by LoadTLS, or under mu.
func (f *certFiles) load() error {
	stamp, err := fileStamp(f.cert, f.key)
	if err != nil {
		return err
	}
	if stamp == f.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", f.cert, err)
	}
	f.current, f.stamp = &pair, stamp
	return nil
}

func fileStamp(paths ...string) (string, error) {
	var stamp strings.Builder
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return "", fmt.Errorf("certificate: %w", err)
		}
		fmt.Fprintf(&stamp, "%d %d;", info.Size(), info.ModTime().UnixNano())
	}
	return stamp.String(), nil
}
