package route

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/service/push/payload"
)

// allLeases are of a node that owns everything.
type allLeases struct{}

func (allLeases) Fence(int) (int64, error)                 { return 1, nil }
func (allLeases) Check(context.Context, *db.Tx, int) error { return nil }

// A short message that was being sent when a node died is not sent again: it may have been read.
func TestSMSIsNotSentTwice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		fake := clock.NewFake(time.Unix(1000, 0))
		g := gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 10))
		g.Publish(gate.App{ID: 1, Key: "a", State: gate.Enabled, Revision: 1})
		s := &Service{Deps: Deps{DB: d, Gate: g, Leases: allLeases{}, Clock: fake, Log: slog.New(slog.DiscardHandler)}}
		p := testPart(7, 1, sms, claimed, 1)
		rows(t, d, []*part{p}, func(ctx context.Context, tx *db.Tx) error { return s.Record(ctx, tx, 1, 7, 1, 1<<40) })
		if task, err := s.claim(t.Context(), nil, p, channelFact{name: sms}); task != nil || err != nil {
			t.Fatalf("it is sent: %v, %v", task, err)
		}
		parts, err := queryParts(t.Context(), d, `part_id = $1`, int64(7))
		if err != nil || parts[0].state != done {
			t.Errorf("%+v, %v", parts, err)
		}
		events, err := s.Trace(t.Context(), 1, 7, 7)
		if err != nil || len(events) != 2 || events[1].What != wire.Unknown.String() {
			t.Errorf("trace %v, %v", events, err)
		}
	})
}

// lostLeases are of a node that has just lost everything.
type lostLeases struct{ allLeases }

func (lostLeases) Check(context.Context, *db.Tx, int) error { return errNotNow }

// willing is a push service to which all devices are still owed.
type willing struct{ Messages }

func (willing) Message(context.Context, int64) (*Message, error) {
	return &Message{App: 1, Push: &payload.Push{}}, nil
}

func (willing) Left(_ context.Context, _, _ int64, devices *roaring.Bitmap) (*roaring.Bitmap, error) {
	return devices, nil
}

// A claim that cannot be written down because the partition went to another node is an error of it, and nothing is sent.
func TestAClaimOfALostPartitionFails(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	fake := clock.NewFake(time.Unix(1000, 0))
	g := gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 10))
	g.Publish(gate.App{ID: 1, Key: "a", State: gate.Enabled, Revision: 1})
	s := &Service{Deps: Deps{
		DB: d, Gate: g, Leases: lostLeases{}, Devices: &device.Registry{Deps: device.Deps{DB: d}}, Dispatcher: channel.New(fake), Clock: fake,
		Log: slog.New(slog.DiscardHandler),
	}}
	if err := device.Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	p := testPart(7, 1, wire.Huawei, waiting, 1)
	rows(t, d, []*part{p}, nil)
	if task, err := s.claim(t.Context(), willing{}, p, channelFact{name: wire.Huawei}); task != nil || !errors.Is(err, errNotNow) {
		t.Errorf("%v, %v", task, err)
	}
}

// busy is a push service that cannot answer.
type busy struct{ Messages }

var errNotNow = errors.New("not now")

func (busy) Message(context.Context, int64) (*Message, error) {
	return &Message{App: 1, Push: &payload.Push{}}, nil
}
func (busy) Left(context.Context, int64, int64, *roaring.Bitmap) (*roaring.Bitmap, error) {
	return nil, errNotNow
}

// A part that cannot be taken up waits, so that those behind it come first.
func TestAPartThatCannotBeTakenUpIsPutOff(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	fake := clock.NewFake(time.Unix(1000, 0))
	g := gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 10))
	g.Publish(gate.App{ID: 1, Key: "a", State: gate.Enabled, Revision: 1})
	s := &Service{Deps: Deps{DB: d, Gate: g, Leases: allLeases{}, Clock: fake, Log: slog.New(slog.DiscardHandler)}}
	rows(t, d, []*part{testPart(7, 1, wire.Huawei, waiting, 1)}, nil)
	if _, err := s.send(t.Context(), busy{}, lineKey{1, wire.Huawei}); !errors.Is(err, errNotNow) {
		t.Errorf("%v", err)
	}
	parts, err := queryParts(t.Context(), d, `part_id = $1`, int64(7))
	if err != nil || parts[0].state != waiting || parts[0].dueAt != 1_000_000+putOffPause.Milliseconds() || !parts[0].devices.Contains(7) {
		t.Errorf("%+v, %v", parts, err)
	}
}
