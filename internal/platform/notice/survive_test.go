package notice

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/mail"
	"borealis/internal/kernel/mail/mailtest"
	"borealis/internal/kernel/secret"
)

const childEnv = "BOREALIS_NOTICE_CHILD"

// later is the clock of a process that starts after leases have ended.
type later struct{ by time.Duration }

func (l later) Now() time.Time { return time.Now().Add(l.by) }

// child is a process that accepts a notice and sends until it is killed.
func child() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	ctx := context.Background()
	number := func(name string) int {
		n, err := strconv.Atoi(os.Getenv(name))
		fail(err)
		return n
	}
	keys, err := secret.Load(os.Getenv("KEYS"))
	fail(err)
	testKeys = keys
	d, err := db.Open(ctx, db.Options{URL: os.Getenv("URL"), Path: os.Getenv("DBPATH"), MaxConns: 8})
	fail(err)
	fail(audit.Migrate(ctx, d))
	fail(Migrate(ctx, d))
	s := New(testDeps(nil, d, later{time.Duration(number("LATER")) * time.Minute}, "127.0.0.1", number("SMTP")))
	var people []Recipient
	for i := range number("PEOPLE") {
		people = append(people, Recipient{Email: fmt.Sprintf("u%d@example.com", i)})
	}
	n := balance("crash")
	n.Channels = []string{Email}
	_, err = s.Send(ctx, n, people)
	fail(err)
	fail(s.Run(ctx))
}

// A notice that was accepted reaches everybody although the process is killed again and again, and nobody gets more mails than there were
// attempts in the instants of the kills.
func TestNoticesSurviveKills(t *testing.T) {
	const people, kills = 230, 4
	for engine, open := range map[string]func(t *testing.T) []string{
		"sqlite":   func(t *testing.T) []string { return []string{"DBPATH=" + filepath.Join(t.TempDir(), "n.db")} },
		"postgres": func(t *testing.T) []string { return []string{"URL=" + dbtest.PostgresURL(t)} },
	} {
		t.Run(engine, func(t *testing.T) {
			keys := filepath.Join(t.TempDir(), "keys.json")
			if _, err := secret.Create(keys); err != nil {
				t.Fatal(err)
			}
			var limit atomic.Int64
			reached := make(chan struct{}, 1)
			var count atomic.Int64
			s := mailtest.New(t, mailtest.Options{Accepted: func(*mailtest.Mail) {
				if count.Add(1) >= limit.Load() {
					select {
					case reached <- struct{}{}:
					default:
					}
				}
			}})
			env := append(open(t), "KEYS="+keys, fmt.Sprint("SMTP=", s.Port), fmt.Sprint("PEOPLE=", people), childEnv+"=1")
			run := func(i int) (kill func()) {
				cmd := exec.Command(os.Args[0])
				cmd.Env, cmd.Stderr = append(append(os.Environ(), env...), fmt.Sprint("LATER=", i*10)), os.Stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
			}
			wait := func(what string) {
				select {
				case <-reached:
				case <-time.After(60 * time.Second):
					t.Fatalf("%s: %d mails", what, count.Load())
				}
			}
			for i := range kills {
				limit.Store(count.Load() + 10 + rand.Int64N(20))
				kill := run(i)
				wait("before the kill")
				kill()
				select {
				case <-reached:
				default:
				}
			}
			kill := run(kills)
			defer kill()
			missing := func() (n int) {
				got := map[string]bool{}
				for _, m := range s.Mails() {
					got[m.To[0]] = true
				}
				return people - len(got)
			}
			for end := time.Now().Add(60 * time.Second); missing() > 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d were never told", missing())
				}
			}
			if extra := len(s.Mails()) - people; extra > kills*mailWorkers {
				t.Errorf("%d mails too many after %d kills", extra, kills)
			}
			ids := map[string]string{}
			for _, m := range s.Mails() {
				id := m.Header(t).Get("Message-Id")
				if first := ids[m.To[0]]; first != "" && first != id {
					t.Errorf("a repeated mail has another id")
				}
				ids[m.To[0]] = id
			}
		})
	}
}

