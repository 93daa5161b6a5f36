package mail_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/mail"
	"borealis/internal/kernel/mail/mailtest"
)

func TestMessagesThatCannotBeSentNameTheField(t *testing.T) {
	for name, c := range map[string]struct {
		field  string
		change func(*mail.Message)
	}{
		"no recipient":           {"to", func(m *mail.Message) { m.To = "" }},
		"second recipient":       {"to", func(m *mail.Message) { m.To = "a@example.com, b@example.com" }},
		"header in recipient":    {"to", func(m *mail.Message) { m.To = "a@example.com>\r\nBcc: <b@example.com" }},
		"line in recipient":      {"to", func(m *mail.Message) { m.To = "a\r\n@example.com" }},
		"name in recipient":      {"to", func(m *mail.Message) { m.To = "A <a@example.com>" }},
		"header in subject":      {"subject", func(m *mail.Message) { m.Subject = "x\r\nBcc: b@example.com" }},
		"bare line feed":         {"subject", func(m *mail.Message) { m.Subject = "x\nBcc: b@example.com" }},
		"bare carriage return":   {"subject", func(m *mail.Message) { m.Subject = "x\rBcc: b@example.com" }},
		"unicode line separator": {"subject", func(m *mail.Message) { m.Subject = "x\u2028Bcc: b@example.com" }},
		"zero":                   {"subject", func(m *mail.Message) { m.Subject = "x\x00" }},
		"empty subject":          {"subject", func(m *mail.Message) { m.Subject = " " }},
		"long subject":           {"subject", func(m *mail.Message) { m.Subject = strings.Repeat("x", mail.MaxSubject+1) }},
		"no text":                {"text", func(m *mail.Message) { m.Text = "" }},
		"long text":              {"text", func(m *mail.Message) { m.Text = strings.Repeat("x", mail.MaxBody+1) }},
		"binary text":            {"text", func(m *mail.Message) { m.Text = "\xff" }},
		"zero in html":           {"html", func(m *mail.Message) { m.HTML = "a\x00b" }},
		"id with a header":       {"id", func(m *mail.Message) { m.ID = "x>\r\nBcc: b@example.com" }},
		"id with an @":           {"id", func(m *mail.Message) { m.ID = "x@y" }},
		"unsubscribe by http":    {"unsubscribe", func(m *mail.Message) { m.Unsubscribe = "http://x.example/" }},
		"unsubscribe, header":    {"unsubscribe", func(m *mail.Message) { m.Unsubscribe = "https://x.example/>\r\nBcc: b@example.com" }},
	} {
		t.Run(name, func(t *testing.T) {
			m := letter()
			c.change(m)
			fe, ok := errors.AsType[*mail.FieldError](m.Check())
			if !ok || fe.Field != c.field {
				t.Fatalf("error %v", m.Check())
			}
			s := mailtest.New(t, mailtest.Options{})
			if o := mailer(t, s, nil).Send(t.Context(), m); o.Class != mail.Permanent || s.Connections() != 0 {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"a@example.com": "a@example.com", "A.b+tag@Example.COM": "A.b+tag@example.com", "li@例子.公司": "li@xn--fsqu00a.xn--55qx5d",
		"": "", "a": "", "@x.example": "", "a@": "", "a@localhost": "", "a b@x.example": "", "a..b@x.example": "", ".a@x.example": "", "李@x.example": "",
		`"a b"@x.example`: "", "a@x.example\r\n": "", "a@[127.0.0.1]": "", "a@x_y.example": "", "a@x..example": "", "a@b@x.example": "",
		strings.Repeat("a", 65) + "@x.example": "", "a@" + strings.Repeat("a.", 130) + "example": "",
	} {
		got, err := mail.Address(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"zhang@example.com": "z***g@example.com", "li@example.com": "l***@example.com", "x": "***", "@x.example": "***"} {
		if got := mail.Mask(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// Whatever a subject or an address holds, the message has the headers it should have and no other, and one recipient.
func FuzzHeaders(f *testing.F) {
	f.Add("li@example.com", "hello", "id-1")
	f.Add("a@example.com\r\nBcc: x@example.com", "x\r\nBcc: y@example.com", "a>\r\nBcc: z@example.com")
	f.Add("a@例子.公司", "维护 =?utf-8?q?=0d=0aBcc:_x@example.com?=", "")
	f.Add("a@example.com", strings.Repeat("长", 160), "x")
	s := mailtest.New(f, mailtest.Options{})
	m, err := mail.New(mail.Config{Host: s.Host, Port: s.Port, TLS: mail.TLSNone, From: "no-reply@borealis.example"}, clock.NewFake(now))
	if err != nil {
		f.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Auto-Submitted", "X-Auto-Response-Suppress", "Content-Type", "Content-Transfer-Encoding"} {
		known[name] = true
	}
	f.Fuzz(func(t *testing.T, to, subject, id string) {
		before := len(s.Mails())
		msg := &mail.Message{To: to, Subject: subject, Text: "text", ID: id}
		o := m.Send(t.Context(), msg)
		if msg.Check() != nil {
			if o.Class != mail.Permanent || len(s.Mails()) != before {
				t.Fatalf("outcome %+v", o)
			}
			return
		}
		if o.Class != mail.Sent {
			t.Fatalf("outcome %+v", o)
		}
		got := s.Mails()[before]
		if len(got.To) != 1 {
			t.Fatalf("recipients %v", got.To)
		}
		parsed, err := netmail.ReadMessage(bytes.NewReader(got.Data))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range parsed.Header {
			if !known[name] || len(values) != 1 {
				t.Errorf("header %s: %q", name, values)
			}
		}
	})
}

func TestConfigurationsThatCannotWorkNameTheField(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	wrong := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, c := range map[string]struct {
		field  string
		change func(*mail.Config)
	}{
		"no host":                     {"host", func(c *mail.Config) { c.Host = "" }},
		"host with port":              {"host", func(c *mail.Config) { c.Host = "mail.example.com:25" }},
		"port":                        {"port", func(c *mail.Config) { c.Port = 65536 }},
		"policy":                      {"tls", func(c *mail.Config) { c.TLS = "ssl" }},
		"no sender":                   {"from", func(c *mail.Config) { c.From = "" }},
		"sender with a name":          {"from", func(c *mail.Config) { c.From = "B <b@example.com>" }},
		"name with a header":          {"from name", func(c *mail.Config) { c.FromName = "B\r\nBcc: x@example.com" }},
		"return path":                 {"return path", func(c *mail.Config) { c.ReturnPath = "x" }},
		"hello":                       {"hello", func(c *mail.Config) { c.Hello = "a b" }},
		"password without user":       {"user", func(c *mail.Config) { c.Password = "x" }},
		"password without encryption": {"tls", func(c *mail.Config) { c.TLS, c.User, c.Password = mail.TLSNone, "u", "p" }},
		"timeout":                     {"timeout", func(c *mail.Config) { c.Timeout = time.Hour }},
		"key":                         {"dkim key", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "example.com", Selector: "s", Key: "secret text"} }},
		"kind of key":                 {"dkim key", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "example.com", Selector: "s", Key: wrong} }},
		"other domain":                {"dkim domain", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "other.example", Selector: "s", Key: wrong} }},
		"part of the domain":          {"dkim domain", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "ample.com", Selector: "s", Key: wrong} }},
		"selector":                    {"dkim selector", func(c *mail.Config) { c.DKIM = &mail.DKIM{Domain: "example.com", Selector: "a b", Key: wrong} }},
	} {
		t.Run(name, func(t *testing.T) {
			config := mail.Config{Host: "mail.example.com", From: "b@example.com"}
			c.change(&config)
			_, err := mail.New(config, clock.System{})
			fe, ok := errors.AsType[*mail.FieldError](err)
			if !ok || fe.Field != c.field || strings.Contains(err.Error(), "secret text") {
				t.Errorf("error %v", err)
			}
		})
	}
}
