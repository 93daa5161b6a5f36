package agreement_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/secret"
	"borealis/internal/platform/agreement"
	"borealis/internal/platform/agreement/agreementevent"
	"borealis/internal/platform/agreement/legaltext"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	day   = 24 * time.Hour
	staff = "user:1"
)

// fatal is what a test and a rapid check have in common.
type fatal interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world is an installation with its clock.
type world struct {
	db     *db.DB
	clock  *clock.Fake
	audit  *audit.Log
	keys   *secret.Keys
	s      *agreement.Service
	outbox *outbox.Outbox
	events []any
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{db: d, clock: clock.NewFake(time.UnixMilli(1_800_000_000_000)), keys: secret.Generate()}
	for _, migrate := range []func(context.Context, *db.DB) error{outbox.Migrate, audit.Migrate, agreement.Migrate} {
		if err := migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	w.audit = audit.New(w.clock, bytes.Repeat([]byte{7}, 32))
	w.outbox = outbox.New(d, w.clock, slog.New(slog.DiscardHandler))
	w.outbox.Subscribe("test", []string{
		agreementevent.TopicAnnounced, agreementevent.TopicWithdrawn, agreementevent.TopicEffective, agreementevent.TopicAccepted, agreementevent.TopicDeclined,
	}, w.consume)
	w.s = w.node(t)
	if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `create table test_account (id bigint primary key)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

// node is one more service on the same database.
func (w *world) node(t *testing.T) *agreement.Service {
	t.Helper()
	s, err := agreement.New(agreement.Deps{
		DB: w.db, Clock: w.clock, Audit: w.audit, Outbox: w.outbox, Keys: w.keys, Log: slog.New(slog.DiscardHandler), Hosts: []string{"console.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) consume(_ context.Context, _ *db.Tx, list []outbox.Event) error {
	for _, e := range list {
		var err error
		switch e.Topic {
		case agreementevent.TopicAnnounced:
			err = decode[agreementevent.Announced](w, e)
		case agreementevent.TopicWithdrawn:
			err = decode[agreementevent.Withdrawn](w, e)
		case agreementevent.TopicEffective:
			err = decode[agreementevent.Effective](w, e)
		case agreementevent.TopicAccepted:
			err = decode[agreementevent.Accepted](w, e)
		case agreementevent.TopicDeclined:
			err = decode[agreementevent.Declined](w, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func decode[T any](w *world, e outbox.Event) error {
	var v T
	if err := e.Decode(&v); err != nil {
		return err
	}
	w.events = append(w.events, v)
	return nil
}

// told are the events of one kind since the last call.
func told[T any](t *testing.T, w *world) []T {
	t.Helper()
	if err := w.outbox.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out []T
	w.events = slices.DeleteFunc(w.events, func(e any) bool {
		v, ok := e.(T)
		if ok {
			out = append(out, v)
		}
		return ok
	})
	return out
}

func (w *world) now() int64 { return clock.Millis(w.clock.Now()) }

// to moves the clock to a time.
func (w *world) to(ms int64) { w.clock.Advance(time.Duration(ms-w.now()) * time.Millisecond) }

func (w *world) tx(t fatal, fn db.TxFunc) {
	t.Helper()
	if err := w.db.InTx(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// text is a master of one of the usual codes.
func text(code, version string, class legaltext.Class, body string) *legaltext.Document {
	d := &legaltext.Document{Code: code, Locale: legaltext.Chinese, Version: version, Title: "文本", Body: "## 1. 条款\n\n" + body + "\n", Kind: legaltext.Rule, Order: 20, Class: class}
	switch code {
	case "user-agreement":
		d.Kind, d.Order = legaltext.Agreement, 10
	case "privacy-policy":
		d.Kind = legaltext.Privacy
	case "push-terms":
		d.Kind, d.Service = legaltext.ServiceTerm, "push"
	}
	return d
}

// translation is a translation of a master.
func translation(zh *legaltext.Document) *legaltext.Document {
	zh.Normalize()
	return &legaltext.Document{
		Code: zh.Code, Locale: legaltext.English, Version: zh.Version, Title: "Text", Body: "## 1. Terms of " + zh.Version + "\n",
		Purposes: zh.Purposes, Options: zh.Options, Source: zh.Hash(),
	}
}

// prepare brings texts up to the announcement.
func (w *world) prepare(t fatal, docs ...*legaltext.Document) []agreement.Ref {
	t.Helper()
	ctx := context.Background()
	var refs []agreement.Ref
	for _, d := range docs {
		v, err := w.s.Save(ctx, staff, d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.Review(ctx, "user:2", v.Code, v.Version, v.Hash); err != nil {
			t.Fatal(err)
		}
		if v, err = w.s.Translate(ctx, "user:3", translation(d)); err != nil || v.Stage != agreement.Translated {
			t.Fatal(v, err)
		}
		refs = append(refs, agreement.Ref{Code: v.Code, Version: v.Version})
	}
	return refs
}

// announce announces texts of one set for the earliest time.
func (w *world) announce(t fatal, docs ...*legaltext.Document) *agreement.Edition {
	t.Helper()
	e, err := w.s.Announce(context.Background(), staff, agreement.Announcement{Set: docs[0].Set(), Documents: w.prepare(t, docs...)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// found has first editions of the user agreement and the privacy policy.
func (w *world) found(t fatal) (contract, privacy *agreement.Edition) {
	t.Helper()
	ua := text("user-agreement", "1.0", legaltext.Commercial, "1.1 初版。")
	ua.Options = map[string]string{"logo_use": "使用标识"}
	pp := text("privacy-policy", "1.0", legaltext.PersonalData, "1.1 初版。")
	pp.Purposes = map[string]string{"product_news": "产品动态"}
	return w.announce(t, ua), w.announce(t, pp)
}

// hashes are those in effect of the sets of a registration.
func (w *world) hashes(t fatal) map[string]string {
	t.Helper()
	offers, err := w.s.SignUpOffer(context.Background(), legaltext.Chinese)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, o := range offers {
		out[o.Edition.Set] = o.Edition.Hash
	}
	return out
}

// register creates an account as package account would: row and acceptance in one transaction.
func (w *world) register(in agreement.SignUp) error {
	return w.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `insert into test_account (id) values ($1)`, in.Account); err != nil {
			return err
		}
		_, err := w.s.SignUp(ctx, tx, in)
		return err
	})
}

// join registers with what is in effect.
func (w *world) join(t fatal, account int64) {
	t.Helper()
	if err := w.register(agreement.SignUp{Account: account, Person: account, Hashes: w.hashes(t), Locale: legaltext.Chinese}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) exists(t fatal, account int64) bool {
	t.Helper()
	var n int64
	if err := w.db.QueryRow(context.Background(), `select count(*) from test_account where id = $1`, account).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func decision(account int64, e *agreement.Edition) agreement.Decision {
	return agreement.Decision{Account: account, Person: account, MaySign: true, Set: e.Set, Hash: e.Hash, Locale: legaltext.Chinese}
}

func (w *world) accept(in agreement.Decision) (a *agreement.Acceptance, err error) {
	err = w.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		a, err = w.s.Accept(ctx, tx, in)
		return err
	})
	return a, err
}

func (w *world) decline(in agreement.Decision) (a *agreement.Acceptance, err error) {
	err = w.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		a, err = w.s.Decline(ctx, tx, in)
		return err
	})
	return a, err
}

func (w *world) use(t fatal, account int64, kind agreement.UseKind, event string) []agreement.Acceptance {
	t.Helper()
	out, err := w.s.Used(context.Background(), agreement.Use{Account: account, Kind: kind, Event: event, Act: "GET /"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// boundAt is the number that bound an account, 0 for none; it fails if there is more than one.
func (w *world) boundAt(t fatal, account int64, set string, at int64) int64 {
	t.Helper()
	list, err := w.s.BoundAt(context.Background(), account, at)
	if err != nil {
		t.Fatal(err)
	}
	n, found := int64(0), 0
	for _, b := range list {
		if b.Set == set {
			n = b.Edition.Number
			found++
		}
	}
	if found > 1 {
		t.Fatalf("%d editions of %s bind account %d", found, set, account)
	}
	return n
}

func (w *world) due(t fatal, account int64, set string) agreement.Due {
	t.Helper()
	st := w.standing(t, account)
	for _, d := range st.Due {
		if d.Set == set {
			return d
		}
	}
	return agreement.Due{}
}

func (w *world) standing(t fatal, account int64) *agreement.Standing {
	t.Helper()
	st, err := w.s.Standing(context.Background(), account)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// fieldIs says whether err names the field.
func fieldIs(err error, field string) bool {
	fe, ok := errors.AsType[*agreement.FieldError](err)
	return ok && fe.Field == field
}

// currentOf is the hash that an error says to be right, "" if it says none.
func currentOf(err error, set string) string {
	he, ok := errors.AsType[*agreement.HashError](err)
	if !ok {
		return ""
	}
	for _, p := range he.Problems {
		if p.Set == set {
			return p.Current
		}
	}
	return ""
}

func version(n int) string { return fmt.Sprintf("%d.0", n) }
