package person_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/secret"
	"borealis/internal/platform/account/person"
	"borealis/internal/platform/account/person/password"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var (
	start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	keys  = sync.OnceValue(secret.Generate)
)

const good, other = "correct horse battery staple", "床前明月光疑是地上霜举头"

// courier keeps what it is given; like a real one it only believes what was committed.
type courier struct {
	mu       sync.Mutex
	messages []person.Message
	notices  []person.Notice
}

func (c *courier) Send(_ context.Context, tx *db.Tx, m person.Message) error {
	tx.AfterCommit(func() { c.mu.Lock(); defer c.mu.Unlock(); c.messages = append(c.messages, m) })
	return nil
}

func (c *courier) Notify(_ context.Context, tx *db.Tx, n person.Notice) error {
	tx.AfterCommit(func() { c.mu.Lock(); defer c.mu.Unlock(); c.notices = append(c.notices, n) })
	return nil
}

// last is the newest message to an address.
func (c *courier) last(t *testing.T, to string) person.Message {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range slices.Backward(c.messages) {
		if m.To == to {
			return m
		}
	}
	t.Fatalf("nothing was sent to %s", to)
	return person.Message{}
}

// notice is the newest of a kind to a person.
func (c *courier) notice(t *testing.T, kind string, user int64) person.Notice {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range slices.Backward(c.notices) {
		if n.Kind == kind && n.User == user {
			return n
		}
	}
	t.Fatalf("no notice %s to %d", kind, user)
	return person.Notice{}
}

type house struct {
	*person.Service
	t       *testing.T
	db      *db.DB
	clock   *clock.Fake
	courier *courier
	audit   *audit.Log
	agreed  sync.Map // user → account, by the hook
}

func cheap() password.Params {
	return password.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

func open(t *testing.T, d *db.DB, o person.Options, providers ...person.Provider) *house {
	t.Helper()
	ctx := context.Background()
	if err := errors.Join(audit.Migrate(ctx, d), person.Migrate(ctx, d)); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: d, clock: clock.NewFake(start), courier: &courier{}}
	h.audit = audit.New(h.clock, make([]byte, 32))
	o.Hash = cheap()
	if o.Origin == "" {
		o.Origin = "https://push.example.com"
	}
	var err error
	h.Service, err = person.New(person.Deps{DB: d, Keys: keys(), Audit: h.audit, Clock: h.clock, Log: slog.New(slog.DiscardHandler), Courier: h.courier, Options: o}, providers...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// each runs body on both engines, in platform mode.
func each(t *testing.T, body func(t *testing.T, h *house)) {
	t.Helper()
	eachWith(t, person.Options{Platform: true, CodesPerAddress: 100_000}, body)
}

func eachWith(t *testing.T, o person.Options, body func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { body(t, open(t, d, o)) })
}

func at(n int) person.Where {
	return person.Where{IP: netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}), Agent: "Firefox"}
}

func (h *house) hook() person.Hook {
	return func(_ context.Context, tx *db.Tx, r person.Registered) (map[string]string, error) {
		tx.AfterCommit(func() { h.agreed.Store(r.User, r.Account) })
		return map[string]string{"agreement": "v1"}, nil
	}
}

func ok[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func as[E error](t *testing.T, what string, err error) E {
	t.Helper()
	var e E
	if !errors.As(err, &e) {
		t.Errorf("%s: %v, want a %T", what, err, e)
	}
	return e
}

func form(n int) person.Form {
	return person.Form{Name: "张三", Email: fmt.Sprintf("user%d@example.com", n), Mobile: fmt.Sprintf("138001%05d", n)}
}

// draft begins a sign-up and proves its addresses.
func (h *house) draft(t *testing.T, f person.Form) string {
	t.Helper()
	ctx := context.Background()
	d := ok[*person.Draft](t)(h.Begin(ctx, f, at(1)))
	h.prove(t, d.Token, person.FieldEmail, f.Email)
	if f.Mobile != "" {
		h.prove(t, d.Token, person.FieldMobile, "+86"+f.Mobile)
	}
	return d.Token
}

func (h *house) prove(t *testing.T, draft, field, to string) {
	t.Helper()
	ctx := context.Background()
	channel := person.ChannelEmail
	if field == person.FieldMobile {
		channel = person.ChannelSMS
	}
	err := h.SendCode(ctx, draft, field, channel, at(1))
	if _, wait := errors.AsType[*person.WaitError](err); wait {
		h.clock.Advance(person.CodePause)
		err = h.SendCode(ctx, draft, field, channel, at(1))
	}
	must(t, err)
	must(t, h.Verify(ctx, draft, field, h.courier.last(t, to).Code))
}

// register makes a person with an account.
func (h *house) register(t *testing.T, n int, organisation bool) *person.SignedIn {
	t.Helper()
	in, _, err := h.Complete(context.Background(), person.Completion{Draft: h.draft(t, form(n)), Password: good, Hook: h.hook(), Organisation: organisation}, at(n))
	must(t, err)
	return in
}

func (h *house) session(t *testing.T, token string) *person.Session {
	t.Helper()
	return ok[*person.Session](t)(h.Authenticate(context.Background(), token))
}

// actor is a registered person in their own account, or in the given one.
func (h *house) actor(t *testing.T, token string, account int64) *gate.Actor {
	t.Helper()
	x := h.session(t, token)
	if account == 0 {
		account = ok[[]person.Member](t)(h.Accounts(context.Background(), x.User))[0].Account
	}
	return ok[*gate.Actor](t)(h.Actor(context.Background(), x, account))
}

func (h *house) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	must(t, h.db.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}
