package mail_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/mail"
	"borealis/internal/kernel/mail/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 25, 15, 59, 58, 0, time.UTC)

func mailer(t *testing.T, s *mailtest.Server, change func(*mail.Config)) *mail.Mailer {
	t.Helper()
	c := mail.Config{Host: s.Host, Port: s.Port, TLS: mail.TLSNone, From: "no-reply@borealis.example", FromName: "极光 Borealis", Timeout: 5 * time.Second, Roots: s.Roots}
	if change != nil {
		change(&c)
	}
	m, err := mail.New(c, clock.NewFake(now))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func letter() *mail.Message {
	return &mail.Message{To: "li@example.com", Subject: "维护通知 · maintenance", Text: "第一行\n.点\nline two\n", HTML: "<p>第一行</p>", ID: "n-1.abc"}
}

// parts reads a multipart/alternative message.
func parts(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("type %q, %v", kind, err)
	}
	out := map[string]string{}
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = string(body)
	}
}

func TestAMessageArrivesAsItWasMeant(t *testing.T) {
	s := mailtest.New(t, mailtest.Options{})
	m := mailer(t, s, nil)
	msg := letter()
	msg.To = "Li@EXAMPLE.com"
	msg.Unsubscribe = "https://console.borealis.example/u/abc"
	o := m.Send(t.Context(), msg)
	if o.Class != mail.Sent || o.Code != 250 || o.ID != "n-1.abc" || o.Unsure {
		t.Fatalf("outcome %+v", o)
	}
	got := s.Mails()
	if len(got) != 1 {
		t.Fatalf("%d mails", len(got))
	}
	h := got[0].Header(t)
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != "维护通知 · maintenance" {
		t.Errorf("subject %q, %v", subject, err)
	}
	from, err := netmail.ParseAddress(h.Get("From"))
	if err != nil || from.Name != "极光 Borealis" || from.Address != "no-reply@borealis.example" {
		t.Errorf("from %v, %v", from, err)
	}
	for name, want := range map[string]string{
		"To": "<Li@example.com>", "Message-Id": "<n-1.abc@borealis.example>", "Auto-Submitted": "auto-generated", "Date": "Wed, 25 Nov 2026 15:59:58 +0000",
		"List-Unsubscribe": "<https://console.borealis.example/u/abc>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
	p := parts(t, got[0].Data)
	if p["text/plain"] != "第一行\r\n.点\r\nline two\r\n" && strings.ReplaceAll(p["text/plain"], "\r\n", "\n") != "第一行\n.点\nline two\n" {
		t.Errorf("text %q", p["text/plain"])
	}
	if p["text/html"] != "<p>第一行</p>" {
		t.Errorf("html %q", p["text/html"])
	}
	if got[0].From != "no-reply@borealis.example" || got[0].Encrypted {
		t.Errorf("envelope %+v", got[0])
	}
}

func TestTLSPolicies(t *testing.T) {
	with := func(policy string) func(*mail.Config) {
		return func(c *mail.Config) { c.TLS, c.User, c.Password = policy, "relay", "pass word" }
	}
	offers := mailtest.Options{StartTLS: true, User: "relay", Password: "pass word"}
	for name, c := range map[string]struct {
		server    mailtest.Options
		change    func(*mail.Config)
		sent      bool
		encrypted bool
	}{
		"starttls":                          {offers, with(mail.TLSStart), true, true},
		"opportunistic, offered":            {offers, with(mail.TLSOpportunistic), true, true},
		"opportunistic, not offered":        {mailtest.Options{}, func(c *mail.Config) { c.TLS = mail.TLSOpportunistic }, true, false},
		"implicit":                          {mailtest.Options{Implicit: true, User: "relay", Password: "pass word"}, with(mail.TLSImplicit), true, true},
		"starttls, not offered":             {mailtest.Options{}, func(c *mail.Config) { c.TLS = mail.TLSStart }, false, false},
		"starttls, unknown authority":       {offers, func(c *mail.Config) { with(mail.TLSStart)(c); c.Roots = nil }, false, false},
		"opportunistic, unknown authority":  {offers, func(c *mail.Config) { with(mail.TLSOpportunistic)(c); c.Roots = nil }, false, false},
		"implicit, unknown authority":       {mailtest.Options{Implicit: true}, func(c *mail.Config) { c.TLS, c.Roots = mail.TLSImplicit, nil }, false, false},
		"implicit asked, plain server":      {mailtest.Options{}, func(c *mail.Config) { c.TLS = mail.TLSImplicit }, false, false},
		"wrong password":                    {offers, func(c *mail.Config) { with(mail.TLSStart)(c); c.Password = "no" }, false, false},
		"no password where one is needed":   {offers, func(c *mail.Config) { c.TLS = mail.TLSStart }, false, false},
		"password where there is no log-in": {mailtest.Options{StartTLS: true}, with(mail.TLSStart), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := mailtest.New(t, c.server)
			m := mailer(t, s, c.change)
			o := m.Send(t.Context(), letter())
			if c.sent {
				if got := s.Mails(); o.Class != mail.Sent || len(got) != 1 || got[0].Encrypted != c.encrypted {
					t.Fatalf("outcome %+v, %d mails", o, len(got))
				}
				if err := m.Check(t.Context()); err != nil {
					t.Errorf("check: %v", err)
				}
				return
			}
			if o.Class != mail.Temporary || o.Unsure || o.Reason == "" || strings.Contains(o.Reason, "pass word") {
				t.Errorf("outcome %+v: our own trouble is temporary", o)
			}
			if len(s.Mails()) != 0 {
				t.Error("a mail was sent all the same")
			}
		})
	}
}

