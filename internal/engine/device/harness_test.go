package device

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/secret"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const masterSecret = "0123456789abcdefghijABCD"

// node is one process: a registry over a database that others may share.
type node struct {
	*Registry
	t      testing.TB
	db     *db.DB
	clock  *clock.Fake
	keys   *secret.Keys
	online map[uint32]bool
}

// Online makes the test's list the presence.
func (n *node) Online(_ int64, ordinal uint32) bool { return n.online[ordinal] }

var start = time.Date(2027, 2, 28, 12, 0, 0, 0, time.UTC)

func newNode(t testing.TB, d *db.DB) *node {
	t.Helper()
	ctx := context.Background()
	for _, migrate := range []func(context.Context, *db.DB) error{audience.Migrate, Migrate} {
		if err := migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	return openNode(t, d, clock.NewFake(start), secret.Generate())
}

func openNode(t testing.TB, d *db.DB, c *clock.Fake, keys *secret.Keys) *node {
	t.Helper()
	ids, err := deviceid.New(keys.Derive("rid/v1"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	n := &node{t: t, db: d, clock: c, keys: keys, online: map[uint32]bool{}}
	n.Registry, err = New(Deps{DB: d, Audience: audience.New(d, nil, NewRows(d), c, log), Gate: gate.New(nil), IDs: ids, Sealer: keys,
		Clock: c, Log: log, Presence: n})
	if err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= 3; id++ {
		n.publish(id, nil)
	}
	return n
}

// restart is a new process over the same database.
func (n *node) restart() *node { return openNode(n.t, n.db, n.clock, n.keys) }

var revision atomic.Int64

// publish makes an app known, with settings changed by set.
func (n *node) publish(id int64, set func(*gate.App)) *gate.App {
	app := gate.App{ID: id, Key: fmt.Sprintf("app%021d", id), SecretHash: sha256.Sum256([]byte(masterSecret)), State: gate.Enabled,
		Settings: gate.DefaultSettings(), Revision: revision.Add(1)}
	if set != nil {
		set(&app)
	}
	n.Gate.Publish(app)
	return n.Gate.AppByID(id)
}

func (n *node) app(id int64) *gate.App { return n.Gate.AppByID(id) }

func (n *node) register(app int64, reg Registration) Registered {
	n.t.Helper()
	if reg.Platform == 0 {
		reg.Platform = audience.Android
	}
	out, err := n.Register(context.Background(), n.app(app), reg)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// joined is a new device after its first connection.
func (n *node) joined(app int64, p audience.Platform) Registered {
	n.t.Helper()
	out := n.register(app, Registration{Platform: p})
	if c := n.connect(app, out); c.Refusal != edgewire.Admitted {
		n.t.Fatalf("not admitted: %d", c.Refusal)
	}
	return out
}

func (n *node) connect(app int64, d Registered) edgewire.Connected {
	ref, err := n.IDs.Parse(app, d.RegistrationID)
	if err != nil {
		n.t.Fatal(err)
	}
	generation, ok := n.IDs.CheckSecret(app, ref, d.Secret)
	if !ok {
		n.t.Fatal("the secret is not the device's")
	}
	return n.Connect(context.Background(), edgewire.Connect{Edge: "e", App: app, Epoch: ref.Epoch, Ordinal: ref.Ordinal, Generation: generation})
}

func (n *node) set(app int64, ordinal uint32, c ProfileChange) error {
	return n.SetProfile(context.Background(), n.app(app), ordinal, c, ByServer)
}

func (n *node) profile(app int64, ordinal uint32) Profile {
	n.t.Helper()
	p, err := n.Profile(context.Background(), app, ordinal)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// who evaluates an expression after a Sync.
func (n *node) who(app int64, e audience.Expr) []uint32 {
	n.t.Helper()
	if e.Platforms == 0 {
		e.Platforms = audience.AllPlatforms
	}
	if err := n.Audience.Sync(context.Background(), app); err != nil {
		n.t.Fatal(err)
	}
	set, err := n.Audience.Evaluate(app, e)
	if err != nil {
		n.t.Fatal(err)
	}
	return set.ToArray()
}

func wantKind(t testing.TB, err error, kind Kind) {
	t.Helper()
	if !IsKind(err, kind) {
		t.Errorf("got %v, want a refusal of kind %d", err, kind)
	}
}
