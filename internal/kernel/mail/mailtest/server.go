// Package mailtest is an SMTP server for tests: a real one, on a socket of loopback, that keeps what it was given and refuses, delays or
// hangs up when it is told to.
package mailtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is a message that the server has, or is asked to take.
type Mail struct {
	// From and To are the envelope's.
	From string
	To   []string
	// Data is header and body.
	Data []byte
	// Encrypted: it came over TLS. User logged in, if any.
	Encrypted bool
	User      string
	// Connection counts the server's connections from 1.
	Connection int
}

// Header parses the header; it fails the test if there is none.
func (m *Mail) Header(t testing.TB) mail.Header {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatalf("header of a mail: %v\n%s", err, m.Data)
	}
	return parsed.Header
}

// Options of a server.
type Options struct {
	// StartTLS offers the upgrade, Implicit begins with TLS.
	StartTLS, Implicit bool
	// User and Password that it wants; empty: nobody logs in.
	User, Password string
	// Greet, Sender, Recipient and Data are asked at their stage; an error (Refuse, Hangup) is the answer. Greet may be called for
	// connections that end at once. Data has the whole message; after nil it is kept and the client gets 250.
	Greet     func() error
	Sender    func(from string) error
	Recipient func(to string) error
	Data      func(m *Mail) error
	// Accepted is called when a message is kept and before the client is told.
	Accepted func(m *Mail)
}

// Refuse is an answer with a code, e.g. 450, and an enhanced one, e.g. 4, 2, 1.
func Refuse(code, class, subject, detail int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
}

// ErrHangup closes the connection without an answer.
var ErrHangup = errors.New("hang up")

// ErrKeepAndHangup keeps the message and closes the connection before the client is told: for Options.Data.
var ErrKeepAndHangup = errors.New("keep and hang up")

// Server is a running server.
type Server struct {
	// Host and Port it listens on; Roots has the authority of its certificate.
	Host  string
	Port  int
	Roots *x509.CertPool

	o  Options
	mu sync.Mutex

	kept        []*Mail
	connections int
	open        map[net.Conn]struct{}
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{Host: "127.0.0.1", o: o, open: make(map[net.Conn]struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("not a TCP address")
	}
	s.Port = addr.Port
	server := smtp.NewServer(smtp.BackendFunc(s.session))
	server.Domain, server.ErrorLog = "mx.test.example", log.New(io.Discard, "", 0)
	server.ReadTimeout, server.WriteTimeout = 30*time.Second, 30*time.Second
	server.MaxMessageBytes = 4 << 20
	if o.StartTLS || o.Implicit {
		server.TLSConfig, s.Roots = certificate(t)
	} else {
		server.AllowInsecureAuth = true
	}
	listener = &watched{Listener: listener, s: s}
	if o.Implicit {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		_ = listener.Close() // the server may not have known it yet
		s.Disconnect()
		<-done
	})
	return s
}

// watched knows the open connections, so that they can be cut.
type watched struct {
	net.Listener
	s *Server
}

func (w *watched) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.open[c] = struct{}{}
	return &watchedConn{Conn: c, s: w.s}, nil
}

type watchedConn struct {
	net.Conn
	s *Server
}

func (c *watchedConn) Close() error {
	c.s.mu.Lock()
	delete(c.s.open, c.Conn)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

// Disconnect cuts all connections.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
	clear(s.open)
}

// Mails are the kept messages in their order.
func (s *Server) Mails() []*Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Mail(nil), s.kept...)
}

// To are the kept messages to an address.
func (s *Server) To(address string) []*Mail {
	var out []*Mail
	for _, m := range s.Mails() {
		for _, to := range m.To {
			if strings.EqualFold(to, address) {
				out = append(out, m)
			}
		}
	}
	return out
}

// Connections is how many there have been.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	s.connections++
	n := s.connections
	s.mu.Unlock()
	x := &session{s: s, conn: c, number: n}
	if s.o.Greet != nil {
		if err := x.answer(s.o.Greet()); err != nil {
			return nil, err
		}
	}
	if s.o.User != "" {
		return &authSession{x}, nil
	}
	return x, nil
}

// session is one connection.
type session struct {
	s      *Server
	conn   *smtp.Conn
	number int
	user   string
	mail   Mail
}

// answer carries out an error that means to hang up.
func (x *session) answer(err error) error {
	if errors.Is(err, ErrHangup) || errors.Is(err, ErrKeepAndHangup) {
		_ = x.conn.Conn().Close()
	}
	return err
}

// Reset forgets the message.
func (x *session) Reset() { x.mail = Mail{} }

// Logout does nothing.
func (*session) Logout() error { return nil }

// Mail begins a message.
func (x *session) Mail(from string, _ *smtp.MailOptions) error {
	if x.s.o.User != "" && x.user == "" {
		return smtp.ErrAuthRequired
	}
	if x.s.o.Sender != nil {
		if err := x.answer(x.s.o.Sender(from)); err != nil {
			return err
		}
	}
	_, encrypted := x.conn.TLSConnectionState()
	x.mail = Mail{From: from, Encrypted: encrypted, User: x.user, Connection: x.number}
	return nil
}

// Rcpt adds a recipient.
func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if x.s.o.Recipient != nil {
		if err := x.answer(x.s.o.Recipient(to)); err != nil {
			return err
		}
	}
	x.mail.To = append(x.mail.To, to)
	return nil
}

// Data takes the message.
func (x *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := x.mail
	m.Data = data
	if x.s.o.Data != nil {
		err = x.s.o.Data(&m)
	}
	if err == nil || errors.Is(err, ErrKeepAndHangup) {
		x.s.mu.Lock()
		x.s.kept = append(x.s.kept, &m)
		x.s.mu.Unlock()
		if x.s.o.Accepted != nil {
			x.s.o.Accepted(&m)
		}
	}
	return x.answer(err)
}

type authSession struct{ *session }

// AuthMechanisms is PLAIN.
func (*authSession) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth logs in.
func (a *authSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != a.s.o.User || password != a.s.o.Password {
			return smtp.ErrAuthFailed
		}
		a.user = user
		return nil
	}), nil
}

// certificate is one for loopback that signs itself.
func certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(4_000_000_000, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, roots
}
