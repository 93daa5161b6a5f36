package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/engine/edge/mqtt"
)

func TestDeviceShowsOnceAndReports(t *testing.T) {
	t.Parallel()
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var box inbox
			run(t, Options{AppKey: testKey, Credentials: w.credentials("a"), Version: v, Displays: 1, Clicks: 1, OnMessage: box.take})
			eventually(t, "online", func() bool { return w.Online() == 1 })
			note := `{"id":"5","type":"notification","title":"T","alert":"A","extras":{"k":"v"},"message":{"content":"c"},"expires_at":9,"new":1}`
			for _, payload := range []string{note, note, "not JSON", `{"type":"message"}`, `{"id":"5","type":"withdraw","withdraw":"5"}`} {
				w.Push("", 1, payload)
			}
			eventually(t, "everything acknowledged", func() bool { return len(w.Acks()) == 5 })
			got := box.all()
			if len(got) != 2 || got[0].Alert != "A" || got[0].Title != "T" || string(got[0].Message.Content) != `"c"` || got[1].Withdraw != "5" {
				t.Fatalf("shown: %+v", got)
			}
			eventually(t, "reported", func() bool { return len(w.Ups()) == 1 })
			var events struct {
				Events []struct {
					ID, Event string
					At        int64
				}
			}
			up := w.Ups()[0]
			if err := json.Unmarshal([]byte(up.Payload), &events); err != nil || up.Topic != TopicEvents || up.QoS != 1 {
				t.Fatalf("%+v, %v", up, err)
			}
			if e := events.Events; len(e) != 2 || e[0].ID != "5" || e[0].Event != Displayed || e[1].Event != Clicked || e[0].At == 0 {
				t.Errorf("events %+v", e)
			}
		})
	}
}

func TestDeviceAtQoS0(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var box inbox
	run(t, Options{AppKey: testKey, Credentials: w.credentials("a"), QoS0: true, OnMessage: box.take})
	eventually(t, "message", func() bool {
		w.Push("", 1, `{"id":"1","type":"message"}`) // until the subscription is there it goes at QoS 1
		list := box.all()
		return len(list) == 1
	})
	w.Push("", 1, `{"id":"2","type":"message"}`)
	eventually(t, "message", func() bool { return len(box.all()) == 2 })
	if last := box.all()[1]; last.QoS != 0 {
		t.Errorf("QoS %d", last.QoS)
	}
}

// What the server did not acknowledge is sent again on the next connection, marked as repeated, in order.
func TestUpsSurviveConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AnswerUps(0, true)
	var (
		mu   sync.Mutex
		acks []string
	)
	d := run(t, Options{
		AppKey: testKey, Credentials: w.credentials("a"), Backoff: Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond},
		OnAck: func(_ *Device, topic string, code mqtt.Code) {
			mu.Lock()
			defer mu.Unlock()
			acks = append(acks, fmt.Sprint(topic, code))
		},
	})
	alias := "x"
	for _, err := range []error{d.Change(Profile{Alias: &alias}), d.Report("1", Dismissed)} { // before it is online, or after
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "sent", func() bool { return len(w.Ups()) == 2 })
	w.AnswerUps(mqtt.NotAuthorized, false)
	w.Drop()
	eventually(t, "sent again", func() bool { return len(w.Ups()) == 4 })
	ups := w.Ups()
	if ups[2].Topic != TopicProfile || !ups[2].Dup || ups[3].Topic != TopicEvents || !ups[3].Dup || ups[0].Dup {
		t.Errorf("ups %+v", ups)
	}
	eventually(t, "acknowledged", func() bool { mu.Lock(); defer mu.Unlock(); return len(acks) == 2 })
	if acks[0] != "up/profile135" || acks[1] != "up/events135" {
		t.Errorf("answers %q", acks)
	}
}

