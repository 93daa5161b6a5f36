package edge

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

var versions = []mqtt.Version{mqtt.V311, mqtt.V5}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const disabledKey = "disabledapp0000000000000"
	tests := []struct {
		name    string
		change  func(*mqtt.Connect)
		refusal edgewire.Refusal
		v5      mqtt.Code
		v311    byte
	}{
		{"wrong secret", func(p *mqtt.Connect) { p.Password = []byte("AAAAAAAAAAAAAAAAAAAAAAAA") }, 0, 0x86, 4},
		{"secret of another device", func(p *mqtt.Connect) {
			codec := testCodec(t)
			p.Password = []byte(codec.Secret(testApp, deviceid.Ref{Epoch: 1, Ordinal: 999}, 1))
		}, 0, 0x86, 4},
		{"not a registration id", func(p *mqtt.Connect) { p.ClientID = []byte("somebody") }, 0, 0x86, 4},
		{"unknown app", func(p *mqtt.Connect) { p.Username = []byte("nosuchapp000000000000000") }, 0, 0x86, 4},
		{"user name that is no app key", func(p *mqtt.Connect) { p.Username = []byte("nosuchapp") }, 0, 0x86, 4},
		{"no user name and password", func(p *mqtt.Connect) { p.HasUsername, p.HasPassword = false, false }, 0, 0x86, 4},
		{"no password", func(p *mqtt.Connect) { p.HasPassword = false }, 0, 0x86, 4},
		{"empty client id", func(p *mqtt.Connect) { p.ClientID = nil }, 0, 0x85, 2},
		{"disabled app", func(p *mqtt.Connect) {
			ref := deviceid.Ref{Epoch: 1, Ordinal: 1}
			codec := testCodec(t)
			p.Username = []byte(disabledKey)
			p.ClientID, p.Password = []byte(codec.ID(8, ref)), []byte(codec.Secret(8, ref, 1))
		}, 0, 0x87, 5},
		{"revoked", nil, edgewire.BadCredentials, 0x86, 4},
		{"sanctioned", nil, edgewire.NotAuthorized, 0x87, 5},
		{"over quota", nil, edgewire.QuotaExceeded, 0x97, 3},
		{"unavailable", nil, edgewire.Unavailable, 0x88, 3},
	}
	c := newCore(t)
	c.facts[disabledKey] = edgewire.AppFacts{AppKey: disabledKey, ID: 8}
	e := startEdge(t, c, nil)
	for _, tt := range tests {
		for _, v := range versions {
			c.do(func() { c.refusal = tt.refusal })
			d := newDevice(t, e, v)
			d.send(connectAs(c, v, 1, tt.change).Append(nil))
			want := tt.v5
			if v == mqtt.V311 {
				want = mqtt.Code(tt.v311)
			}
			if ack := d.connack(); ack.Code != want || ack.SessionPresent {
				t.Errorf("%s, version %d: got %#x, want %#x", tt.name, v, ack.Code, want)
			}
			d.closed()
		}
	}
}

func TestProtocolVersionRefused(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	old := newDevice(t, e, mqtt.V311)
	old.send([]byte("\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a"))
	if ack := old.connack(); ack.Code != 1 {
		t.Errorf("MQTT 3.1: got %#x, want 1", ack.Code)
	}
	old.closed()
	future := newDevice(t, e, mqtt.V5)
	future.send([]byte("\x10\x0e\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x01a"))
	if ack := future.connack(); ack.Code != mqtt.UnsupportedProtocolVersion {
		t.Errorf("MQTT 6: got %#x, want 0x84", ack.Code)
	}
	future.closed()
}

func TestConnackTerms(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.answer = edgewire.Connected{KeepAlive: 240, Known: true}
	e := startEdge(t, c, nil)
	_, ack := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) {
		p.CleanStart = false
		p.Properties = p.Properties.WithUint(mqtt.SessionExpiry, 3600)
	})
	if v, _ := ack.Properties.Uint(mqtt.ServerKeepAlive); v != 240 || !ack.SessionPresent {
		t.Errorf("server keep alive %d, session present %v", v, ack.SessionPresent)
	}
	if v, ok := ack.Properties.Uint(mqtt.MaximumQoS); !ok || v != 1 {
		t.Errorf("maximum QoS %d %v", v, ok)
	}
	if _, ack := connected(t, c, e, mqtt.V5, 2, func(p *mqtt.Connect) { p.CleanStart = false }); ack.SessionPresent {
		t.Error("session present without session expiry")
	}
	if _, ack := connected(t, c, e, mqtt.V311, 3, func(p *mqtt.Connect) { p.CleanStart = false }); !ack.SessionPresent {
		t.Error("no session present at 3.1.1")
	}
	if _, ack := connected(t, c, e, mqtt.V311, 4, nil); ack.SessionPresent {
		t.Error("session present after clean session")
	}
	c.do(func() { c.answer.Known = false })
	if _, ack := connected(t, c, e, mqtt.V311, 5, func(p *mqtt.Connect) { p.CleanStart = false }); ack.SessionPresent {
		t.Error("session present for a device that never connected")
	}
}

