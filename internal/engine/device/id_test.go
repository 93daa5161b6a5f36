package device

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		if _, unknown := n.Resolve(n.app(1), []string{"x"}); len(unknown) != 1 {
			t.Error("an app without devices knows one")
		}
		a, b := n.joined(1, audience.IOS), n.register(1, Registration{})
		foreign := n.joined(2, audience.IOS) // ordinal 1 as well
		never := n.IDs.ID(1, deviceid.Ref{Epoch: 1, Ordinal: 77})
		later := n.IDs.ID(1, deviceid.Ref{Epoch: 2, Ordinal: 1})
		ids := []string{b.RegistrationID, foreign.RegistrationID, a.RegistrationID, "", never, "zz", later, b.RegistrationID}
		for _, n := range []*node{n, n.restart()} {
			ordinals, unknown := n.Resolve(n.app(1), ids)
			if !slices.Equal(ordinals, []uint32{b.Ordinal, a.Ordinal, b.Ordinal}) ||
				!slices.Equal(unknown, []string{foreign.RegistrationID, "", never, "zz", later}) {
				t.Errorf("resolved %v, unknown %q", ordinals, unknown)
			}
			if n.ID(1, a.Ordinal) != a.RegistrationID || n.ID(2, foreign.Ordinal) != foreign.RegistrationID {
				t.Error("an ordinal's id is not the one it was registered with")
			}
		}
	})
}

// After a restore, ids that the lost database issued are void, and their ordinals come back under other ids.
func TestEpochs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		kept := n.joined(1, audience.IOS)
		lost := n.IDs.ID(1, deviceid.Ref{Epoch: 1, Ordinal: 2}) // issued after the backup
		if e, err := n.RaiseEpoch(ctx, 0); e != 2 || err != nil {
			t.Fatalf("epoch %d (%v)", e, err)
		}
		fresh := n.joined(1, audience.IOS)
		if fresh.Ordinal != 2 || fresh.RegistrationID == lost {
			t.Errorf("registered %+v", fresh)
		}
		newApp := n.joined(2, audience.IOS)
		for _, n := range []*node{n, n.restart()} {
			ordinals, unknown := n.Resolve(n.app(1), []string{kept.RegistrationID, lost, fresh.RegistrationID})
			if !slices.Equal(ordinals, []uint32{1, 2}) || !slices.Equal(unknown, []string{lost}) {
				t.Errorf("resolved %v, unknown %q", ordinals, unknown)
			}
			if got := n.connect(1, Registered{RegistrationID: lost, Secret: n.IDs.Secret(1, deviceid.Ref{Epoch: 1, Ordinal: 2}, 1)}); got.Refusal != edgewire.BadCredentials {
				t.Errorf("a lost device: %+v", got)
			}
			for app, dev := range map[int64]Registered{1: fresh, 2: newApp} {
				if got := n.connect(app, dev); got.Refusal != edgewire.Admitted {
					t.Errorf("a new device: %+v", got)
				}
			}
			if got := n.connect(1, kept); got.Refusal != edgewire.Admitted {
				t.Errorf("a device of the backup: %+v", got)
			}
		}
		// What the backend signed for the lost device is no good for the one that has its number now.
		app := n.publish(1, func(a *gate.App) { a.Settings.DeviceAlias = "server" })
		for id, want := range map[string]bool{lost: false, fresh.RegistrationID: true} {
			signature, err := Sign(masterSecret, Claims{RegistrationID: id, Alias: "u", Exp: clock.Millis(start.Add(time.Hour))})
			if err != nil {
				t.Fatal(err)
			}
			err = n.SetProfile(ctx, app, fresh.Ordinal, ProfileChange{Alias: new("u"), AliasSignature: signature}, ByDevice)
			if (err == nil) != want || err != nil && !IsKind(err, Denied) {
				t.Errorf("alias signed for %s: %v", id, err)
			}
		}
		// Restoring the same backup again: the caller remembers that 7 was reached.
		if e, err := n.RaiseEpoch(ctx, 7); e != 8 || err != nil {
			t.Errorf("epoch %d (%v)", e, err)
		}
		if e, err := n.RaiseEpoch(ctx, 0); e != 9 || err != nil {
			t.Errorf("epoch %d (%v)", e, err)
		}
		if e, err := n.Epoch(ctx); e != 9 || err != nil {
			t.Errorf("epoch %d (%v)", e, err)
		}
		if again := n.joined(1, audience.IOS); again.Ordinal != 3 {
			t.Errorf("registered %+v", again)
		}
		if _, err := n.RaiseEpoch(ctx, 255); !errors.Is(err, ErrNoEpoch) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzResolve(f *testing.F) {
	n := newNode(f, dbtest.SQLite(f))
	dev := n.joined(1, audience.IOS)
	f.Add(dev.RegistrationID)
	f.Add(n.IDs.ID(2, deviceid.Ref{Epoch: 1, Ordinal: 1}))
	f.Add("00000000000000000000")
	f.Fuzz(func(t *testing.T, id string) {
		ordinals, unknown := n.Resolve(n.app(1), []string{id})
		if known := id == dev.RegistrationID; known != (len(ordinals) == 1) || known != (len(unknown) == 0) {
			t.Errorf("%q: %v %v", id, ordinals, unknown)
		}
	})
}

func FuzzParseProfile(f *testing.F) {
	for _, s := range []string{`{"tags":{"add":["a"],"remove":["b"]},"alias":"x","attributes":{"k":"v","n":null}}`,
		`{"tags":{"set":[]},"silence":null,"consent":{"version":"1","purposes":["push"]}}`, `{"tags":[]}`, `{"mobile":"+123456"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseProfile(data)
		if err != nil {
			if !IsKind(err, Invalid) {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		if err := c.check(); err != nil {
			t.Errorf("%q was accepted and then: %v", data, err)
		}
	})
}

func BenchmarkResolve1000(b *testing.B) {
	n := newNode(b, dbtest.SQLite(b))
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = n.register(1, Registration{}).RegistrationID
	}
	if _, unknown := n.Resolve(n.app(1), ids); len(unknown) > 0 {
		b.Fatalf("%d unknown", len(unknown))
	}
	for b.Loop() {
		n.Resolve(n.app(1), ids)
	}
}