func TestTooManyUps(t *testing.T) {
	t.Parallel()
	d, err := NewDevice(Options{AppKey: testKey, Credentials: Credentials{RegistrationID: "a", MQTT: []string{"tcp://127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxUps {
		if err := d.Report("1", Displayed); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := d.Report("1", Displayed); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
}

func TestDeviceGivesUpOnlyForAReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	device := func(c Credentials) error {
		d, err := NewDevice(Options{AppKey: testKey, Credentials: c, Backoff: Backoff{Min: time.Millisecond, Max: time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		return d.Run(t.Context())
	}
	wrong := w.credentials("a")
	wrong.Secret = "no"
	if refused, ok := errors.AsType[*RefusedError](device(wrong)); !ok || refused.Code != mqtt.BadUserNameOrPassword {
		t.Errorf("wrong secret: %v", refused)
	}
	w.Refuse(3, mqtt.ServerBusy)
	ended := make(chan error, 1)
	go func() { ended <- device(w.credentials("b")) }()
	eventually(t, "online after three refusals", func() bool { return w.Online() == 1 && len(w.Connects()) == 5 })
	w.Disconnect(mqtt.SessionTakenOver)
	if refused, ok := errors.AsType[*RefusedError](<-ended); !ok || !refused.Accepted {
		t.Errorf("taken over: %v", refused)
	}
}

func TestDeviceMovesAndRotates(t *testing.T) {
	t.Parallel()
	first, second := newWorld(t), newWorld(t)
	c := first.credentials("a")
	c.MQTT = []string{"tcp://127.0.0.1:1", first.Address()} // nothing listens on the first
	d := run(t, Options{AppKey: testKey, Credentials: c, Backoff: Backoff{Min: time.Millisecond, Max: time.Millisecond}})
	eventually(t, "second address", func() bool { return first.Online() == 1 })
	// The reference goes out with DISCONNECT; here the device is told directly.
	if got := d.moved(strings.TrimPrefix(second.Address(), "tcp://")); len(got) != 3 || got[0] != second.Address() {
		t.Errorf("addresses after a move: %q", got)
	}
	if got := d.moved(strings.TrimPrefix(first.Address(), "tcp://")); len(got) != 2 || got[0] != first.Address() {
		t.Errorf("addresses after a move to a known one: %q", got)
	}
}

// The n-th attempt in a row waits Min·2^(n-1) at most and half of that at least; a connection that lasted begins anew.
func TestReconnectBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			attempts []time.Duration
			began    = time.Now()
			far      net.Conn
			ctx, end = context.WithCancel(t.Context())
		)
		const last = 14
		o := Options{
			AppKey: testKey, Credentials: Credentials{RegistrationID: "a", MQTT: []string{"tcp://x"}},
			Random: func() float64 { return math.Nextafter(1, 0) },
		}
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			attempts = append(attempts, time.Since(began))
			switch len(attempts) {
			case last:
				end()
				return nil, io.ErrUnexpectedEOF
			case 11: // this one is accepted and lasts for an hour
				var near net.Conn
				near, far = net.Pipe()
				go func() {
					_, _ = far.Read(make([]byte, 512))
					_, _ = far.Write((&mqtt.Connack{}).Append(nil, mqtt.V5))
					time.Sleep(time.Hour)
					far.Close()
				}()
				return near, nil
			}
			return nil, io.ErrUnexpectedEOF
		}
		d, err := NewDevice(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []float64{0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 3600.5, 1, 2}
		if len(attempts) != len(want) {
			t.Fatalf("%d attempts: %s", len(attempts), attempts)
		}
		at := 0.0
		for i, seconds := range want {
			at += seconds
			if got := attempts[i].Seconds(); math.Abs(got-at) > 1e-3 {
				t.Errorf("attempt %d at %.3f s, not %.3f s", i+1, got, at)
			}
		}
	})
}

func TestBackoffBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{Min: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "min")), Max: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "max"))}
		n := rapid.IntRange(1, 1<<30).Draw(t, "n")
		random := rapid.Float64Range(0, 0.999).Draw(t, "random")
		d := b.delay(n, random)
		most := min(b.Max, time.Hour)
		if n == 1 {
			most = min(b.Max, b.Min)
		}
		if d < min(b.Min, b.Max)/2 || d > most {
			t.Fatalf("delay %s with %+v", d, b)
		}
	})
}

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r recent
		var order []string
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 2*recentSize), 0, 4*recentSize).Draw(t, "ids") {
			id := fmt.Sprint(n)
			known := false
			for _, k := range order[max(0, len(order)-recentSize):] {
				known = known || k == id
			}
			if r.add(id, "x") == known {
				t.Fatalf("%s: known %v", id, known)
			}
			if !known {
				order = append(order, id)
			}
		}
		if len(r.known) > recentSize || len(r.ring) > recentSize {
			t.Fatalf("remembers %d", len(r.known))
		}
	})
}

func TestOutboxKeepsOrderAndWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var (
			o      outbox
			added  int
			under  []uint16
			acked  = map[string]bool{}
			window = uint16(rapid.IntRange(1, 40).Draw(t, "window"))
		)
		send := func() {
			_ = o.send(window, func(p *mqtt.Publish) error {
				for _, id := range under {
					if id == p.PacketID {
						t.Fatalf("identifier %d is used twice", id)
					}
				}
				if acked[string(p.Payload)] {
					t.Fatalf("%s was acknowledged before", p.Payload)
				}
				under = append(under, p.PacketID)
				return nil
			})
			if len(under) > min(int(window), upWindow) {
				t.Fatalf("%d under way with a window of %d", len(under), window)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) {
				if o.add("t", fmt.Append(nil, added)) == nil {
					added++
				}
				send()
			},
			"ack": func(t *rapid.T) {
				if len(under) == 0 {
					return
				}
				i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
				for _, u := range o.list[:o.sent] {
					if u.id == under[i] {
						acked[string(u.payload)] = true
					}
				}
				if o.acked(under[i]) != "t" || o.acked(under[i]) != "" {
					t.Fatalf("%d acknowledged", under[i])
				}
				under = append(under[:i], under[i+1:]...)
				send()
			},
			"reconnect": func(*rapid.T) {
				o.restart()
				under = nil
				send()
			},
			"": func(*rapid.T) {
				if len(acked)+len(o.list) != added {
					t.Fatalf("%d added, %d acknowledged, %d wait", added, len(acked), len(o.list))
				}
			},
		})
	})
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"id":"1","type":"message","message":{"content":"x"}}`))
	f.Add([]byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := ParseMessage(payload)
		if err == nil && (m.ID == "" || m.Type == "") {
			t.Errorf("accepted %q", payload)
		}
	})
}
