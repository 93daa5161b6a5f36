package device

import (
	"context"
	"testing"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestFactsOfDevicesThatExist(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d)
		a := n.register(1, Registration{Platform: audience.HMOS, Device: Info{Model: "Mate 70"}})
		b := n.joined(1, audience.IOS)
		n.joined(2, audience.Android) // of another app
		if err := n.Delete(ctx, 1, b.Ordinal); err != nil {
			t.Fatal(err)
		}
		got, err := n.Facts(ctx, 1, []uint32{a.Ordinal, b.Ordinal, 4_000_000})
		want := Facts{Platform: audience.HMOS, Model: "Mate 70", RegisteredAt: clock.Millis(start)}
		if err != nil || len(got) != 1 || got[a.Ordinal] != want {
			t.Errorf("facts %v (%v)", got, err)
		}
		if got, err := n.Facts(ctx, 1, nil); err != nil || len(got) != 0 {
			t.Errorf("facts of nobody: %v (%v)", got, err)
		}
	})
}
