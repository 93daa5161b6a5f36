package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/account"
)

const vendorKey, vendorSecret = "7d431e42dfa6a6d693ac2d04", "5e987ac6d2e04d95a9d8f0d1"

func TestImportedAppKeepsItsKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d, bustest.Open(t, ""))
		if _, err := n.CreateApp(ctx, "tester", "first"); err != nil {
			t.Fatal(err)
		}
		app, made, err := n.ImportApp(ctx, "tester", "Courier", vendorKey, vendorSecret)
		if err != nil || !made || app.Key != vendorKey || app.ID != 2 || app.Name != "Courier" {
			t.Fatalf("imported %+v, %v, %v", app, made, err)
		}
		if _, err := n.gate.Authenticate(vendorKey, vendorSecret); err != nil {
			t.Errorf("the gate does not know it: %v", err)
		}
		found, err := n.App(ctx, vendorKey)
		if err != nil || found.MasterSecret != vendorSecret {
			t.Errorf("found %+v, %v", found, err)
		}
		again, made, err := n.ImportApp(ctx, "tester", "", vendorKey, vendorSecret)
		if err != nil || made || again.ID != 2 || again.Name != "Courier" || again.MasterSecret != vendorSecret {
			t.Errorf("again %+v, %v, %v", again, made, err)
		}
		var invalid *account.InvalidError
		for _, bad := range []struct{ name, key, secret, field string }{
			{"x", vendorKey, vendorSecret[:23] + "0", "master_secret"},
			{"x", "short", vendorSecret, "app_key"}, {"x", vendorKey[:23] + "-", vendorSecret, "app_key"}, {"x", vendorKey, "", "master_secret"},
			{"a\nb", vendorKey, vendorSecret, "name"}, {strings.Repeat("x", 101), vendorKey, vendorSecret, "name"},
		} {
			if _, _, err := n.ImportApp(ctx, "tester", bad.name, bad.key, bad.secret); !errors.As(err, &invalid) || invalid.Field != bad.field {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if apps, err := n.Apps(ctx); err != nil || len(apps) != 2 {
			t.Errorf("%d apps, %v", len(apps), err)
		}
	})
}

func TestImportersOfOneAppAtOnceMakeOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d, bustest.Open(t, ""))
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			made int
		)
		for range 8 {
			wg.Go(func() {
				_, fresh, err := n.ImportApp(context.Background(), "tester", "x", vendorKey, vendorSecret)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if fresh {
					made++
				}
			})
		}
		wg.Wait()
		if apps, err := n.Apps(context.Background()); err != nil || len(apps) != 1 || made != 1 {
			t.Errorf("%d apps, %d made, %v", len(apps), made, err)
		}
	})
}
