package device

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// told gathers what OnSeen is told, by platform.
type told map[audience.Platform]struct{ seen, active []uint32 }

func (w told) hook(t *testing.T, at int64) SeenHook {
	return func(_ context.Context, _ *db.Tx, e deviceevent.Seen) error {
		if e.App != 1 || e.At != at {
			t.Errorf("told of app %d at %d", e.App, e.At)
		}
		read := func(data []byte) []uint32 {
			set := roaring.New()
			if len(data) > 0 {
				if err := set.UnmarshalBinary(data); err != nil {
					t.Error(err)
				}
			}
			return set.ToArray()
		}
		p := audience.Platform(e.Platform)
		all := w[p]
		all.seen, all.active = append(all.seen, read(e.Seen)...), append(all.active, read(e.Active)...)
		w[p] = all
		return nil
	}
}

func (w told) want(t *testing.T, p audience.Platform, seen, active []uint32) {
	t.Helper()
	if !slices.Equal(w[p].seen, seen) || !slices.Equal(w[p].active, active) {
		t.Errorf("%s: told %v, want %v and %v", p, w[p], seen, active)
	}
}

// With the last-seen times goes word of who was in contact and who of them did something.
func TestSeenIsToldByPlatform(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		n := newNode(t, d)
		now := clock.Millis(start)
		phone, pad, quiet := n.joined(1, audience.Android), n.joined(1, audience.IOS), n.joined(1, audience.Android)
		ordinals := []uint32{phone.Ordinal, quiet.Ordinal}
		n.Up(ctx, edgewire.Up{App: 1, Ordinal: phone.Ordinal, Topic: TopicProfile, Payload: []byte(`{"tags":{"set":["a"]}}`)})
		if _, err := n.Register(ctx, n.app(1), Registration{Platform: audience.IOS, RegistrationID: pad.RegistrationID, Secret: pad.Secret}); err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		n.OnSeen = func(context.Context, *db.Tx, deviceevent.Seen) error { return refused }
		if err := n.FlushSeen(ctx); !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
		if got, err := n.lastSeen(ctx, 1, ordinals); err != nil || got[phone.Ordinal] != 0 {
			t.Errorf("written although refused: %v, %v", got, err)
		}
		all := told{}
		n.OnSeen = all.hook(t, now)
		for range 2 { // nobody is told of twice
			if err := n.FlushSeen(ctx); err != nil {
				t.Fatal(err)
			}
		}
		all.want(t, audience.Android, ordinals, []uint32{phone.Ordinal})
		all.want(t, audience.IOS, []uint32{pad.Ordinal}, []uint32{pad.Ordinal})
		if got, err := n.lastSeen(ctx, 1, ordinals); err != nil || got[phone.Ordinal] != now || got[quiet.Ordinal] != now {
			t.Errorf("last seen %v, %v", got, err)
		}
	})
}

// More devices than one statement marks, some of them gone.
func TestSeenIsToldInParts(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	var all []uint32
	for range seenBatch + 50 {
		all = append(all, n.joined(1, audience.Web).Ordinal)
	}
	n.Seen(1, []uint32{4_000_000_000})
	w := told{}
	n.OnSeen = w.hook(t, clock.Millis(start))
	if err := n.FlushSeen(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.want(t, audience.Web, all, nil)
}