// Whatever servers answer, whenever reports come and nodes change: a mail is not sent again once the server has said 250; the deemed date is
// written once; every delivery ends, and everybody who can be told in the end has been.
func TestDeliveriesEndWell(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var (
			next     atomic.Pointer[error]
			accepted atomic.Int64
		)
		r := newRig(t, d, mailtest.Options{Data: func(*mailtest.Mail) error {
			if e := next.Load(); e != nil {
				return *e
			}
			accepted.Add(1)
			return nil
		}}, nil)
		key := 0
		answers := map[string]error{
			"sent": nil, "later": mailtest.Refuse(451, 4, 0, 0, "later"), "never": mailtest.Refuse(550, 5, 0, 0, "never"),
			"cut": mailtest.ErrHangup, "kept and cut": mailtest.ErrKeepAndHangup,
		}
		rapid.Check(t, func(rt *rapid.T) {
			key++
			accepted.Store(0)
			n := balance(fmt.Sprint("p", key))
			n.Channels = []string{Email}
			before := len(r.smtp.Mails())
			id := r.send(n, person(1))
			sms := rapid.SampledFrom([]mail.Class{mail.Sent, mail.Permanent}).Draw(rt, "sms")
			r.sms.answer = func(Text) TextOutcome { return TextOutcome{Class: sms} }
			var deemed int64
			check := func() Fact {
				f := r.fact(id)
				if deemed != 0 && f.DeemedAt != deemed {
					rt.Fatalf("deemed at %d, then %d", deemed, f.DeemedAt)
				}
				deemed = f.DeemedAt
				if accepted.Load() > 1 {
					rt.Fatalf("%d mails were accepted", accepted.Load())
				}
				return f
			}
			rt.Repeat(map[string]func(*rapid.T){
				"": func(*rapid.T) { check() },
				"attempt": func(rt *rapid.T) {
					name := rapid.SampledFrom([]string{"sent", "later", "never", "cut", "kept and cut"}).Draw(rt, "answer")
					if err := answers[name]; err != nil {
						next.Store(&err)
					} else {
						next.Store(nil)
					}
					r.due()
				},
				"time": func(rt *rapid.T) {
					r.fake.Advance(time.Duration(rapid.IntRange(1, 600).Draw(rt, "minutes")) * time.Minute)
				},
				"report": func(rt *rapid.T) {
					if mails := r.smtp.Mails(); len(mails) > before {
						if _, err := r.Bounced(t.Context(), bounceOf(t, mails[before], "failed")); err != nil {
							rt.Fatal(err)
						}
					}
				},
				"died": func(rt *rapid.T) { // another node has claimed, and died
					if err := r.tx(func(ctx context.Context, tx *db.Tx) error {
						now := r.now()
						_, err := take(ctx, tx, Email, now, now+60_000, 4)
						return err
					}); err != nil {
						rt.Fatal(err)
					}
				},
			})
			next.Store(nil)
			for range 3 {
				r.fake.Advance(13 * time.Hour)
				r.due()
			}
			f := check()
			for _, dl := range f.Deliveries {
				if dl.State == Waiting || dl.State == Prepared {
					rt.Fatalf("still waiting: %+v", f)
				}
			}
			if f.DeemedAt == 0 {
				rt.Fatalf("nobody was told: %+v", f)
			}
		})
	})
}

// Many nodes with one key make one notice; many workers send each mail once.
func TestManyAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		people := []Recipient{person(1), person(2), person(3)}
		ids := make(chan string, 8)
		for range 8 {
			go func() {
				id, err := r.Send(t.Context(), balance("one"), people)
				if err != nil {
					t.Error(err)
				}
				ids <- id
			}()
		}
		seen := map[string]bool{}
		for range 8 {
			seen[<-ids] = true
		}
		if len(seen) != 1 {
			t.Errorf("%d notices", len(seen))
		}
		for i := range 40 {
			n := balance(fmt.Sprint("n", i))
			n.Channels = []string{Email}
			r.send(n, person(int64(i+10)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		nodes := 2
		if d.Engine() == db.SQLite {
			nodes = 1 // there is one process
		}
		done := make(chan error, nodes)
		for range nodes {
			go func() { done <- r.Run(ctx) }()
		}
		for end := time.Now().Add(30 * time.Second); len(r.smtp.Mails()) < 43; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d mails", len(r.smtp.Mails()))
			}
		}
		cancel()
		for range nodes {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := len(r.smtp.Mails()); n != 43 {
			t.Errorf("%d mails", n)
		}
		var open int
		r.must(d.QueryRow(t.Context(), `select count(*) from notice_delivery where state <> 2 or leased`).Scan(&open))
		if open != 0 {
			t.Errorf("%d deliveries are not settled", open)
		}
	})
}