// Devices correct their clocks by it. The smallest packet that a device may ask for has room.
func TestConnackTellsTheTime(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	told := func(ack mqtt.Connack) string {
		for name, value := range ack.Properties.User() {
			if string(name) == "server_time" {
				return string(value)
			}
		}
		return ""
	}
	before := time.Now().UnixMilli()
	_, ack := connected(t, c, e, mqtt.V5, 1, nil)
	if at, err := strconv.ParseInt(told(ack), 10, 64); err != nil || at < before || at > time.Now().UnixMilli() {
		t.Errorf("server_time %q (%v), asked at %d", told(ack), err, before)
	}
	c.do(func() { c.answer.KeepAlive = 240 }) // the longest CONNACK
	_, ack = connected(t, c, e, mqtt.V5, 2, func(p *mqtt.Connect) { p.Properties = p.Properties.WithUint(mqtt.MaximumPacketSize, minPacket) })
	if size := len(ack.Append(nil, mqtt.V5)); told(ack) == "" || size > minPacket {
		t.Errorf("a device that takes %d bytes gets %d, server_time %q", minPacket, size, told(ack))
	}
}

func TestAppFactsAreCachedAndDropped(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	connected(t, c, e, mqtt.V5, 2, nil)
	c.do(func() {
		if c.asked != 1 {
			t.Errorf("the core was asked %d times, want once", c.asked)
		}
		c.facts[testAppKey] = edgewire.AppFacts{AppKey: testAppKey, ID: testApp, Enabled: false}
	})
	c.publish(edgewire.SubjectApps, edgewire.AppFacts{AppKey: testAppKey, ID: testApp, Enabled: false})
	d.ended(mqtt.NotAuthorized)
	again := newDevice(t, e, mqtt.V5)
	again.send(connectAs(c, mqtt.V5, 1, nil).Append(nil))
	if ack := again.connack(); ack.Code != mqtt.NotAuthorized {
		t.Errorf("disabled app: %#x", ack.Code)
	}
}

func TestUserNameThatIsNoAppKeyIsNotAskedFor(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	for _, v := range versions {
		for _, name := range []string{"", "nosuchapp", testAppKey + "x", testAppKey[1:] + "/", strings.Repeat("k", 4000)} {
			d := newDevice(t, e, v)
			d.send(connectAs(c, v, 1, func(p *mqtt.Connect) { p.Username = []byte(name) }).Append(nil))
			want := mqtt.BadUserNameOrPassword
			if v == mqtt.V311 {
				want = 4
			}
			if ack := d.connack(); ack.Code != want {
				t.Errorf("%.30q, version %d: %#x", name, v, ack.Code)
			}
		}
	}
	c.do(func() {
		if c.asked != 0 {
			t.Errorf("the core was asked %d times", c.asked)
		}
	})
	e.facts.mu.Lock()
	defer e.facts.mu.Unlock()
	if len(e.facts.known) != 0 {
		t.Errorf("%d remembered", len(e.facts.known))
	}
}

func TestConnectWaitsForCore(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	c.vanish()
	d := newDevice(t, e, mqtt.V5)
	d.send(connectAs(c, mqtt.V5, 1, nil).Append(nil))
	// What follows before the CONNACK is kept and read then.
	d.send(mqtt.AppendPingreq(nil))
	eventually(t, "admission under way", func() bool {
		e.facts.mu.Lock()
		defer e.facts.mu.Unlock()
		return len(e.facts.flights) == 1
	})
	c.listen()
	if ack := d.connack(); ack.Code != mqtt.Success {
		t.Fatalf("refused with %#x", ack.Code)
	}
	d.want(mqtt.PINGRESP)
}

func TestConnectGivesUpWithoutCore(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.vanish()
	e := startEdge(t, c, func(o *Options) { o.Limits.CoreWait = 50 * time.Millisecond })
	d := newDevice(t, e, mqtt.V311)
	d.send(connectAs(c, mqtt.V311, 1, nil).Append(nil))
	if ack := d.connack(); ack.Code != 3 {
		t.Fatalf("got %#x, want 3", ack.Code)
	}
	d.closed()
}

