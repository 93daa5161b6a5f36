package push

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// model is the naive picture of what the service must know.
type model struct {
	r       *rig
	app     *gate.App
	other   *gate.App // of somebody else
	devices []target
	offline int

	messages []*modelMessage
}

type modelMessage struct {
	id      int64
	expires time.Time
	pairs   map[uint32]*modelPair
}

type modelPair struct {
	sent, delivered, displayed, clicked bool
	failed                              Outcome
}

func (p *modelPair) owed() bool { return !p.delivered && p.failed == Owed }

func (m *model) accept(t *rapid.T) {
	picked := rapid.SliceOfNDistinct(rapid.IntRange(0, len(m.devices)-1), 1, len(m.devices), rapid.ID).Draw(t, "targets")
	slices.Sort(picked)
	rids := make([]string, len(picked))
	msg := &modelMessage{pairs: make(map[uint32]*modelPair)}
	for i, n := range picked {
		rids[i] = strconv.Quote(m.devices[n].rid)
		msg.pairs[m.devices[n].ordinal] = &modelPair{}
	}
	ttl := rapid.IntRange(60, 7200).Draw(t, "ttl")
	body := fmt.Sprintf(`{"platform":"all","audience":{"registration_id":[%s]},"notification":{"alert":"x"},"options":{"time_to_live":%d}}`, strings.Join(rids, ","), ttl)
	p, err := m.r.Parse(m.app, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.r.Accept(context.Background(), m.app, p)
	if err != nil {
		t.Fatal(err)
	}
	msg.id, msg.expires = out.Msg, m.r.fake.Now().Add(time.Duration(ttl)*time.Second)
	m.messages = append(m.messages, msg)
	m.r.fake.Advance(time.Millisecond)
}

func (m *model) message(t *rapid.T) *modelMessage {
	if len(m.messages) == 0 {
		t.Skip("no message yet")
	}
	return rapid.SampledFrom(m.messages).Draw(t, "message")
}

// ordinals draws devices of the app and some that do not exist.
func (m *model) ordinals(t *rapid.T) []uint32 {
	return rapid.SliceOfNDistinct(rapid.Uint32Range(1, uint32(len(m.devices))+2), 1, 4, rapid.ID).Draw(t, "ordinals")
}

func (m *model) receipt(t *rapid.T) {
	msg, ordinals := m.message(t), m.ordinals(t)
	stage := rapid.SampledFrom([]edgewire.Stage{edgewire.Sent, edgewire.Delivered}).Draw(t, "stage")
	r := edgewire.Receipts{Edge: "e", App: m.app.ID, At: clock.Millis(m.r.fake.Now()), Items: []edgewire.Receipt{{Msg: msg.id, Stage: stage, Ordinals: ordinals}}}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		if err := m.r.MergeReceipts(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range ordinals {
		if p := msg.pairs[o]; p != nil {
			p.sent = true
			if stage == edgewire.Delivered {
				p.delivered = true
			}
		}
	}
}

func (m *model) event(t *rapid.T) {
	msg, ordinal := m.message(t), m.ordinals(t)[0]
	kind := rapid.SampledFrom([]string{"displayed", "clicked", "dismissed"}).Draw(t, "event")
	err := m.r.Report(context.Background(), m.app.ID, ordinal, []DeviceEvent{{ID: FormatID(msg.id), Event: kind}, {ID: "1", Event: kind}, {ID: "x", Event: kind}})
	if err != nil {
		t.Fatal(err)
	}
	if p := msg.pairs[ordinal]; p != nil {
		p.sent, p.delivered, p.displayed = true, true, true
		p.clicked = p.clicked || kind == "clicked"
	}
}

// foreign: a device of another app reports this app's message, with the same ordinal.
func (m *model) foreign(t *rapid.T) {
	msg, ordinal := m.message(t), m.ordinals(t)[0]
	err := m.r.Report(context.Background(), m.other.ID, ordinal, []DeviceEvent{{ID: FormatID(msg.id), Event: "clicked"}})
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) restart(*rapid.T) { m.r.boot() }

func (m *model) pass(t *rapid.T) {
	m.r.advance(time.Duration(rapid.IntRange(1, 3600).Draw(t, "seconds")) * time.Second)
	if err := m.r.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, msg := range m.messages {
		for _, p := range msg.pairs {
			if !m.r.fake.Now().Before(msg.expires) && p.owed() {
				p.failed = Expired
			}
		}
	}
}

// connect asks what a device is owed; the newest come, older ones are displaced.
func (m *model) connect(t *rapid.T) {
	d := rapid.SampledFrom(m.devices).Draw(t, "device")
	reload := rapid.Bool().Draw(t, "reload")
	out, err := m.r.Owed(context.Background(), edgewire.OwedRequest{Edge: "e", App: m.app.ID, Ordinal: d.ordinal, Reload: reload})
	if err != nil {
		t.Fatal(err)
	}
	var want []int64
	var pairs []*modelPair
	for _, msg := range m.messages {
		if p := msg.pairs[d.ordinal]; p != nil && p.owed() && m.r.fake.Now().Before(msg.expires) {
			want, pairs = append(want, msg.id), append(pairs, p)
		}
	}
	if cut := len(want) - m.offline; !reload && m.offline > 0 && cut > 0 {
		for _, p := range pairs[:cut] {
			p.failed = Overflow
		}
		want = want[cut:]
	}
	var got []int64
	for _, f := range out.Frames {
		got = append(got, f.Msg)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("device %d is owed %v, want %v", d.ordinal, got, want)
	}
}

// check compares the funnels.
func (m *model) check(t *rapid.T) {
	for _, msg := range m.messages {
		var want Counts
		for _, p := range msg.pairs {
			want.Targets++
			for n, yes := range map[*int64]bool{&want.Sent: p.sent, &want.Delivered: p.delivered, &want.Displayed: p.displayed, &want.Clicked: p.clicked} {
				if yes {
					*n++
				}
			}
			if p.failed != Owed && !p.delivered {
				want.Failed[p.failed]++
			}
		}
		got, err := m.r.Funnels(context.Background(), m.app.ID, []int64{msg.id})
		if err != nil || len(got) != 1 {
			t.Fatalf("%d funnels: %v", len(got), err)
		}
		if got[0].Total != want {
			t.Fatalf("message %d with %d targets: got %+v, want %+v", msg.id, len(msg.pairs), got[0].Total, want)
		}
	}
}

// Whatever receipts, events, connects, restarts and time bring, in whatever order and however often: the funnel is
// exact, nobody is owed what ended, and everybody else is. Messages of a few targets are rows, of more sets.
func TestAgainstModel(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		rapid.Check(t, func(t *rapid.T) {
			m := &model{r: r, offline: rapid.IntRange(0, 3).Draw(t, "offline")}
			m.app, m.devices = r.newApp(m.offline, "android", "ios", "android", "hmos", "web", "android")
			m.other, _ = r.newApp(5, "android")
			t.Repeat(map[string]func(*rapid.T){
				"accept": m.accept, "receipt": m.receipt, "event": m.event, "foreign": m.foreign,
				"connect": m.connect, "pass": m.pass, "restart": m.restart, "": m.check,
			})
		})
	})
}
