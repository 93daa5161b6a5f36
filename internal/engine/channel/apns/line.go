package apns

import (
	"crypto/tls"
	"net/http"
	"strings"
	"sync"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const (
	// maxLines bounds the apps that have connections; the one that was unused longest loses its own.
	maxLines = 1000
	// idleLine is how long an unused connection stays. Apple asks for hours.
	idleLine = time.Hour
	// pingAfter is how long a connection may be silent before it is tried.
	pingAfter = time.Minute
)

// line is the connections of one app with one key or certificate, and what is known of its provider tokens.
type line struct {
	account             string
	production, sandbox *wire.Caller
	close               func()
	used                time.Time

	mu sync.Mutex
	// refused is the last provider token that Apple did not take, renewed when another one was asked for in its place.
	refused string
	renewed time.Time
}

func (l *line) caller(sandbox bool) *wire.Caller {
	if sandbox {
		return l.sandbox
	}
	return l.production
}

// mayRenew tells whether another token may take the place of a refused one: all who met the same refusal may, and a next token
// not before Apple's 20 minutes are over.
func (l *line) mayRenew(token string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused == token {
		return true
	}
	if !l.renewed.IsZero() && now.Sub(l.renewed) < minRenewal {
		return false
	}
	l.refused, l.renewed = token, now
	return true
}

// issued is when the next token is to say that it was made.
func (l *line) issued(now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now.Truncate(tokenStep)
	if at.Before(l.renewed) {
		return l.renewed
	}
	return at
}

// lines are those that were used last. They are safe for concurrent use.
type lines struct {
	deps  wire.Deps
	clock clock.Clock

	mu  sync.Mutex
	all map[string]*line
}

func newLines(d wire.Deps) *lines {
	return &lines{deps: d, clock: d.Clock, all: make(map[string]*line)}
}

// get is the line of an app, made if there is none.
func (p *lines) get(bundle string, id *identity) *line {
	account := bundle + "\x00" + id.hash
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.all[account]
	if l == nil {
		p.makeRoom()
		l = newLine(p.deps, id)
		l.account = account
		p.all[account] = l
	}
	l.used = now
	return l
}

// drop makes the next request of an app open new connections. What is under way ends first.
func (p *lines) drop(l *line, id *identity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[l.account] != l {
		return // somebody else met the same answer
	}
	next := newLine(p.deps, id)
	next.account, next.used = l.account, l.used
	l.mu.Lock()
	next.refused, next.renewed = l.refused, l.renewed
	l.mu.Unlock()
	p.all[l.account] = next
	l.close()
}

// makeRoom drops the line that was unused longest. The caller holds mu.
func (p *lines) makeRoom() {
	if len(p.all) < maxLines {
		return
	}
	var oldest *line
	for _, l := range p.all {
		if oldest == nil || l.used.Before(oldest.used) {
			oldest = l
		}
	}
	delete(p.all, oldest.account)
	oldest.close()
}

// newLine makes a line. A transport of Deps that is not one of net/http is used as it is.
func newLine(d wire.Deps, id *identity) *line {
	l := &line{close: func() {}}
	var own *http.Transport
	switch t := d.Transport.(type) {
	case nil:
		own = wire.NewTransport()
	case *http.Transport:
		own = t.Clone()
	}
	if own != nil {
		m := newMux(configure(own, id), d.Clock)
		d.Transport, l.close = m, m.close
	}
	l.production = wire.NewCaller(d)
	if d.BaseURL != "" {
		d.BaseURL = strings.TrimRight(d.BaseURL, "/") + "/sandbox"
	}
	l.sandbox = wire.NewCaller(d)
	return l
}

// configure makes t speak HTTP/2 and nothing else.
func configure(t *http.Transport, id *identity) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // http:// is a simulator
	t.Protocols = &protocols
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: 15 * time.Second}
	t.IdleConnTimeout = idleLine
	t.DisableCompression = true
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if id.certificate != nil {
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.certificate, nil }
	}
	return t
}
