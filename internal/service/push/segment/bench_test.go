package segment

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// crowd is a source of n devices; tag i is on one in every[i].
type crowd struct {
	n    uint32
	tags []uint32
}

var every = []uint32{2, 3, 5, 10, 100}

func (c *crowd) EachDevice(_ context.Context, _ int64, fn func(audience.Device) error) error {
	r := rand.New(rand.NewPCG(1, 2))
	for o := uint32(1); o <= c.n; o++ {
		d := audience.Device{Ordinal: o, Platform: audience.Android + audience.Platform(r.IntN(2)), Joined: true}
		for i, k := range every {
			if r.Uint32N(k) == 0 {
				d.Tags = append(d.Tags, c.tags[i])
			}
		}
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkResolve evaluates the most that is allowed over ten million devices: as many conditions as one expression and
// the segments that it reaches may have, each over a whole tag.
func BenchmarkResolve(b *testing.B) {
	ctx := context.Background()
	d := dbtest.SQLite(b)
	for _, migrate := range []func(context.Context, *db.DB) error{audience.Migrate, Migrate} {
		if err := migrate(ctx, d); err != nil {
			b.Fatal(err)
		}
	}
	source := &crowd{n: 10_000_000}
	index := audience.New(d, nil, source, clock.System{}, slog.New(slog.DiscardHandler))
	if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if err := index.Lock(ctx, tx, 1); err != nil {
			return err
		}
		source.tags, err = index.TagIDs(ctx, tx, 1, []string{"t0", "t1", "t2", "t3", "t4"}, true)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	s := New(Deps{DB: d, Audience: index, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	app := &gate.App{ID: 1}
	part := func(i int) string { return fmt.Sprintf(`{"not":{"tag":["t%d"]}},`, i%len(every)) }
	var parts strings.Builder
	for i := range maxClauses - 1 {
		parts.WriteString(part(i))
	}
	create := func(raw string) string {
		seg, err := s.Create(ctx, app, "n", []byte(raw))
		if err != nil {
			b.Fatal(err)
		}
		return seg.ID
	}
	below := strings.TrimSuffix(parts.String(), ",")
	one := create(`{"any":[` + below + `,{"tag":["t0"]}]}`)
	two := create(`{"any":[` + below + `,{"segment":["` + one + `"]}]}`)
	for name, id := range map[string]string{"50 conditions": one, "100 conditions": two, "1 condition": create(`{"tag":["t1"]}`)} {
		b.Run(name, func(b *testing.B) {
			if _, err := s.ResolveSegment(ctx, app, id); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.ResolveSegment(ctx, app, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
