package push

import (
	"fmt"
	"strconv"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/service/push/payload"
)

// maxRows is the default of Deps.MaxRows; it is also what one call may name.
const maxRows = 1000

// states of a message, as stored.
const (
	stateLive = 1
	stateDone = 2
)

// Outcome says how a (device, message) pair ended. The numbers are stored; never reuse one.
type Outcome uint8

// Outcomes. Owed is none yet.
const (
	Owed Outcome = iota
	Delivered
	VendorAccepted
	Suppressed
	Replaced
	Withdrawn
	Expired
	Overflow
	Gone
	// Unreachable: the push was for vendors' channels alone, and none of them took it.
	Unreachable
	outcomeEnd
)

var outcomeNames = [outcomeEnd]string{"owed", "delivered", "vendor", "suppressed", "replaced", "withdrawn", "expired", "overflow", "gone", "unreachable"}

// String is the reason as reports show it.
func (o Outcome) String() string {
	if o >= outcomeEnd {
		return strconv.Itoa(int(o))
	}
	return outcomeNames[o]
}

// kind of a message. The numbers are stored.
type kind uint8

const (
	kindPush kind = iota
	// kindWithdraw asks devices to take the message Override off their screens. It is in no report and no statistics,
	// and takes no place among the newest N that a device gets when it connects.
	kindWithdraw
	// kindFrame is a frame that another service made for one device (frame.go). It is in no report and no statistics either,
	// takes no place among the newest N, and is deleted when it ends.
	kindFrame
)

// message is an accepted push without its targets.
type message struct {
	ID   int64
	App  int64
	Kind kind
	// Wide: its targets are kept as sets.
	Wide     bool
	Targets  int64
	Override int64
	SendNo   int64
	// Pace is how many milliseconds its release takes; 0: all at once. A paced message is wide.
	Pace int64
	// Callback: the push itself says where its receipts go.
	Callback bool
	// Held: vendors' channels go first, so its targets are held from the beginning. It is not kept.
	Held bool
	// WithdrawnAt is Unix milliseconds, 0 if it was not withdrawn.
	WithdrawnAt int64
	// OnlineOnly: time to live 0. It goes to devices that are connected when it is accepted, and to nobody later.
	OnlineOnly bool
	Everybody  bool
	AcceptedAt int64 // Unix milliseconds, as is ExpiresAt
	ExpiresAt  int64
	Raw        []byte
	push       *payload.Push // decoded Raw; nil until needed
}

// onlineGrace is how long a message with time to live 0 may take to reach the devices that were online.
const onlineGrace = 10 * time.Second

// older is the order of acceptance.
func (m *message) older(o *message) bool {
	if m.AcceptedAt != o.AcceptedAt {
		return m.AcceptedAt < o.AcceptedAt
	}
	return m.ID < o.ID
}

// decoded is the push object of the message.
func (m *message) decoded() (*payload.Push, error) {
	if m.push == nil {
		push, err := payload.Decode(m.Raw, payload.Rules{})
		if err != nil {
			return nil, err
		}
		m.push = push
	}
	return m.push, nil
}

// pace is when its targets are released.
func (m *message) pace() pace { return pace{from: m.AcceptedAt, over: m.Pace, key: uint16(m.ID)} }

// content returns the frame payload for a platform, or nil when the message has nothing for it.
func (m *message) content(p audience.Platform) ([]byte, error) {
	switch m.Kind {
	case kindWithdraw:
		return fmt.Appendf(nil, `{"id":"%d","type":"withdraw","withdraw":"%d"}`, m.ID, m.Override), nil
	case kindFrame:
		return m.frame(), nil
	case kindPush:
	}
	push, err := m.decoded()
	if err != nil {
		return nil, err
	}
	frame, ok := push.Resolve(m.ID, p, m.ExpiresAt)
	if !ok {
		return nil, nil
	}
	return frame, nil
}

// sendNo is the wire form: what the caller gave, or "0".
func sendNo(n int64) string { return strconv.FormatInt(n, 10) }

// FormatID is the wire form of a message id.
func FormatID(id int64) string { return strconv.FormatInt(id, 10) }

// ParseID reads a message id: decimal digits below 2^53, without sign or leading zero.
func ParseID(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n >= 1<<53 || strconv.FormatInt(n, 10) != s {
		return 0, false
	}
	return n, true
}