func TestRefusalsAreClassified(t *testing.T) {
	refuse := func(code int, text string) error { return mailtest.Refuse(code, code/100, 1, 1, text) }
	for name, c := range map[string]struct {
		o      mailtest.Options
		class  mail.Class
		code   int
		status string
		unsure bool
	}{
		"unknown mailbox":          {mailtest.Options{Recipient: func(to string) error { return refuse(550, to+" is unknown") }}, mail.Permanent, 550, "5.1.1", false},
		"greylisted":               {mailtest.Options{Recipient: func(string) error { return refuse(450, "later") }}, mail.Temporary, 450, "4.1.1", false},
		"full mailbox":             {mailtest.Options{Recipient: func(string) error { return refuse(552, "full") }}, mail.Temporary, 552, "5.1.1", false},
		"message refused":          {mailtest.Options{Data: func(*mailtest.Mail) error { return refuse(554, "spam") }}, mail.Permanent, 554, "5.1.1", false},
		"message put off":          {mailtest.Options{Data: func(*mailtest.Mail) error { return refuse(451, "busy") }}, mail.Temporary, 451, "4.1.1", false},
		"sender refused":           {mailtest.Options{Sender: func(string) error { return refuse(553, "not you") }}, mail.Temporary, 553, "5.1.1", false},
		"closing":                  {mailtest.Options{Sender: func(string) error { return refuse(421, "going down") }}, mail.Temporary, 421, "4.1.1", false},
		"greeting refused":         {mailtest.Options{Greet: func() error { return refuse(554, "no service") }}, mail.Temporary, 554, "5.1.1", false},
		"cut at the greeting":      {mailtest.Options{Greet: func() error { return mailtest.ErrHangup }}, mail.Temporary, 0, "", false},
		"cut at the sender":        {mailtest.Options{Sender: func(string) error { return mailtest.ErrHangup }}, mail.Temporary, 0, "", false},
		"cut at the recipient":     {mailtest.Options{Recipient: func(string) error { return mailtest.ErrHangup }}, mail.Temporary, 0, "", false},
		"cut before the answer":    {mailtest.Options{Data: func(*mailtest.Mail) error { return mailtest.ErrHangup }}, mail.Temporary, 0, "", true},
		"kept, cut before the 250": {mailtest.Options{Data: func(*mailtest.Mail) error { return mailtest.ErrKeepAndHangup }}, mail.Temporary, 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := mailtest.New(t, c.o)
			o := mailer(t, s, nil).Send(t.Context(), letter())
			if o.Class != c.class || o.Code != c.code || o.Status != c.status || o.Unsure != c.unsure || o.Reason == "" {
				t.Errorf("outcome %+v", o)
			}
			if strings.Contains(o.Reason, "li@example.com") {
				t.Errorf("the reason names the recipient: %q", o.Reason)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailtest.Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	_ = l.Close()
	m := mailer(t, s, nil)
	if o := m.Send(t.Context(), letter()); o.Class != mail.Temporary || o.Code != 0 || o.Unsure {
		t.Errorf("outcome %+v", o)
	}
	if m.Check(t.Context()) == nil {
		t.Error("the check is content")
	}
}

// A connection that ends after the 250 does not make the message unsent.
func TestSentStaysSentWhenTheConnectionEnds(t *testing.T) {
	s := mailtest.New(t, mailtest.Options{})
	m := mailer(t, s, nil)
	session := m.Session()
	defer session.Close()
	for i := range 3 {
		msg := letter()
		msg.ID = fmt.Sprint("n-", i)
		if o := session.Send(t.Context(), msg); o.Class != mail.Sent {
			t.Fatalf("message %d: %+v", i, o)
		}
		s.Disconnect() // the session finds its connection gone, and opens another
	}
	if len(s.Mails()) != 3 || s.Connections() != 3 {
		t.Errorf("%d mails over %d connections", len(s.Mails()), s.Connections())
	}
}

func TestASessionKeepsItsConnection(t *testing.T) {
	var mu sync.Mutex
	refused := map[string]error{"no@example.com": mailtest.Refuse(550, 5, 1, 1, "no"), "late@example.com": mailtest.Refuse(450, 4, 1, 1, "late")}
	s := mailtest.New(t, mailtest.Options{Recipient: func(to string) error { mu.Lock(); defer mu.Unlock(); return refused[to] }})
	session := mailer(t, s, nil).Session()
	defer session.Close()
	want := map[string]mail.Class{"a@example.com": mail.Sent, "no@example.com": mail.Permanent, "late@example.com": mail.Temporary, "b@example.com": mail.Sent}
	for _, to := range []string{"a@example.com", "no@example.com", "late@example.com", "b@example.com"} {
		msg := letter()
		msg.To = to
		if o := session.Send(t.Context(), msg); o.Class != want[to] {
			t.Errorf("%s: %+v", to, o)
		}
	}
	if s.Connections() != 1 || len(s.Mails()) != 2 {
		t.Errorf("%d mails over %d connections", len(s.Mails()), s.Connections())
	}
}

func TestAttemptsEnd(t *testing.T) {
	hold := make(chan struct{})
	var once sync.Once
	free := func() { once.Do(func() { close(hold) }) }
	s := mailtest.New(t, mailtest.Options{Data: func(*mailtest.Mail) error { <-hold; return mailtest.ErrHangup }})
	t.Cleanup(free)
	t.Run("with the timeout", func(t *testing.T) {
		m := mailer(t, s, func(c *mail.Config) { c.Timeout = 200 * time.Millisecond })
		if o := m.Send(t.Context(), letter()); o.Class != mail.Temporary || !o.Unsure {
			t.Errorf("outcome %+v", o)
		}
	})
	t.Run("with the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan mail.Outcome, 1)
		go func() {
			done <- mailer(t, s, func(c *mail.Config) { c.Timeout = time.Minute }).Send(ctx, letter())
		}()
		for s.Connections() < 2 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if o := <-done; o.Class != mail.Temporary {
			t.Errorf("outcome %+v", o)
		}
	})
	t.Run("in a greeting that does not come", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		silent := &mailtest.Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
		o := mailer(t, silent, func(c *mail.Config) { c.Timeout = 200 * time.Millisecond }).Send(t.Context(), letter())
		if o.Class != mail.Temporary || o.Unsure {
			t.Errorf("outcome %+v", o)
		}
	})
	free()
}

func TestSignaturesVerify(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key    any
		record string
	}{
		"rsa":     {rsaKey, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic)},
		"ed25519": {private, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := x509.MarshalPKCS8PrivateKey(c.key)
			if err != nil {
				t.Fatal(err)
			}
			s := mailtest.New(t, mailtest.Options{})
			m := mailer(t, s, func(cfg *mail.Config) {
				cfg.DKIM = &mail.DKIM{Domain: "borealis.example", Selector: "s1", Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
			})
			if o := m.Send(t.Context(), letter()); o.Class != mail.Sent {
				t.Fatalf("outcome %+v", o)
			}
			lookup := func(name string) ([]string, error) {
				if name != "s1._domainkey.borealis.example" {
					return nil, fmt.Errorf("asked for %s", name)
				}
				return []string{c.record}, nil
			}
			data := s.Mails()[0].Data
			verified, err := dkim.VerifyWithOptions(bytes.NewReader(data), &dkim.VerifyOptions{LookupTXT: lookup})
			if err != nil || len(verified) != 1 || verified[0].Err != nil || verified[0].Domain != "borealis.example" {
				t.Fatalf("verification %+v, %v", verified, err)
			}
			changed := bytes.Replace(data, []byte("line two"), []byte("line 2!!"), 1)
			verified, err = dkim.VerifyWithOptions(bytes.NewReader(changed), &dkim.VerifyOptions{LookupTXT: lookup})
			if err == nil && (len(verified) != 1 || verified[0].Err == nil) {
				t.Error("a changed message verifies")
			}
		})
	}
}