func TestConnectDeadline(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	fake := clock.NewFake(time.Now())
	e := startEdge(t, c, func(o *Options) { o.Clock = fake })
	silent, half := newDevice(t, e, mqtt.V5), newDevice(t, e, mqtt.V5)
	packet := connectAs(c, mqtt.V5, 1, nil).Append(nil)
	half.send(packet[:20])
	eventually(t, "both open", func() bool { return e.gate.open.Load() == 2 })
	fake.Advance(9 * time.Second)
	d, _ := connected(t, c, e, mqtt.V5, 2, nil)
	fake.Advance(1100 * time.Millisecond)
	silent.closed()
	half.closed()
	d.ping()
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	fake := clock.NewFake(time.Now())
	e := startEdge(t, c, func(o *Options) { o.Clock = fake })
	quiet, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) { p.KeepAlive = 10 })
	lively, _ := connected(t, c, e, mqtt.V5, 2, func(p *mqtt.Connect) { p.KeepAlive = 10 })
	endless, _ := connected(t, c, e, mqtt.V5, 3, func(p *mqtt.Connect) { p.KeepAlive = 0 })
	fake.Advance(14 * time.Second)
	eventually(t, "the loops have seen the time", func() bool { return allTicked(e) })
	lively.ping()
	quiet.conn.SetReadDeadline(time.Time{})
	fake.Advance(2 * time.Second)
	quiet.ended(mqtt.KeepAliveTimeout)
	lively.ping()
	endless.ping()
}

// allTicked reports whether every loop has read the present time.
func allTicked(e *Edge) bool {
	want := e.tickAt(e.clock.Now())
	for _, l := range e.loops {
		seen := make(chan uint32, 1)
		l.post(func() { seen <- l.tick })
		if <-seen != want {
			return false
		}
	}
	return true
}

func TestHalfOpenLimit(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.HalfOpenPerIP = 3 })
	for range 3 {
		newDevice(t, e, mqtt.V5)
	}
	eventually(t, "three open", func() bool { return e.gate.open.Load() == 3 })
	fourth := newDevice(t, e, mqtt.V5)
	fourth.closed()
	if n := e.gate.open.Load(); n != 3 {
		t.Fatalf("%d open", n)
	}
}

func TestHalfOpenPlaceIsGivenBack(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.HalfOpenPerIP = 1 })
	for i := range uint32(5) {
		d, _ := connected(t, c, e, mqtt.V5, i+1, nil)
		if i%2 == 0 {
			d.conn.Close()
		}
	}
	refused := newDevice(t, e, mqtt.V5)
	bad := connectAs(c, mqtt.V5, 9, func(p *mqtt.Connect) { p.Password = []byte("wrong") })
	refused.send(bad.Append(nil))
	refused.connack()
	refused.closed()
	connected(t, c, e, mqtt.V5, 10, nil)
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.Connections = 2 })
	first, _ := connected(t, c, e, mqtt.V5, 1, nil)
	connected(t, c, e, mqtt.V5, 2, nil)
	third := newDevice(t, e, mqtt.V5)
	third.closed()
	first.conn.Close()
	eventually(t, "room again", func() bool { return !e.gate.full() })
	connected(t, c, e, mqtt.V5, 3, nil)
}

func TestTakeOverInOneEdge(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Loops = 3 })
	older, _ := connected(t, c, e, mqtt.V5, 1, nil)
	// Enough take-overs to meet in the same loop and in different ones.
	for range 12 {
		newer, _ := connected(t, c, e, mqtt.V5, 1, nil)
		older.ended(mqtt.SessionTakenOver)
		older = newer
	}
	eventually(t, "one is online", func() bool { return e.presence.count() == 1 && c.isOnline("edge-1", 1) })
	c.push(message(1, "hello"), 1)
	if got := older.text(); got != "hello" {
		t.Fatalf("got %q", got)
	}
}

func TestTakeOverAcrossEdges(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	first := startEdge(t, c, nil)
	second := startEdge(t, c, func(o *Options) { o.ID = "edge-2" })
	older, _ := connected(t, c, first, mqtt.V5, 1, nil)
	newer, _ := connected(t, c, second, mqtt.V5, 1, nil)
	c.publish(edgewire.SubjectKick, edgewire.Kick{App: testApp, Ordinal: 1, Below: 2})
	older.ended(mqtt.SessionTakenOver)
	newer.ping()
	eventually(t, "moved", func() bool { return c.isOnline("edge-2", 1) && !c.isOnline("edge-1", 1) })
}

