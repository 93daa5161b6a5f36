package loadtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/deviceid"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// clauses are (a ∪ b) ∩ c ∖ (d ∪ e), on Android.
type clauses struct {
	name          string
	a, b, c, d, e string
}

func fiveClauses() []clauses {
	return []clauses{
		{"frequent tags (50 %)", halfTag(0), halfTag(1), halfTag(2), halfTag(3), halfTag(4)},
		{"frequent and less frequent tags (5 %, 4 %, 50 %, 50 %, 1 %)", middleTag(0), middleTag(70), halfTag(0), halfTag(1), middleTag(490)},
		{"rare tags (0.5 %, 0.4 %, 1 %, 5 %, 50 %)", middleTag(700), middleTag(770), middleTag(490), middleTag(0), halfTag(0)},
	}
}

func (b *audienceBench) expressions(context.Context) error {
	android := audience.PlatformSet(0).With(audience.Android)
	joined, err := b.index.Evaluate(audienceApp, audience.Expr{All: true, Platforms: audience.AllPlatforms})
	if err != nil {
		return err
	}
	onAndroid, err := b.index.Evaluate(audienceApp, audience.Expr{All: true, Platforms: android})
	if err != nil {
		return err
	}
	for _, c := range fiveClauses() {
		sets := make(map[string]*roaring.Bitmap)
		for _, name := range []string{c.a, c.b, c.c, c.d, c.e} {
			sets[name] = b.index.DevicesOfTag(audienceApp, name)
		}
		stepByStep := func() *roaring.Bitmap {
			set := roaring.Or(sets[c.a], sets[c.b])
			set = roaring.And(set, sets[c.c])
			set = roaring.AndNot(set, roaring.Or(sets[c.d], sets[c.e]))
			return roaring.And(set, roaring.And(joined, onAndroid))
		}
		e := audience.Expr{Tag: []string{c.a, c.b}, TagAnd: []string{c.c}, TagNot: []string{c.d, c.e}, Platforms: android}
		want := stepByStep()
		set, err := b.index.Evaluate(audienceApp, e)
		if err != nil {
			return err
		}
		n, err := b.index.Count(audienceApp, e)
		if err != nil {
			return err
		}
		if !set.Equals(want) || n != want.GetCardinality() {
			b.report.problemf("%s: evaluated %d devices, counted %d, step by step %d", c.name, set.GetCardinality(), n, want.GetCardinality())
		}
		var count, evaluate, steps []time.Duration
		for range b.o.Rounds { // in turns, so that the machine's other work hits all alike
			count = append(count, timed(func() { _, _ = b.index.Count(audienceApp, e) }))
			evaluate = append(evaluate, timed(func() { _, _ = b.index.Evaluate(audienceApp, e) }))
			steps = append(steps, timed(func() { stepByStep().GetCardinality() }))
		}
		section := "five clauses, " + c.name
		b.set(section, "members", "devices", float64(n))
		for _, of := range []struct {
			name string
			of   func([]time.Duration) time.Duration
		}{{"median", median}, {"best", slices.Min[[]time.Duration]}} {
			b.set(section, "count, "+of.name, "ms", millis(of.of(count)))
			b.report.set(theirs, section, "count, "+of.name, "ms", millis(of.of(steps)))
			b.set(section, "evaluate, "+of.name, "ms", millis(of.of(evaluate)))
			b.report.set(theirs, section, "evaluate, "+of.name, "ms", millis(of.of(steps)))
		}
	}
	return nil
}

func timed(fn func()) time.Duration {
	began := clock.System{}.Now()
	fn()
	return since(began)
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }

// registrationIDs finds the devices of 1,000 ids at a time, of any part of the app.
func (b *audienceBench) registrationIDs(context.Context) error {
	codec, err := deviceid.New(make([]byte, 32))
	if err != nil {
		return err
	}
	const many = 1000
	r := rand.New(rand.NewPCG(3, 4))
	ids := make([]string, 0, many*64)
	for range cap(ids) {
		ids = append(ids, codec.ID(audienceApp, deviceid.Ref{Epoch: 1, Ordinal: 1 + r.Uint32N(uint32(b.o.Devices))}))
	}
	var (
		took  []time.Duration
		found = make([]uint32, 0, many)
	)
	for i := range b.o.Rounds {
		part := ids[i*many%len(ids):][:many]
		took = append(took, timed(func() {
			found = found[:0]
			for _, id := range part {
				if ref, err := codec.Parse(audienceApp, id); err == nil {
					found = append(found, ref.Ordinal)
				}
			}
			found = b.index.Known(audienceApp, found)
		}))
		if len(found) != many {
			return fmt.Errorf("of %d ids, %d were found", many, len(found))
		}
	}
	b.set("devices", "1,000 registration ids → known ordinals, median", "ms", millis(median(took)))
	b.set("devices", "1,000 registration ids → known ordinals, best", "ms", millis(slices.Min(took)))
	return nil
}

const (
	sampleSize   = 5000
	changeBatch  = 1000
	changeRounds = 20
)

// changes gives devices other tags and aliases.
func (b *audienceBench) changes(ctx context.Context) error {
	r := rand.New(rand.NewPCG(5, 6))
	change := func() audience.Change {
		d := &b.some[r.IntN(len(b.some))]
		before := *d
		d.Alias = fmt.Sprintf("other_%d", r.Uint32())
		id := 1 + r.Uint32N(crowdHalves+crowdMiddle)
		if i, found := slices.BinarySearch(before.Tags, id); found {
			d.Tags = slices.Delete(slices.Clone(before.Tags), i, i+1)
		} else {
			d.Tags = slices.Insert(slices.Clone(before.Tags), i, id)
		}
		after := *d
		return audience.Change{Before: &before, After: &after}
	}
	commit := func(changes []audience.Change) error {
		return b.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := b.index.Lock(ctx, tx, audienceApp); err != nil {
				return err
			}
			return b.index.Append(ctx, tx, audienceApp, changes...)
		})
	}
	var one, follow []time.Duration
	for range b.o.Rounds {
		changes := []audience.Change{change()}
		began := clock.System{}.Now()
		if err := commit(changes); err != nil {
			return err
		}
		committed := clock.System{}.Now()
		b.index.Follow(ctx, audienceApp)
		one = append(one, since(began))
		follow = append(follow, since(committed))
	}
	b.set("devices", "a change of a tag and the alias, committed and in the sets, median", "µs", micros(median(one)))
	b.set("devices", "the same without the commit, median", "µs", micros(median(follow)))
	follow = follow[:0]
	for range changeRounds {
		changes := make([]audience.Change, changeBatch)
		for i := range changes {
			changes[i] = change()
		}
		if err := commit(changes); err != nil {
			return err
		}
		follow = append(follow, timed(func() { b.index.Follow(ctx, audienceApp) }))
	}
	b.set("devices", "the same, each of 1,000 that are followed at once, median", "µs", micros(median(follow))/changeBatch)
	return nil
}

// sampler keeps every so-manieth device of a crowd.
type sampler struct {
	crowd *crowd
	every uint32
	to    *[]audience.Device
}

// EachDevice is part of audience.Source.
func (s *sampler) EachDevice(ctx context.Context, app int64, fn func(audience.Device) error) error {
	return s.crowd.EachDevice(ctx, app, func(d audience.Device) error {
		if d.Ordinal%s.every == 0 {
			kept := d
			kept.Tags = slices.Clone(d.Tags)
			*s.to = append(*s.to, kept)
		}
		return fn(d)
	})
}
