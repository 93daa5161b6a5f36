package simulate

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"borealis/internal/engine/edge/mqtt"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]endpoint{
		"tcp://h":         {address: "h:1883", host: "h"},
		"mqtt://h:7":      {address: "h:7", host: "h"},
		"mqtts://h":       {address: "h:8883", host: "h", tls: true},
		"tcp://[::1]:5":   {address: "[::1]:5", host: "::1"},
		"ws://h/mqtt":     {address: "h:80", host: "h"},
		"wss://h:44/mqtt": {address: "h:44", host: "h", tls: true},
	} {
		got, err := parseEndpoint(text)
		if (got.ws != nil) != strings.HasPrefix(text, "ws") {
			t.Errorf("%s: WebSocket %v", text, got.ws)
		}
		got.ws = nil
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "h:1883", "http://h", "tcp://", "tcp://:1883", "tcp://h:x", "\x00"} {
		if got, err := parseEndpoint(text); err == nil {
			t.Errorf("%q accepted: %+v", text, got)
		}
	}
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		_, err := Connect(t.Context(), ConnOptions{Address: w.Address(), Version: v, ClientID: "x", Username: testKey, Password: "no", Handler: silence{}})
		refused, ok := errors.AsType[*RefusedError](err)
		if !ok || !refused.Permanent() || refused.Accepted || !strings.Contains(err.Error(), "wrong AppKey, registration id or secret") {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

func TestConnectGivesUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := "tcp://" + l.Addr().String()
	_, err = Connect(t.Context(), ConnOptions{Address: address, Timeout: 30 * time.Millisecond, Handler: silence{}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent server: %v", err)
	}
	l.Close()
	if _, err = Connect(t.Context(), ConnOptions{Address: address, Handler: silence{}}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no server: %v", err)
	}
}

// pipe is a connected Conn and the server's end of it. The CONNACK asks for a keep-alive of 100 s.
func pipe(t *testing.T, h Handler) (*Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		_, _ = io.ReadFull(far, make([]byte, 1))
		buf := make([]byte, 512)
		_, _ = far.Read(buf)
		ack := mqtt.Connack{Properties: mqtt.Properties(nil).WithUint(mqtt.ServerKeepAlive, 100)}
		_, _ = far.Write(ack.Append(nil, mqtt.V5))
	}()
	c, err := Connect(t.Context(), ConnOptions{
		Address: "tcp://pipe", KeepAlive: time.Hour, Handler: h,
		Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return c, far
}

func TestPingsAndSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t, silence{})
		if c.KeepAlive() != 100*time.Second {
			t.Fatalf("the server's keep-alive was not taken: %s", c.KeepAlive())
		}
		began, ended := time.Now(), make(chan error, 1)
		go func() { ended <- c.Serve() }()
		for i := 1; i <= 3; i++ {
			ping := make([]byte, 2)
			if _, err := io.ReadFull(far, ping); err != nil || ping[0] != byte(mqtt.PINGREQ)<<4 {
				t.Fatalf("ping %d: % x, %v", i, ping, err)
			}
			if since := time.Since(began); since != time.Duration(i)*75*time.Second {
				t.Errorf("ping %d came after %s", i, since)
			}
			if i < 3 {
				if _, err := far.Write(mqtt.AppendPingresp(nil)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := <-ended; !errors.Is(err, errSilent) {
			t.Errorf("no answer to the third ping: %v", err)
		}
		if since := time.Since(began); since != 300*time.Second {
			t.Errorf("given up after %s", since)
		}
	})
}

// A slow server: every byte by itself, with more time between two than between pings.
func TestPacketsInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		h := handlerFunc(func(p *mqtt.Publish) { got = append(got, string(p.Payload)) })
		c, far := pipe(t, h)
		go func() { _ = c.Serve() }()
		p := mqtt.Publish{QoS: 1, PacketID: 7, Topic: []byte("push"), Payload: []byte("abc")}
		answers := make(chan []byte, 100)
		go func() {
			for {
				b := make([]byte, 16)
				n, err := far.Read(b)
				if err != nil {
					close(answers)
					return
				}
				if b[0] == byte(mqtt.PINGREQ)<<4 {
					continue // it answers with the next byte
				}
				answers <- b[:n]
			}
		}()
		for _, b := range p.Append(nil, mqtt.V5) {
			time.Sleep(80 * time.Second)
			if _, err := far.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		ack, err := mqtt.ParsePuback(mqtt.V5, (<-answers)[2:])
		if err != nil || ack.PacketID != 7 || len(got) != 1 || got[0] != "abc" {
			t.Errorf("received %q, acknowledged %+v, %v", got, ack, err)
		}
	})
}

func TestBrokenServers(t *testing.T) {
	t.Parallel()
	big := []byte{byte(mqtt.PUBLISH) << 4, 0xff, 0xff, 0xff, 0x7f}
	for name, bytes := range map[string][]byte{
		"reserved type": {0x00, 0x00},
		"CONNACK again": {byte(mqtt.CONNACK) << 4, 0x03, 0, 0, 0},
		"too large":     big,
		"bad PUBLISH":   {byte(mqtt.PUBLISH) << 4, 0x01, 0x00},
		"bad PUBACK":    {byte(mqtt.PUBACK) << 4, 0x01, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, far := pipe(t, silence{})
			go func() { _, _ = far.Write(bytes) }()
			if err := c.Serve(); err == nil || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDisconnectByServer(t *testing.T) {
	t.Parallel()
	c, far := pipe(t, silence{})
	go func() {
		d := mqtt.Disconnect{Code: mqtt.UseAnotherServer, Properties: mqtt.Properties(nil).WithString(mqtt.ServerReference, "other:1")}
		_, _ = far.Write(d.Append(nil, mqtt.V5))
	}()
	refused, ok := errors.AsType[*RefusedError](c.Serve())
	if !ok || !refused.Accepted || refused.Permanent() || refused.Reference != "other:1" {
		t.Errorf("got %+v", refused)
	}
}

// What is published before the SUBACK reaches the handler.
func TestSubscribeMeanwhile(t *testing.T) {
	t.Parallel()
	var got []string
	c, far := pipe(t, handlerFunc(func(p *mqtt.Publish) { got = append(got, string(p.Payload)) }))
	go func() {
		buf := make([]byte, 64)
		_, _ = far.Read(buf)
		p := mqtt.Publish{Topic: []byte("push"), Payload: []byte("early")}
		ack := mqtt.Suback{PacketID: 1, Codes: []byte{0}}
		_, _ = far.Write(ack.Append(p.Append(nil, mqtt.V5), mqtt.V5, mqtt.SUBACK))
	}()
	if qos, err := c.Subscribe("push", 0); err != nil || qos != 0 || len(got) != 1 || got[0] != "early" {
		t.Errorf("granted %d, %v, received %q", qos, err, got)
	}
}

type handlerFunc func(*mqtt.Publish)

func (f handlerFunc) Published(p *mqtt.Publish) { f(p) }
func (handlerFunc) Acked(uint16, mqtt.Code)     {}
