package device

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

const installA, installB = "0b0e5c4e-8f6c-4a76-9c6b-000000000001", "0b0e5c4e-8f6c-4a76-9c6b-000000000002"

func TestRegistrationIsRepeatable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		first := n.register(1, Registration{InstallID: installA})
		if !first.New || len(first.RegistrationID) != 20 || len(first.Secret) != 24 {
			t.Errorf("first: %+v", first)
		}
		again := n.restart().register(1, Registration{InstallID: installA, Platform: audience.IOS, Device: Info{Model: "m2"}})
		if again.New || again.RegistrationID != first.RegistrationID || again.Secret != first.Secret {
			t.Errorf("again: %+v, first %+v", again, first)
		}
		if p := n.profile(1, first.Ordinal); p.Info.Model != "m2" || p.Platform != audience.IOS {
			t.Errorf("profile %+v", p)
		}
		if other := n.register(1, Registration{InstallID: installB}); other.Ordinal == first.Ordinal {
			t.Error("another installation got the same device")
		}
		if other := n.register(2, Registration{InstallID: installA}); !other.New || other.RegistrationID == first.RegistrationID {
			t.Errorf("in another app: %+v", other)
		}
		if one, two := n.register(1, Registration{}), n.register(1, Registration{}); one.Ordinal == two.Ordinal {
			t.Error("registrations without an installation got the same device")
		}
		// A secret keeps the identity under a new installation id, which then is the device's.
		kept := n.register(1, Registration{InstallID: "0b0e5c4e-8f6c-4a76-9c6b-000000000003", RegistrationID: first.RegistrationID, Secret: first.Secret})
		if kept.Ordinal != first.Ordinal {
			t.Errorf("kept: %+v", kept)
		}
		if moved := n.register(1, Registration{InstallID: "0b0e5c4e-8f6c-4a76-9c6b-000000000003"}); moved.Ordinal != first.Ordinal {
			t.Errorf("the new installation id gives %+v", moved)
		}
		if left := n.register(1, Registration{InstallID: installA}); !left.New {
			t.Error("the old installation id still gives the device")
		}
	})
}

func TestConcurrentRegistrationsOfOneInstallation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		out := make(chan Registered, 8)
		for range cap(out) {
			go func() {
				r, err := n.Register(context.Background(), n.app(1), Registration{InstallID: installA, Platform: audience.Web})
				if err != nil {
					t.Error(err)
				}
				out <- r
			}()
		}
		fresh := 0
		ids := map[string]bool{}
		for range cap(out) {
			r := <-out
			ids[r.RegistrationID] = true
			if r.New {
				fresh++
			}
		}
		if len(ids) != 1 || fresh != 1 {
			t.Errorf("%d ids, %d times new", len(ids), fresh)
		}
	})
}

func TestRegistrationRefusals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		good := n.register(1, Registration{InstallID: installA})
		stranger := n.register(2, Registration{InstallID: installA})
		off := n.publish(3, func(a *gate.App) { a.State = gate.Suspended })
		rows := func() (k int) {
			if err := d.QueryRow(ctx, `select count(*) from device_device`).Scan(&k); err != nil {
				t.Fatal(err)
			}
			return k
		}
		before := rows()
		for name, c := range map[string]struct {
			app  *gate.App
			reg  Registration
			want Kind
		}{
			"no app":             {nil, Registration{Platform: audience.Web}, UnknownApp},
			"suspended":          {off, Registration{Platform: audience.Web}, AppDisabled},
			"no platform":        {n.app(1), Registration{}, Invalid},
			"platform too great": {n.app(1), Registration{Platform: 77}, Invalid},
			"short install id":   {n.app(1), Registration{Platform: audience.Web, InstallID: "abc"}, Invalid},
			"bad UTF-8":          {n.app(1), Registration{Platform: audience.Web, Device: Info{Model: "\xff"}}, Invalid},
			"NUL":                {n.app(1), Registration{Platform: audience.Web, Package: "a\x00b"}, Invalid},
			"long text":          {n.app(1), Registration{Platform: audience.Web, Device: Info{OSVersion: string(make([]byte, 200))}}, Invalid},
			"zone":               {n.app(1), Registration{Platform: audience.Web, Device: Info{Timezone: "Asia Shanghai"}}, Invalid},
			"secret alone":       {n.app(1), Registration{Platform: audience.Web, Secret: good.Secret}, Invalid},
			"wrong secret":       {n.app(1), Registration{Platform: audience.Web, RegistrationID: good.RegistrationID, Secret: stranger.Secret}, WrongCredentials},
			"of another app":     {n.app(1), Registration{Platform: audience.Web, RegistrationID: stranger.RegistrationID, Secret: stranger.Secret}, WrongCredentials},
		} {
			_, err := n.Register(ctx, c.app, c.reg)
			if !IsKind(err, c.want) {
				t.Errorf("%s: got %v, want kind %d", name, err, c.want)
			}
		}
		if rows() != before {
			t.Error("a refused registration was stored")
		}
	})
}

