package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"borealis/internal/kernel/clock"
)

// Mailer sends mail through one server. It is safe for concurrent use and holds no connection.
type Mailer struct {
	config Config
	clock  clock.Clock
	signer *gomail.DKIMSigner
}

// New checks the configuration; it connects to nothing. The error is a *FieldError.
func New(c Config, k clock.Clock) (*Mailer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	signer, err := c.signer()
	if err != nil {
		return nil, err
	}
	m := &Mailer{config: c, clock: k, signer: signer}
	if _, err := m.client(&dialer{}); err != nil {
		return nil, err
	}
	return m, nil
}

// From is the address that mail comes from.
func (m *Mailer) From() string { return m.config.From }

// Timeout is the longest that one attempt takes: connecting and sending, and once again if a kept connection had gone.
func (m *Mailer) Timeout() time.Duration { return 3 * m.config.Timeout }

// Send makes one attempt at one message over a connection of its own.
func (m *Mailer) Send(ctx context.Context, msg *Message) Outcome {
	s := m.Session()
	defer s.Close()
	return s.Send(ctx, msg)
}

// Check connects, greets, encrypts and logs in, and says what failed: what an operator wants to know before the first message.
func (m *Mailer) Check(ctx context.Context) error {
	s := m.Session()
	defer s.Close()
	if err := s.connect(ctx); err != nil {
		return errors.New(reason(err, ""))
	}
	return nil
}

// Session sends messages one after the other over one connection, which it opens when needed and opens again when it was lost. It
// is for one goroutine.
type Session struct {
	mailer *Mailer
	client *gomail.Client
	smtp   *smtp.Client
	dialer *dialer
}

// Session returns a session that is not connected yet. Close it.
func (m *Mailer) Session() *Session { return &Session{mailer: m} }

// Send makes one attempt at one message. An invalid one is Permanent, with the FieldError as reason. Only a connection that was kept
// from before and turns out to be gone before the message has begun is replaced, within the same attempt.
func (s *Session) Send(ctx context.Context, m *Message) Outcome {
	if err := m.Check(); err != nil {
		return Outcome{Class: Permanent, ID: m.ID, Reason: err.Error()}
	}
	msg, name, err := s.mailer.config.build(m, s.mailer.clock.Now())
	if err != nil {
		return Outcome{Class: Permanent, ID: m.ID, Reason: err.Error()}
	}
	to, _ := Address(m.To) // build has read it
	kept := s.smtp != nil
	o, gone := s.attempt(ctx, msg, to)
	if gone && kept && ctx.Err() == nil {
		o, _ = s.attempt(ctx, msg, to)
	}
	o.ID = name
	return o
}

// attempt sends msg. gone: the connection had ended before the message began.
func (s *Session) attempt(ctx context.Context, msg *gomail.Msg, to string) (o Outcome, gone bool) {
	if err := s.connect(ctx); err != nil {
		return failed(err, stageSession, to), false
	}
	// The library does not look at the context while it sends; a closed socket it notices.
	stop := context.AfterFunc(ctx, s.dialer.close)
	err := s.client.SendWithSMTPClient(s.smtp, msg)
	cut := !stop()
	switch {
	case msg.IsDelivered():
		// The library may still report that the connection did not outlive the message. That is no failure of it.
		o = Outcome{Class: Sent, Code: 250, Status: statusPattern.FindString(msg.ServerResponse()), Reason: reason(errors.New("250 "+msg.ServerResponse()), to)}
		if err != nil || cut {
			s.drop()
		}
		return o, false
	case err == nil: // not with one message
		err = errors.New("nothing was sent")
	}
	at := stageOf(err)
	o = failed(err, at, to)
	se, ok := errors.AsType[*gomail.SendError](err)
	gone = ok && (se.Reason == gomail.ErrConnCheck || se.Reason == gomail.ErrSMTPMailFrom) && o.Code == 0
	// After a refusal the connection is as good as before, unless the server is closing it.
	if o.Code == 0 || o.Code == 421 || cut || at == stageData {
		s.drop()
	}
	return o, gone
}

// connect opens the connection if there is none.
func (s *Session) connect(ctx context.Context) error {
	if s.smtp != nil {
		return nil
	}
	s.dialer = &dialer{config: &s.mailer.config}
	client, err := s.mailer.client(s.dialer)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.dialer.close)
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.dialer.close() // the library leaves it open when greeting, TLS or log-in fail
		return err
	}
	s.client, s.smtp = client, conn
	return nil
}

// drop closes the connection without a word.
func (s *Session) drop() {
	if s.dialer != nil {
		s.dialer.close()
	}
	s.smtp, s.client = nil, nil
}

// Close takes leave of the server, if the session is connected.
func (s *Session) Close() {
	if s.smtp != nil {
		_ = s.smtp.UpdateDeadline(quitTimeout)
		_ = s.smtp.Quit()
	}
	s.drop()
}

// quitTimeout bounds the farewell.
const quitTimeout = time.Second

// client configures the library. A client is made for every connection: it is cheap, and then nothing is shared.
func (m *Mailer) client(d *dialer) (*gomail.Client, error) {
	c := &m.config
	opts := []gomail.Option{
		gomail.WithPort(c.Port), gomail.WithTimeout(c.Timeout), gomail.WithHELO(c.Hello), gomail.WithTLSConfig(c.tlsConfig()),
		gomail.WithDialContextFunc(d.dial), gomail.WithoutSMTPUTF8(),
	}
	switch c.TLS {
	case TLSImplicit:
		opts = append(opts, gomail.WithSSL())
	case TLSStart:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLSOpportunistic:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case TLSNone:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if c.User != "" {
		opts = append(opts, gomail.WithSMTPAuthCustom(&login{config: c}))
	}
	if m.signer != nil {
		opts = append(opts, gomail.WithAlwaysDKIMSign(m.signer))
	}
	return gomail.NewClient(c.Host, opts...)
}

// login chooses how to log in when the server has said what it knows.
type login struct {
	smtp.Auth
	config *Config
}

// Start refuses to show the password to anybody who listens.
func (l *login) Start(server *smtp.ServerInfo) (proto string, toServer []byte, err error) {
	c := l.config
	if !server.TLS && !loopback(c.Host) {
		return "", nil, errors.New("the password was not sent, because the connection is not encrypted")
	}
	plain := !server.TLS // to this machine
	switch {
	case slices.Contains(server.Auth, "PLAIN"):
		l.Auth = smtp.PlainAuth("", c.User, c.Password, c.Host, plain)
	case slices.Contains(server.Auth, "LOGIN"):
		l.Auth = smtp.LoginAuth(c.User, c.Password, c.Host, plain)
	case slices.Contains(server.Auth, "CRAM-MD5"):
		l.Auth = smtp.CRAMMD5Auth(c.User, c.Password)
	default:
		return "", nil, errors.New("the server offers neither PLAIN nor LOGIN nor CRAM-MD5 to log in")
	}
	return l.Auth.Start(server)
}

// dialer opens one connection and remembers it, so that it can be closed at any time.
type dialer struct {
	config *Config

	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (d *dialer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, d.config.address())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.conn = conn
	closed := d.closed
	d.mu.Unlock()
	if closed {
		d.close()
		return nil, net.ErrClosed
	}
	if d.config.TLS != TLSImplicit {
		return conn, nil
	}
	secure := tls.Client(conn, d.config.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		d.close()
		return nil, err
	}
	return secure, nil
}

func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.conn != nil {
		_ = d.conn.Close()
	}
}
