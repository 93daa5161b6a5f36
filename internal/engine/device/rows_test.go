package device

import (
	"context"
	"errors"
	"slices"
	"testing"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// The audience reads every device of its app that is not gone, once, whatever the size of a slice.
func TestRowsAreReadInSlices(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		ctx := context.Background()
		var want []uint32
		for i := range 7 {
			dev := n.joined(1, audience.IOS)
			n.register(2, Registration{})
			if i%3 == 2 {
				if err := n.Delete(ctx, 1, dev.Ordinal); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want = append(want, dev.Ordinal)
		}
		for batch := 1; batch < 9; batch++ {
			rows := &Rows{db: d, batch: batch}
			var got []uint32
			err := rows.EachDevice(ctx, 1, func(d audience.Device) error {
				if d.Platform != audience.IOS || !d.Joined {
					t.Errorf("device %+v", d)
				}
				got = append(got, d.Ordinal)
				return nil
			})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("in slices of %d: %v, want %v (%v)", batch, got, want, err)
			}
			stop := errors.New("stop")
			if err := rows.EachDevice(ctx, 1, func(audience.Device) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("the error of who reads: %v", err)
			}
		}
	})
}
