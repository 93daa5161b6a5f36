package loadtest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"borealis/internal/engine/audience"
)

// crowd is a source of devices that do not exist, the same each time. Their tags are as they are in apps: a few that
// half of the devices have (a language, "notifications on"), many that 5 % to 0.1 % have (a city, an interest, a level),
// and a long tail. Every second device has an alias; of nine aliases, one has two devices.
type crowd struct {
	n    uint32
	tags []crowdTag // the id is the place, from 1
}

type crowdTag struct {
	name string
	// share of the devices that have it.
	share float64
}

const (
	crowdTags   = 5000
	crowdHalves = 9
	crowdMiddle = 1200
)

// Names of tags: the first is the most frequent of its kind.
func halfTag(i int) string   { return fmt.Sprintf("half_%d", i) }
func middleTag(i int) string { return fmt.Sprintf("some_%d", i) }

func newCrowd(n int) *crowd {
	c := &crowd{n: uint32(n)}
	for i := range crowdTags {
		switch tail := i - crowdHalves - crowdMiddle; {
		case i < crowdHalves:
			c.tags = append(c.tags, crowdTag{halfTag(i), 0.5})
		case tail < 0: // from 5 % to 0.1 %, as many in each octave
			c.tags = append(c.tags, crowdTag{middleTag(i - crowdHalves), 0.05 * math.Pow(0.02, float64(i-crowdHalves)/crowdMiddle)})
		default: // from 0.1 % to one in a million
			c.tags = append(c.tags, crowdTag{fmt.Sprintf("rare_%d", tail), 0.001 * math.Pow(0.001, float64(tail)/(crowdTags-crowdHalves-crowdMiddle))})
		}
	}
	return c
}

// perDevice is the mean number of tags of a device.
func (c *crowd) perDevice() (sum float64) {
	for _, t := range c.tags {
		sum += t.share
	}
	return sum
}

// crowdBlock is how many devices are made up at a time.
const crowdBlock = 1 << 16

// EachDevice is part of audience.Source.
func (c *crowd) EachDevice(ctx context.Context, _ int64, fn func(audience.Device) error) error {
	r := rand.New(rand.NewPCG(1, 2)) // the same crowd each time
	tags := make([][]uint32, crowdBlock)
	for first := uint32(1); first <= c.n; first += crowdBlock {
		if err := ctx.Err(); err != nil {
			return err
		}
		block := min(crowdBlock, c.n-first+1)
		for i := range tags {
			tags[i] = tags[i][:0]
		}
		for i, t := range c.tags {
			// The distances of independent devices that have it are geometric.
			rate := -1 / math.Log1p(-t.share)
			for at := math.Floor(r.ExpFloat64() * rate); at < float64(block); at += 1 + math.Floor(r.ExpFloat64()*rate) {
				tags[int(at)] = append(tags[int(at)], uint32(i+1))
			}
		}
		for i := range block {
			d := audience.Device{Ordinal: first + i, Platform: platformOf(r.IntN(100)), Alias: aliasOf(first + i), Tags: tags[i], Joined: r.IntN(20) > 0}
			if err := fn(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// aliasOf is the user of a device: of every second one, and of ten users, one has another's name.
func aliasOf(ordinal uint32) string {
	if ordinal%2 == 1 {
		return ""
	}
	user := uint64(ordinal / 2)
	if user%10 == 1 {
		user--
	}
	return fmt.Sprintf("user_%d", 1_000_000_000+user*7919%1_000_000_000)
}

func platformOf(percent int) audience.Platform {
	switch {
	case percent < 60:
		return audience.Android
	case percent < 95:
		return audience.IOS
	case percent < 98:
		return audience.HMOS
	}
	return audience.Web
}

// nobody is a source that fails: what is loaded in spite of it did not come from rows.
type nobody struct{}

// EachDevice is part of audience.Source.
func (nobody) EachDevice(context.Context, int64, func(audience.Device) error) error {
	return fmt.Errorf("the device rows were read")
}
