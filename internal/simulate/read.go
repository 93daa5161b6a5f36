package simulate

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

// errSilent says that the server did not answer a ping.
var errSilent = errors.New("the server does not answer")

// Serve reads until the connection ends and says why: net.ErrClosed after Close, io.EOF when the server closed without
// a word, *RefusedError when it gave a reason.
func (c *Conn) Serve() error {
	if err := c.deadline(c.interval()); err != nil {
		return err
	}
	c.early = false
	for {
		p, err := c.next()
		if err == nil {
			err = c.dispatch(p)
		}
		if err != nil {
			return err
		}
	}
}

// interval between pings: well within the keep-alive, so that a late one is no reason to be cut off.
func (c *Conn) interval() time.Duration { return c.keepAlive * 3 / 4 }

// deadline sets the read deadline d from now; 0: none.
func (c *Conn) deadline(d time.Duration) error {
	var at time.Time
	if d > 0 {
		at = clock.System{}.Now().Add(d)
	}
	return c.socket.SetReadDeadline(at)
}

// next is the next packet; it is valid until the call after this one.
func (c *Conn) next() (mqtt.Packet, error) {
	for {
		p, n, err := mqtt.Next(c.in[c.at:], maxPacket)
		if err != nil {
			return p, fmt.Errorf("the server broke the protocol: %w", err)
		}
		if n > 0 {
			c.at += n
			return p, nil
		}
		if err := c.flush(); err != nil {
			return p, err
		}
		if err := c.fill(); err != nil {
			return p, err
		}
	}
}

// dispatch handles a packet after the handshake.
func (c *Conn) dispatch(p mqtt.Packet) (err error) {
	switch p.Type {
	case mqtt.PUBLISH:
		if c.pub, err = mqtt.ParsePublish(c.version, p.Flags, p.Body); err != nil {
			return fmt.Errorf("read PUBLISH: %w", err)
		}
		c.handler.Published(&c.pub)
		if c.pub.QoS == 0 {
			return nil
		}
		ack := mqtt.Puback{PacketID: c.pub.PacketID}
		if c.acks = ack.Append(c.acks, c.version); len(c.acks) >= maxAcks {
			return c.flush()
		}
		return nil
	case mqtt.PUBACK:
		ack, err := mqtt.ParsePuback(c.version, p.Body)
		if err != nil {
			return fmt.Errorf("read PUBACK: %w", err)
		}
		c.handler.Acked(ack.PacketID, ack.Code)
		return nil
	case mqtt.PINGRESP:
		return mqtt.ParseEmpty(p.Body)
	case mqtt.DISCONNECT:
		d, err := mqtt.ParseDisconnect(c.version, p.Body)
		if err != nil {
			return fmt.Errorf("read DISCONNECT: %w", err)
		}
		return c.refusal(d.Code, d.Properties, true)
	default:
		return fmt.Errorf("the server sent packet type %d", p.Type)
	}
}

// flush sends the acknowledgements gathered.
func (c *Conn) flush() error {
	if len(c.acks) == 0 {
		return nil
	}
	err := c.write(c.acks)
	c.acks = c.acks[:0]
	return err
}

// fill waits for bytes and adds them to in.
func (c *Conn) fill() error {
	c.in, c.at = c.in[:copy(c.in, c.in[c.at:])], 0
	if len(c.in) == 0 && cap(c.in) > keepSize {
		c.in = nil
	}
	if c.frames != nil {
		return c.frames.fill(c)
	}
	var err error
	c.in, err = c.receive(c.in)
	return err
}

// receive appends to b what the socket has, at least one byte, and sends pings while it has nothing.
func (c *Conn) receive(b []byte) ([]byte, error) {
	if cap(b)-len(b) < readSize/2 {
		b = slices.Grow(b, readSize)
	}
	for {
		n, err := c.socket.Read(b[len(b):cap(b)])
		switch {
		case n > 0:
			c.heard = true
			return b[:len(b)+n], nil
		case c.early || !errors.Is(err, os.ErrDeadlineExceeded):
			return b, err
		}
		if err := c.ping(); err != nil {
			return b, err
		}
	}
}

// ping asks for a sign of life; the last one must have been answered.
func (c *Conn) ping() error {
	if c.pinged && !c.heard {
		return errSilent
	}
	c.pinged, c.heard = true, false
	if err := c.write(mqtt.AppendPingreq(nil)); err != nil {
		return err
	}
	return c.deadline(c.interval())
}

func (c *Conn) writeRaw(b []byte) error {
	if err := c.socket.SetWriteDeadline(clock.System{}.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := c.socket.Write(b)
	return err
}