func TestHookFailureUndoesRegistration(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		broken := errors.New("broken")
		var calls []uint32
		n.OnRegistered = func(_ context.Context, _ *db.Tx, _ int64, ordinal uint32, p audience.Platform) error {
			if p == audience.IoT {
				return broken
			}
			calls = append(calls, ordinal)
			return nil
		}
		if _, err := n.Register(context.Background(), n.app(1), Registration{Platform: audience.IoT, InstallID: installA}); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		got := n.register(1, Registration{InstallID: installA})
		if !got.New || got.Ordinal != 1 || !slices.Equal(calls, []uint32{1}) {
			t.Errorf("registered %+v, hook saw %v", got, calls)
		}
	})
}

func TestSignedRegistration(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	app := n.publish(1, func(a *gate.App) { a.Settings.Registration = "signed" })
	soon := clock.Millis(start.Add(time.Minute))
	sign := func(secret string, c Claims) string {
		s, err := Sign(secret, c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := sign(masterSecret, Claims{InstallID: installA, Exp: soon})
	for name, s := range map[string]string{
		"none":         "",
		"no dot":       "abc",
		"wrong secret": sign("another", Claims{InstallID: installA, Exp: soon}),
		"other device": sign(masterSecret, Claims{InstallID: installB, Exp: soon}),
		"no device":    sign(masterSecret, Claims{Exp: soon}),
		"expired":      sign(masterSecret, Claims{InstallID: installA, Exp: clock.Millis(start)}),
		"for years":    sign(masterSecret, Claims{InstallID: installA, Exp: clock.Millis(start.Add(9000 * time.Hour))}),
		"changed":      "e" + good,
	} {
		_, err := n.Register(context.Background(), app, Registration{Platform: audience.Web, InstallID: installA, Signature: s})
		if !IsKind(err, Denied) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	out := n.register(1, Registration{InstallID: installA, Signature: good})
	if kept := n.register(1, Registration{RegistrationID: out.RegistrationID, Secret: out.Secret}); kept.Ordinal != out.Ordinal {
		t.Errorf("kept %+v", kept)
	}
}

// The fence, not the clock, orders the connections of successive owners.
func TestConnectionNumbersFollowTheFence(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	dev := n.register(1, Registration{})
	var (
		fence int64 = 3
		err   error
		last  uint64
	)
	owner := func(n *node) *node {
		n.Fence = func(app int64) (int64, error) {
			if app != 1 {
				t.Errorf("asked for the fence of app %d", app)
			}
			return fence, err
		}
		return n
	}
	rises := func(n *node) {
		t.Helper()
		for range 3 {
			c := n.connect(1, dev)
			if c.Refusal != edgewire.Admitted || c.Conn <= last {
				t.Errorf("refusal %d, number %d after %d", c.Refusal, c.Conn, last)
			}
			last = c.Conn
		}
	}
	first := owner(n)
	rises(first)
	second := owner(first.restart())
	second.clock.Advance(-time.Hour)
	fence++
	rises(second)
	fence++
	rises(first)
	err = errors.New("lost")
	if c := first.connect(1, dev); c.Refusal != edgewire.Unavailable || c.Conn != 0 {
		t.Errorf("without the app: refusal %d, number %d", c.Refusal, c.Conn)
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		var joins int
		n.OnJoined = func(context.Context, *db.Tx, int64, uint32, audience.Platform) error { joins++; return nil }
		dev := n.register(1, Registration{})
		if got := n.who(1, audience.Expr{All: true}); len(got) != 0 {
			t.Errorf("a pending device is in the audience: %v", got)
		}
		one := n.connect(1, dev)
		if one.Refusal != edgewire.Admitted || !slices.Equal(n.who(1, audience.Expr{All: true}), []uint32{dev.Ordinal}) {
			t.Errorf("connected %+v, audience %v", one, n.who(1, audience.Expr{All: true}))
		}
		two := n.connect(1, dev) // the clock stands still
		if two.Conn <= one.Conn || joins != 1 {
			t.Errorf("connection numbers %d, %d; joined %d times", one.Conn, two.Conn, joins)
		}
		n.clock.Advance(time.Second)
		if later := n.restart().connect(1, dev); later.Conn <= two.Conn {
			t.Errorf("connection number %d after %d", later.Conn, two.Conn)
		}
		for name, c := range map[string]edgewire.Connect{
			"generation": {App: 1, Epoch: 1, Ordinal: dev.Ordinal, Generation: 2},
			"epoch":      {App: 1, Epoch: 2, Ordinal: dev.Ordinal, Generation: 1},
			"ordinal":    {App: 1, Epoch: 1, Ordinal: dev.Ordinal + 1, Generation: 1},
			"zero":       {App: 1, Epoch: 0, Ordinal: 0, Generation: 1},
			"app":        {App: 9, Epoch: 1, Ordinal: dev.Ordinal, Generation: 1},
		} {
			if got := n.Connect(ctx, c); got.Refusal != edgewire.BadCredentials {
				t.Errorf("wrong %s: %+v", name, got)
			}
		}
		secret, err := n.Revoke(ctx, n.app(1), dev.Ordinal)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.connect(1, dev); got.Refusal != edgewire.BadCredentials {
			t.Errorf("revoked secret: %+v", got)
		}
		dev.Secret = secret
		if got := n.connect(1, dev); got.Refusal != edgewire.Admitted {
			t.Errorf("new secret: %+v", got)
		}
		n.publish(1, func(a *gate.App) { a.State = gate.Disabled })
		if got := n.connect(1, dev); got.Refusal != edgewire.NotAuthorized {
			t.Errorf("disabled app: %+v", got)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		dev := n.register(1, Registration{InstallID: installA})
		n.connect(1, dev)
		if err := n.set(1, dev.Ordinal, ProfileChange{Tags: &Tags{Add: []string{"a"}}, Alias: new("me"), Mobile: new("13800000000")}); err != nil {
			t.Fatal(err)
		}
		if err := n.PutToken(ctx, n.app(1), dev.Ordinal, Token{Channel: "fcm", Token: "t"}); err != nil {
			t.Fatal(err)
		}
		if err := n.Delete(ctx, 1, dev.Ordinal); err != nil {
			t.Fatal(err)
		}
		if got := n.connect(1, dev); got.Refusal != edgewire.BadCredentials {
			t.Errorf("connected: %+v", got)
		}
		if got := n.who(1, audience.Expr{Alias: []string{"me"}}); len(got) != 0 {
			t.Errorf("audience %v", got)
		}
		if _, unknown := n.Resolve(n.app(1), []string{dev.RegistrationID}); len(unknown) != 1 {
			t.Error("the id still resolves")
		}
		wantKind(t, n.Delete(ctx, 1, dev.Ordinal), UnknownDevice)
		wantKind(t, n.set(1, dev.Ordinal, ProfileChange{Alias: new("b")}), UnknownDevice)
		var mobile, alias string
		if err := d.QueryRow(ctx, `select mobile, alias from device_device where ordinal = $1`, int64(dev.Ordinal)).Scan(&mobile, &alias); err != nil || mobile != "" || alias != "" {
			t.Errorf("left: %q %q (%v)", mobile, alias, err)
		}
		if tokens, err := n.Tokens(ctx, 1, dev.Ordinal); err != nil || len(tokens) != 0 {
			t.Errorf("left: %v (%v)", tokens, err)
		}
		if next := n.register(1, Registration{InstallID: installA}); !next.New || next.Ordinal == dev.Ordinal {
			t.Errorf("registered again: %+v", next)
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		lost, stays := n.register(1, Registration{InstallID: installA}), n.joined(1, audience.IOS)
		n.clock.Advance(time.Hour)
		late := n.register(2, Registration{})
		n.clock.Advance(23*time.Hour - time.Millisecond)
		if k, err := n.Sweep(ctx); k != 0 || err != nil {
			t.Errorf("too early: %d (%v)", k, err)
		}
		n.clock.Advance(time.Millisecond)
		if k, err := n.Sweep(ctx); k != 1 || err != nil {
			t.Errorf("swept %d (%v)", k, err)
		}
		var rows int
		if err := d.QueryRow(ctx, `select count(*) from device_device`).Scan(&rows); err != nil || rows != 2 {
			t.Errorf("%d rows are left (%v)", rows, err)
		}
		if _, unknown := n.Resolve(n.app(1), []string{lost.RegistrationID, stays.RegistrationID}); !slices.Equal(unknown, []string{lost.RegistrationID}) {
			t.Errorf("unknown: %v", unknown)
		}
		if got := n.connect(2, late); got.Refusal != edgewire.Admitted {
			t.Errorf("the later one: %+v", got)
		}
		if got := n.connect(1, lost); got.Refusal != edgewire.BadCredentials {
			t.Errorf("the expired one: %+v", got)
		}
		if again := n.register(1, Registration{InstallID: installA}); !again.New || again.Ordinal == lost.Ordinal {
			t.Errorf("registered again: %+v", again)
		}
	})
}
