package simulate

import (
	"encoding/json"
	"fmt"
	"time"
)

// Message types.
const (
	TypeNotification = "notification"
	TypeMessage      = "message"
	TypeInApp        = "inapp"
	TypeWithdraw     = "withdraw"
)

// Message is what a device received on topic "push".
type Message struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	// Title, Alert, Extras and Options are those of a notification.
	Title   string          `json:"title,omitempty"`
	Alert   string          `json:"alert,omitempty"`
	Extras  json.RawMessage `json:"extras,omitempty"`
	Options json.RawMessage `json:"options,omitempty"`
	// Message is the custom message; a notification may carry one too.
	Message *Custom         `json:"message,omitempty"`
	InApp   json.RawMessage `json:"inapp,omitempty"`
	// Override is the message this one replaces, Withdraw the one it removes.
	Override string `json:"override,omitempty"`
	Withdraw string `json:"withdraw,omitempty"`
	// ExpiresAt in Unix milliseconds.
	ExpiresAt int64 `json:"expires_at,omitempty"`

	// At is when it arrived, QoS how.
	At  time.Time `json:"-"`
	QoS byte      `json:"-"`
}

// Custom is a message for the app itself.
type Custom struct {
	Title       string          `json:"title,omitempty"`
	Content     json.RawMessage `json:"content,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
	Extras      json.RawMessage `json:"extras,omitempty"`
}

// ParseMessage reads the payload of topic "push". Members it does not know are ignored.
func ParseMessage(payload []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(payload, &m); err != nil {
		return Message{}, fmt.Errorf("payload of a push: %w", err)
	}
	if m.ID == "" || m.Type == "" {
		return Message{}, fmt.Errorf("payload of a push: no id or no type in %.100q", payload)
	}
	return m, nil
}

// recentSize is how many messages a device remembers.
const recentSize = 256

// recent remembers the last messages by (id, type). The zero value is ready.
type recent struct {
	known map[messageKey]struct{}
	ring  []messageKey
	next  int
}

type messageKey struct{ id, kind string }

// add reports whether the message is new, and remembers it.
func (r *recent) add(id, kind string) bool {
	key := messageKey{id, kind}
	if _, known := r.known[key]; known {
		return false
	}
	if r.known == nil {
		r.known = map[messageKey]struct{}{}
	}
	r.known[key] = struct{}{}
	if len(r.ring) < recentSize {
		r.ring = append(r.ring, key)
		return true
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next] = key
	r.next = (r.next + 1) % recentSize
	return true
}