func TestKickDuringAdmission(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	e.admissions.begin(deviceKey{testApp, 1})
	e.kick(edgewire.Kick{App: testApp, Ordinal: 1, Below: 5})
	if code, kicked := e.admissions.end(deviceKey{testApp, 1}, 4); !kicked || code != mqtt.SessionTakenOver {
		t.Errorf("older connection: %v %#x", kicked, code)
	}
	if _, kicked := e.admissions.end(deviceKey{testApp, 1}, 4); kicked {
		t.Error("the kick outlived its admission")
	}
	e.admissions.begin(deviceKey{testApp, 1})
	e.kick(edgewire.Kick{App: testApp, All: true})
	if code, kicked := e.admissions.end(deviceKey{testApp, 1}, 9); !kicked || code != mqtt.NotAuthorized {
		t.Errorf("kick of all: %v %#x", kicked, code)
	}
}

func TestKick(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	one, _ := connected(t, c, e, mqtt.V5, 1, nil)
	two, _ := connected(t, c, e, mqtt.V311, 2, nil)
	three, _ := connected(t, c, e, mqtt.V5, 3, nil)
	c.publish(edgewire.ToEdge(edgewire.SubjectKick, "edge-1"), edgewire.Kick{App: testApp, Ordinal: 1})
	one.ended(mqtt.NotAuthorized)
	two.ping()
	c.publish(edgewire.SubjectKick, edgewire.Kick{App: testApp, All: true})
	two.ended(mqtt.NotAuthorized)
	three.ended(mqtt.NotAuthorized)
	eventually(t, "nobody online", func() bool { return e.presence.count() == 0 && e.gate.open.Load() == 0 })
}

func TestMalformedTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Loops = 1 })
	tests := []struct {
		name string
		send string
		code mqtt.Code
	}{
		{"reserved type", "\x00\x00", 0x81},
		{"reserved flags", "\xc1\x00", 0x81},
		{"endless length", "\xc0\xff\xff\xff\xff\x01", 0x81},
		{"QoS 3", "\x36\x08\x00\x04push\x00\x01", 0x81},
		{"topic not UTF-8", "\x30\x05\x00\x02\xff\xfe\x00", 0x81},
		{"packet id 0", "\x40\x02\x00\x00", 0x82},
		{"second CONNECT", "\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a", 0x82},
		{"packet only servers send", "\xd0\x00", 0x82},
		{"AUTH", "\xf0\x00", 0x82},
		{"too large", "\x30\x80\x80\x80\x01", 0x95},
		{"QoS 2", "\x34\x0e\x00\x09up/events\x00\x01\x00", 0x9B},
		{"topic alias", "\x32\x11\x00\x09up/events\x00\x01\x03\x23\x00\x01", 0x94},
		{"retain", "\x33\x0e\x00\x09up/events\x00\x01\x00", 0x9A},
		{"subscription id", "\x82\x0c\x00\x01\x02\x0b\x01\x00\x04push\x00", 0xA1},
		{"QoS 0 to another topic", "\x30\x04\x00\x01x\x00", 0x87},
		{"PUBREL", "\x62\x02\x00\x01", 0x82},
	}
	witness, _ := connected(t, c, e, mqtt.V5, 1, nil)
	for i, tt := range tests {
		for _, v := range versions {
			if v == mqtt.V311 && (tt.name == "retain" || tt.name == "subscription id" || tt.name == "topic alias") {
				continue // not an error there, or not to be expressed
			}
			d, _ := connected(t, c, e, v, uint32(i+2), nil)
			d.send([]byte(tt.send))
			t.Log(tt.name, v)
			d.ended(tt.code)
			witness.ping()
		}
	}
}

func TestBeforeConnect(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	for _, bytes := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00", "\xc0\x00", "\x10\xff\xff\xff\x7f", "\x30\x04\x00\x01x\x00"} {
		d := newDevice(t, e, mqtt.V5)
		d.send([]byte(bytes))
		d.closed()
	}
	malformed := newDevice(t, e, mqtt.V5)
	malformed.send([]byte("\x10\x0d\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x00")) // reserved flag
	if ack := malformed.connack(); ack.Code != mqtt.MalformedPacket {
		t.Errorf("malformed CONNECT: %#x", ack.Code)
	}
	malformed.closed()
}

func TestWillIsAcceptedAndIgnored(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	for _, v := range versions {
		d, _ := connected(t, c, e, v, uint32(v), func(p *mqtt.Connect) {
			p.HasWill, p.WillTopic, p.WillPayload, p.WillQoS = true, []byte("last/words"), []byte("bye"), 1
		})
		d.ping()
		d.conn.(*net.TCPConn).SetLinger(0)
		d.conn.Close()
	}
	eventually(t, "gone", func() bool { return e.gate.open.Load() == 0 })
	c.do(func() {
		if len(c.ups) > 0 {
			t.Errorf("a will was published: %+v", c.ups)
		}
	})
}
