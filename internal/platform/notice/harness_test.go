package notice

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/mail"
	"borealis/internal/kernel/mail/mailtest"
	"borealis/internal/kernel/secret"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	// Each check of the models runs dozens of real transactions; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	dbtest.Main(m)
}

// start is 23:00 in Shanghai.
var start = time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)

var testKeys = secret.Generate()

// texts is a provider of text messages that answers as told.
type texts struct {
	mu     sync.Mutex
	got    []Text
	answer func(Text) TextOutcome
}

func (p *texts) Text(_ context.Context, t Text) TextOutcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := TextOutcome{Class: mail.Sent, Code: "0", Reason: "ok"}
	if p.answer != nil {
		o = p.answer(t)
	}
	p.got = append(p.got, t)
	return o
}

func (p *texts) all() []Text {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Text(nil), p.got...)
}

// rig is a service with a real mail server, whose loop does not run.
type rig struct {
	*Service
	t    *testing.T
	fake *clock.Fake
	smtp *mailtest.Server
	sms  *texts
}

func newRig(t *testing.T, d *db.DB, o mailtest.Options, change func(*Deps)) *rig {
	t.Helper()
	for _, migrate := range []func(context.Context, *db.DB) error{audit.Migrate, Migrate} {
		if err := migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, fake: clock.NewFake(start), smtp: mailtest.New(t, o), sms: &texts{}}
	deps := testDeps(t, d, r.fake, r.smtp.Host, r.smtp.Port)
	deps.Texter = r.sms
	if change != nil {
		change(&deps)
	}
	r.Service = New(deps)
	return r
}

func testDeps(t *testing.T, d *db.DB, c clock.Clock, host string, port int) Deps {
	m, err := mail.New(mail.Config{Host: host, Port: port, TLS: mail.TLSNone, From: "no-reply@borealis.example", FromName: "Borealis", Timeout: 5 * time.Second}, c)
	if err != nil {
		t.Fatal(err)
	}
	return Deps{
		DB: d, Clock: c, Log: slog.New(slog.DiscardHandler), Keys: testKeys, Audit: audit.New(c, []byte("0123456789abcdef0123456789abcdef")), Mail: m,
		Hosts: []string{"console.borealis.example", "borealis.example"}, UnsubscribeURL: "https://console.borealis.example/u/",
		Contact: Contact{BrandZH: "北极光", BrandEN: "Borealis", Phone: "0755-0000000", Email: "support@borealis.example"},
	}
}

func (r *rig) tx(fn db.TxFunc) error { return r.db.InTx(r.t.Context(), fn) }

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// send accepts a notice and returns its id.
func (r *rig) send(n Notice, people ...Recipient) string {
	r.t.Helper()
	id, err := r.Send(r.t.Context(), n, people)
	r.must(err)
	return id
}

func (r *rig) due() {
	r.t.Helper()
	_, err := r.RunDue(r.t.Context())
	r.must(err)
}

func (r *rig) facts(id string) []Fact {
	r.t.Helper()
	list, err := r.Facts(r.t.Context(), id, 0, MaxPage)
	r.must(err)
	return list
}

func (r *rig) fact(id string) Fact {
	r.t.Helper()
	list := r.facts(id)
	if len(list) != 1 {
		r.t.Fatalf("%d facts, want one", len(list))
	}
	return list[0]
}

func (f *Fact) on(channel string) DeliveryFact {
	for _, d := range f.Deliveries {
		if d.Channel == channel {
			return d
		}
	}
	return DeliveryFact{State: -1}
}

// balance is a mandatory notice with a text message as fallback, statement one without.
func balance(key string) Notice {
	return Notice{Key: key, Code: "N-BALANCE-LOW", Actor: "system:test", Values: map[string]string{"amount": "12.50", "link": "https://console.borealis.example/pay"}}
}

func news(key, code string) Notice {
	return Notice{Key: key, Code: code, Actor: "system:test", Values: map[string]string{"headline": "新功能", "body": "多了一个功能", "link": "https://console.borealis.example/news"}}
}

func person(n int64) Recipient {
	return Recipient{User: n, Account: n, Owner: true, Locale: "zh", Email: "user" + strconv.FormatInt(n, 10) + "@example.com", Mobile: "+8613800138" + strconv.FormatInt(100+n, 10)}
}

func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
