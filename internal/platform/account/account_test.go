package account_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/secret"
	"borealis/internal/platform/account"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type node struct {
	*account.Service
	gate  *gate.Gate
	audit *audit.Log
}

var start = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

var keys = sync.OnceValue(secret.Generate)

func newNode(t *testing.T, d *db.DB, b *bus.Bus) *node {
	t.Helper()
	ctx := context.Background()
	if err := errors.Join(audit.Migrate(ctx, d), account.Migrate(ctx, d)); err != nil {
		t.Fatal(err)
	}
	fake := clock.NewFake(start)
	n := &node{gate: gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 100)), audit: audit.New(fake, make([]byte, 32))}
	n.Service = account.New(d, b, n.gate, keys(), n.audit, fake, slog.New(slog.DiscardHandler))
	return n
}

func TestCreateAndFind(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d, bustest.Open(t, ""))
		made, err := n.CreateApp(ctx, "tester", "  Courier ")
		if err != nil {
			t.Fatal(err)
		}
		if made.Name != "Courier" || len(made.Key) != 24 || len(made.MasterSecret) != 24 || made.ID != 1 {
			t.Errorf("made %+v", made)
		}
		if app, err := n.gate.Authenticate(made.Key, made.MasterSecret); err != nil || app.ID != 1 {
			t.Errorf("the gate does not know it: %v", err)
		}
		if _, err := n.gate.Authenticate(made.Key, "wrong"); !errors.Is(err, gate.ErrWrongSecret) {
			t.Errorf("wrong secret: %v", err)
		}
		// Another process finds the same.
		other := newNode(t, d, bustest.Open(t, ""))
		if err := other.Load(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := other.gate.Authenticate(made.Key, made.MasterSecret); err != nil {
			t.Errorf("after a restart: %v", err)
		}
		found, err := other.App(ctx, made.Key)
		if err != nil || found.MasterSecret != made.MasterSecret || !found.CreatedAt.Equal(made.CreatedAt) {
			t.Errorf("found %+v, %v", found, err)
		}
		if _, err := n.App(ctx, "nobody"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("unknown key: %v", err)
		}
	})
}

func TestCreatorsAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d, bustest.Open(t, ""))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := n.CreateApp(context.Background(), "tester", "x"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		apps, err := n.Apps(context.Background())
		if err != nil || len(apps) != 8 {
			t.Fatalf("%d apps, %v", len(apps), err)
		}
		for i, a := range apps {
			if a.ID != int64(i+1) {
				t.Errorf("app %d has number %d", i, a.ID)
			}
		}
	})
}

func TestBadNamesAndSettingsStoreNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	n := newNode(t, dbtest.SQLite(t), bustest.Open(t, ""))
	var invalid *account.InvalidError
	for _, name := range []string{"", "   ", "a\nb", "\xff", string(make([]byte, 101))} {
		if _, err := n.CreateApp(ctx, "tester", name); !errors.As(err, &invalid) || invalid.Field != "name" {
			t.Errorf("name %q: %v", name, err)
		}
	}
	made, err := n.CreateApp(ctx, "tester", "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]account.Assignment{
		{{Name: "offline_messages", Value: "7"}, {Name: "offline_messages", Value: "-1"}},
		{{Name: "offline_messages", Value: "7"}, {Name: "nothing", Value: "1"}},
		{{Name: "state", Value: "asleep"}}, {{Name: "device_alias", Value: "anyone"}}, {{Name: "ip_allow", Value: "here"}},
		{{Name: "strict_keys", Value: "perhaps"}}, {{Name: "name", Value: ""}},
	} {
		if _, err := n.SetApp(ctx, "tester", made.Key, bad); !errors.As(err, &invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if set, err := n.SetApp(ctx, "tester", made.Key, []account.Assignment{{Name: "limits", Value: "none"}}); err == nil {
		t.Errorf("an unknown preset made %+v", set.Settings)
	}
	after, err := n.App(ctx, made.Key)
	if err != nil || after.Revision != 1 || after.Settings.OfflineMessages != 5 {
		t.Errorf("something was stored: %+v, %v", after, err)
	}
}

// A change reaches other nodes and the edges, and leaves a row in the audit log that cannot be changed unnoticed.
func TestChangeIsAnnouncedAndAudited(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	url := bustest.Server(t)
	b := bustest.Open(t, url)
	a, other := newNode(t, d, b), newNode(t, d, bustest.Open(t, url))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = other.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	facts := make(chan edgewire.AppFacts, 10)
	if _, err := b.Subscribe(edgewire.SubjectApps, "", func(m *bus.Msg) {
		var f edgewire.AppFacts
		if err := m.Decode(&f); err != nil {
			t.Error(err)
		}
		facts <- f
	}); err != nil {
		t.Fatal(err)
	}
	made, err := a.CreateApp(ctx, "tester", "x")
	if err != nil {
		t.Fatal(err)
	}
	if f := <-facts; !f.Enabled || f.ID != made.ID {
		t.Errorf("facts %+v", f)
	}
	for deadline := time.Now().Add(20 * time.Second); ; { // the other node subscribes at its own pace
		if _, err := a.SetApp(ctx, "tester", made.Key, []account.Assignment{{Name: "state", Value: "disabled"}}); err != nil {
			t.Fatal(err)
		}
		if f := <-facts; f.Enabled {
			t.Errorf("facts %+v", f)
		}
		if app := other.gate.App(made.Key); app != nil && app.State == gate.Disabled {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other node never heard of the change")
		}
		time.Sleep(10 * time.Millisecond)
	}
	rows, err := a.audit.List(ctx, d, "app/"+made.Key, 0, 10)
	if err != nil || len(rows) < 2 || rows[len(rows)-1].Action != "app.create" || rows[0].Actor != "tester" {
		t.Errorf("audit rows %+v, %v", rows, err)
	}
	if broken, err := a.audit.Verify(ctx, d); err != nil || broken != 0 {
		t.Errorf("the chain breaks at %d, %v", broken, err)
	}
}
