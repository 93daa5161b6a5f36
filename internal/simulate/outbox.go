package simulate

import (
	"errors"

	"borealis/internal/engine/edge/mqtt"
)

const (
	// maxUps is how many ups wait at most.
	maxUps = 256
	// upWindow is how many are under way at once, unless the server takes fewer.
	upWindow = 16
)

// ErrBusy says that too many ups wait to be acknowledged; the new one was not taken.
var ErrBusy = errors.New("too many unacknowledged messages to the server")

// outbox keeps what a device has to say, at QoS 1, until it is acknowledged. It survives connections.
type outbox struct {
	list []up // oldest first; those under way are at the front
	sent int  // of list
	id   uint16
}

type up struct {
	topic   string
	payload []byte
	id      uint16 // 0: never sent
}

func (o *outbox) add(topic string, payload []byte) error {
	if len(o.list) >= maxUps {
		return ErrBusy
	}
	o.list = append(o.list, up{topic: topic, payload: payload})
	return nil
}

// restart forgets what is under way: it is sent again, first, on the next connection.
func (o *outbox) restart() { o.sent = 0 }

// send passes on what fits into the window.
func (o *outbox) send(window uint16, publish func(*mqtt.Publish) error) error {
	for ; o.sent < len(o.list) && o.sent < int(min(window, upWindow)); o.sent++ {
		u := &o.list[o.sent]
		again := u.id != 0
		if !again {
			u.id = o.freeID()
		}
		err := publish(&mqtt.Publish{Dup: again, QoS: 1, PacketID: u.id, Topic: []byte(u.topic), Payload: u.payload})
		if err != nil {
			return err
		}
	}
	return nil
}

// freeID is the next packet identifier that no waiting up has.
func (o *outbox) freeID() uint16 {
	for {
		o.id++
		taken := o.id == 0
		for i := range o.list {
			taken = taken || o.list[i].id == o.id
		}
		if !taken {
			return o.id
		}
	}
}

// acked removes an up and returns its topic; empty: there is none with this identifier under way.
func (o *outbox) acked(id uint16) string {
	for i := range o.list[:o.sent] {
		if o.list[i].id == id {
			topic := o.list[i].topic
			o.list = append(o.list[:i], o.list[i+1:]...)
			o.sent--
			if len(o.list) == 0 {
				o.list = nil
			}
			return topic
		}
	}
	return ""
}
