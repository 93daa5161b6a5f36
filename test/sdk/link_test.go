package sdk

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"borealis/internal/engine/edge/mqtt"
)

// injectedID is the first packet identifier of what the harness sends; the server does not get that far.
const injectedID = 60_000

// link is one connection of the device, and the one to the server behind it.
type link struct {
	device, server io.ReadWriteCloser
	writing        sync.Mutex // of device

	mu    sync.Mutex
	nextI uint16
	acked map[uint16]chan struct{}
	ended chan struct{}
}

// relay carries packets both ways until one side ends.
func (f *front) relay(device, server io.ReadWriteCloser) {
	l := &link{device: device, server: server, nextI: injectedID, acked: map[uint16]chan struct{}{}, ended: make(chan struct{})}
	f.mu.Lock()
	f.links = append(f.links, l)
	f.mu.Unlock()
	var down sync.WaitGroup
	down.Go(func() {
		_ = packets(server, func(p mqtt.Packet, raw []byte) error { return f.fromServer(l, p, raw) })
		_ = device.Close()
	})
	_ = packets(device, func(p mqtt.Packet, raw []byte) error { return f.fromDevice(l, p, raw) })
	_ = server.Close()
	_ = device.Close()
	down.Wait()
	close(l.ended)
	f.mu.Lock()
	f.links = slices.DeleteFunc(f.links, func(o *link) bool { return o == l })
	if f.greeted == l {
		f.greeted = nil
	}
	f.mu.Unlock()
}

// packets cuts a stream into packets.
func packets(from io.Reader, each func(p mqtt.Packet, raw []byte) error) error {
	var buf []byte
	chunk := make([]byte, 16<<10)
	for {
		p, n, err := mqtt.Next(buf, 1<<20)
		if err != nil {
			return err
		}
		if n > 0 {
			raw := slices.Clone(buf[:n])
			buf = buf[n:]
			p.Body = raw[n-len(p.Body):]
			if err := each(p, raw); err != nil {
				return err
			}
			continue
		}
		n, err = from.Read(chunk)
		buf = append(buf, chunk[:n]...)
		if err != nil && n == 0 {
			return err
		}
	}
}

func (f *front) fromServer(l *link, p mqtt.Packet, raw []byte) error {
	if p.Type == mqtt.CONNACK {
		if a, err := mqtt.ParseConnack(mqtt.V5, p.Body); err == nil && a.Code == mqtt.Success {
			f.mu.Lock()
			f.greeted = l
			close(f.news)
			f.news = make(chan struct{})
			f.mu.Unlock()
		}
	}
	return l.write(raw)
}

func (l *link) write(raw []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	_, err := l.device.Write(raw)
	return err
}

func (f *front) fromDevice(l *link, p mqtt.Packet, raw []byte) error {
	f.mu.Lock()
	deaf := f.deaf
	var code byte
	switch p.Type {
	case mqtt.CONNECT:
		f.packets["CONNECT"]++
		if len(f.connacks) > 0 {
			code, f.connacks = f.connacks[0], f.connacks[1:]
		}
	case mqtt.PUBACK:
		f.packets["PUBACK"]++
	}
	f.mu.Unlock()
	switch p.Type {
	case mqtt.CONNECT:
		if code != 0 {
			a := mqtt.Connack{Code: mqtt.Code(code)}
			_ = l.write(a.Append(nil, mqtt.V5))
			return io.EOF
		}
	case mqtt.PUBACK:
		if a, err := mqtt.ParsePuback(mqtt.V5, p.Body); err == nil && l.settle(a.PacketID) {
			return nil
		}
	case mqtt.PUBLISH:
		m, err := mqtt.ParsePublish(mqtt.V5, p.Flags, p.Body)
		if err != nil {
			f.t.Errorf("the device sent a PUBLISH that is none: %v", err)
			break
		}
		f.mu.Lock()
		f.packets[string(m.Topic)]++
		f.mu.Unlock()
		if string(m.Topic) == "up/events" {
			f.reported(m.Payload)
		}
	}
	if deaf {
		return nil
	}
	_, err := l.server.Write(raw)
	return err
}

// settle notes the acknowledgement of what the harness sent.
func (l *link) settle(id uint16) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	done, ok := l.acked[id]
	if ok {
		close(done)
		delete(l.acked, id)
	}
	return ok
}

func (f *front) reported(body []byte) {
	e := sentEvents{at: time.Now().UnixMilli()}
	if err := e.parse(body); err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
}

// online waits for a connection that the server accepted.
func (f *front) online() (*link, error) {
	late := time.After(patience)
	for {
		f.mu.Lock()
		l, news := f.greeted, f.news
		f.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-news:
		case <-late:
			return nil, fmt.Errorf("the device is not connected")
		}
	}
}

// inject sends a payload as if from the server, and waits for its acknowledgement if wanted.
func (f *front) inject(payload []byte, wait bool) error {
	l, err := f.online()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	l.mu.Lock()
	l.nextI++
	id := l.nextI
	l.acked[id] = done
	l.mu.Unlock()
	p := mqtt.Publish{QoS: 1, PacketID: id, Topic: []byte("push"), Payload: payload}
	if err := l.write(p.Append(nil, mqtt.V5)); err != nil || !wait {
		return err
	}
	select {
	case <-done:
		return nil
	case <-l.ended:
		select {
		case <-done:
			return nil
		default:
			return fmt.Errorf("the device ended the connection instead of acknowledging")
		}
	case <-time.After(patience):
		return fmt.Errorf("not acknowledged")
	}
}
