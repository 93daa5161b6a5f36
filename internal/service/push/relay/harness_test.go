package relay

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/lease"
	"borealis/internal/kernel/secret"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	appKey       = "7d431e42dfa6a6d693ac2d04"
	vendorSecret = "5e987ac6d2e04d95a9d8f0d1"
	rawPush      = `{"platform":["android","ios","web"],"audience":{"tag":["vip"]},"notification":{"alert":"<a & b>"},"cid":"mine","callback":{"url":"https://x.example"},` +
		`"options":{"sendno":7,"time_to_live":600,"override_msg_id":12,"big_push_duration":10,"apns_production":false}}`
)

var start = time.Date(2027, 2, 28, 12, 0, 0, 0, time.UTC)

// node is one process that relays: a service over a database that others may share. It is also its own parent.
type node struct {
	*Service
	t       testing.TB
	clock   *clock.Fake
	devices *device.Registry
	leases  *lease.Keeper
	keys    *secret.Keys
	name    string

	mu      sync.Mutex
	settled map[int64]*roaring.Bitmap
	refuse  error
}

// Settle is what the push service does.
func (n *node) Settle(_ context.Context, app, msg int64, ordinals []uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if app != 1 {
		n.t.Errorf("settled for app %d", app)
	}
	if n.refuse != nil {
		return n.refuse
	}
	if n.settled[msg] == nil {
		n.settled[msg] = roaring.New()
	}
	n.settled[msg].AddMany(ordinals)
	return nil
}

func newNode(t testing.TB, d *db.DB, v *fakeVendor) *node {
	t.Helper()
	ctx := context.Background()
	if err := errors.Join(audience.Migrate(ctx, d), device.Migrate(ctx, d), lease.Migrate(ctx, d), Migrate(ctx, d)); err != nil {
		t.Fatal(err)
	}
	n := openNode(t, d, clock.NewFake(start), secret.Generate(), "a")
	if err := n.accounts().Set(ctx, 1, Account{URL: v.URL, Key: appKey}); err != nil {
		t.Fatal(err)
	}
	return n
}

func openNode(t testing.TB, d *db.DB, c *clock.Fake, keys *secret.Keys, name string) *node {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	ids, err := deviceid.New(keys.Derive("rid"))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, clock: c, keys: keys, name: name, settled: map[int64]*roaring.Bitmap{}}
	g := gate.New(nil)
	n.devices, err = device.New(device.Deps{DB: d, Audience: audience.New(d, nil, device.NewRows(d), c, log), Gate: g, IDs: ids, Sealer: keys, Clock: c, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	n.leases = lease.New(d, c, log, "push", name, edgewire.Partitions, lease.Events{Acquired: func(context.Context, int, int64) {}, Lost: func(int) {}})
	n.Service = New(Deps{DB: d, Gate: g, Devices: n.devices, Leases: n.leases, Sealer: keys, Clock: c, Log: log,
		Secret: func(context.Context, string) (string, error) { return vendorSecret, nil }})
	n.set(true)
	return n
}

var revision atomic.Int64

// set switches relaying on or off.
func (n *node) set(on bool) {
	s := gate.DefaultSettings()
	s.RelayJPush = on
	n.Gate.Publish(gate.App{ID: 1, Key: appKey, SecretHash: sha256.Sum256([]byte(vendorSecret)), State: gate.Enabled, Settings: s, Revision: revision.Add(1)})
}

func (n *node) accounts() Accounts { return Accounts{DB: n.DB, Sealer: n.keys} }

// restart is the next process of the same name.
func (n *node) restart() *node { return openNode(n.t, n.DB, n.clock, n.keys, n.name) }

func oldID(i int) string { return fmt.Sprintf("1507bfd3f7c%08d", i) }

// imports makes devices 1 to count known.
func (n *node) imports(count int) {
	n.t.Helper()
	for from := 1; from <= count; from += device.MaxImport {
		var list []device.Imported
		for i := from; i <= min(count, from+device.MaxImport-1); i++ {
			list = append(list, device.Imported{ID: oldID(i)})
		}
		if _, err := n.devices.Import(context.Background(), n.Gate.AppByID(1), list, false); err != nil {
			n.t.Fatal(err)
		}
	}
}

// claims moves a device over.
func (n *node) claims(i int) {
	n.t.Helper()
	install := fmt.Sprintf("installation-%08d", i)
	signature, err := device.Sign(vendorSecret, device.Claims{InstallID: install, ImportedID: oldID(i), Exp: clock.Millis(n.clock.Now().Add(time.Hour))})
	if err == nil {
		_, err = n.devices.Register(context.Background(), n.Gate.AppByID(1),
			device.Registration{InstallID: install, ImportedID: oldID(i), Platform: audience.Android, Signature: signature})
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// record accepts a message for all that are unclaimed, with an hour to live.
func (n *node) record(msg, override int64) {
	n.t.Helper()
	ctx := context.Background()
	set, err := n.devices.Unclaimed(ctx, 1)
	if err != nil {
		n.t.Fatal(err)
	}
	now := clock.Millis(n.clock.Now())
	err = n.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return n.Record(ctx, tx, Message{App: 1, ID: msg, Raw: []byte(rawPush), Override: override, AcceptedAt: now, ExpiresAt: now + time.Hour.Milliseconds(), Devices: set})
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// work does a round as the owner of everything, and waits for it.
func (n *node) work() {
	n.t.Helper()
	n.workAs(context.Background())
}

func (n *node) workAs(ctx context.Context) {
	n.t.Helper()
	if err := n.leases.Renew(context.Background()); err != nil {
		n.t.Fatal(err)
	}
	if err := n.round(ctx, n); err != nil {
		n.t.Fatal(err)
	}
	n.turns.Wait()
}

func (n *node) results(msg int64) Results {
	n.t.Helper()
	r, err := n.Results(context.Background(), 1, msg)
	if err != nil || r == nil {
		n.t.Fatalf("results of %d: %v, %v", msg, r, err)
	}
	return *r
}

func (n *node) settledOf(msg int64) []uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.settled[msg] == nil {
		return nil
	}
	return n.settled[msg].ToArray()
}
