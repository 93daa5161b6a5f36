package edge

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"borealis/internal/engine/edge/mqtt"
)

// device is a client that does only what the test says: nothing is acknowledged or answered by itself.
type device struct {
	t       testing.TB
	conn    net.Conn
	version mqtt.Version
	buf     []byte
	body    []byte // of the packet read last
}

// newDevice opens a connection to the edge.
func newDevice(t testing.TB, e *Edge, v mqtt.Version) *device {
	t.Helper()
	conn, err := net.Dial("tcp", e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &device{t: t, conn: conn, version: v}
}

// connectAs is a CONNECT of the core's device; change may adapt it.
func connectAs(c *core, v mqtt.Version, ordinal uint32, change func(*mqtt.Connect)) *mqtt.Connect {
	id, secret := c.identity(ordinal)
	p := &mqtt.Connect{
		Version: v, CleanStart: true, KeepAlive: 60, ClientID: []byte(id),
		HasUsername: true, Username: []byte(testAppKey), HasPassword: true, Password: []byte(secret),
	}
	if change != nil {
		change(p)
	}
	return p
}

// connected connects the core's device with the ordinal and returns when it is accepted.
func connected(t testing.TB, c *core, e *Edge, v mqtt.Version, ordinal uint32, change func(*mqtt.Connect)) (*device, mqtt.Connack) {
	t.Helper()
	d := newDevice(t, e, v)
	d.send(connectAs(c, v, ordinal, change).Append(nil))
	ack := d.connack()
	if ack.Code != mqtt.Success {
		t.Fatalf("device %d refused with %#x", ordinal, ack.Code)
	}
	return d, ack
}

func (d *device) send(b []byte) {
	d.t.Helper()
	if _, err := d.conn.Write(b); err != nil {
		d.t.Fatalf("device: %v", err)
	}
}

// next reads one packet; io.EOF when the edge has closed.
func (d *device) next(wait time.Duration) (mqtt.Packet, error) {
	if err := d.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return mqtt.Packet{}, err
	}
	for {
		p, n, err := mqtt.Next(d.buf, 1<<24)
		if err != nil {
			return p, err
		}
		if n > 0 {
			d.body = append(d.body[:0], p.Body...)
			p.Body = d.body
			d.buf = append(d.buf[:0], d.buf[n:]...)
			return p, nil
		}
		var chunk [4096]byte
		n, err = d.conn.Read(chunk[:])
		d.buf = append(d.buf, chunk[:n]...)
		if err != nil && n == 0 {
			return p, err
		}
	}
}

const patience = 10 * time.Second

func (d *device) want(kind mqtt.Type) mqtt.Packet {
	d.t.Helper()
	p, err := d.next(patience)
	if err != nil {
		d.t.Fatalf("waiting for packet type %d: %v", kind, err)
	}
	if p.Type != kind {
		d.t.Fatalf("got packet type %d % x, want type %d", p.Type, p.Body, kind)
	}
	return p
}

func (d *device) connack() mqtt.Connack {
	d.t.Helper()
	ack, err := mqtt.ParseConnack(d.version, d.want(mqtt.CONNACK).Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return ack
}

func (d *device) publish() mqtt.Publish {
	d.t.Helper()
	packet := d.want(mqtt.PUBLISH)
	p, err := mqtt.ParsePublish(d.version, packet.Flags, packet.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// text reads a PUBLISH and acknowledges it.
func (d *device) text() string {
	d.t.Helper()
	p := d.publish()
	if p.QoS > 0 {
		d.ack(p.PacketID)
	}
	return string(p.Payload)
}

func (d *device) ack(id uint16) {
	d.t.Helper()
	p := mqtt.Puback{PacketID: id}
	d.send(p.Append(nil, d.version))
}

func (d *device) puback() mqtt.Puback {
	d.t.Helper()
	p, err := mqtt.ParsePuback(d.version, d.want(mqtt.PUBACK).Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// up publishes to the server.
func (d *device) up(topic string, qos byte, id uint16, payload string) {
	d.t.Helper()
	p := mqtt.Publish{Topic: []byte(topic), QoS: qos, PacketID: id, Payload: []byte(payload)}
	d.send(p.Append(nil, d.version))
}

// ping shows that the connection is alive and everything sent before has been read, and that nothing else came.
func (d *device) ping() {
	d.t.Helper()
	d.send(mqtt.AppendPingreq(nil))
	d.want(mqtt.PINGRESP)
}

// ended expects the end of the connection: at MQTT 5 with the code, at MQTT 3.1.1 without a word.
func (d *device) ended(code mqtt.Code) {
	d.t.Helper()
	if d.version == mqtt.V5 {
		p, err := mqtt.ParseDisconnect(d.version, d.want(mqtt.DISCONNECT).Body)
		if err != nil || p.Code != code {
			d.t.Fatalf("disconnected with %#x (%v), want %#x", p.Code, err, code)
		}
	}
	d.closed()
}

// closed expects that the edge closes the connection without another packet.
func (d *device) closed() {
	d.t.Helper()
	p, err := d.next(patience)
	switch {
	case err == nil:
		d.t.Fatalf("got packet type %d % x, want the connection closed", p.Type, p.Body)
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.t.Fatal("the connection was not closed")
	case !errors.Is(err, io.EOF):
		d.t.Logf("closed with %v", err)
	}
}
