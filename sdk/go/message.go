package borealis

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Types of messages.
const (
	TypeNotification = "notification"
	TypeMessage      = "message"
	TypeInApp        = "inapp"
	typeWithdraw     = "withdraw"
)

// Message is what was pushed.
type Message struct {
	ID string `json:"id"`
	// Type is notification, message or inapp.
	Type string `json:"type"`
	// Title, Alert, Extras and Options are those of a notification, for the device's platform.
	Title   string          `json:"title,omitempty"`
	Alert   string          `json:"alert,omitempty"`
	Extras  json.RawMessage `json:"extras,omitempty"`
	Options json.RawMessage `json:"options,omitempty"`
	// Message is a custom message; a notification may carry one too.
	Message *Custom         `json:"message,omitempty"`
	InApp   json.RawMessage `json:"inapp,omitempty"`
	// Override is the id of the message that this one replaces on the screen.
	Override string `json:"override,omitempty"`
	// ExpiresAt in Unix milliseconds by the server's clock; 0: never.
	ExpiresAt int64 `json:"expires_at,omitempty"`
	// Silent: the silence hours of the device's owner forbid sound, vibration and pop-ups.
	Silent bool `json:"-"`

	withdraw string
}

// Custom is a message for the app itself.
type Custom struct {
	Title       string          `json:"title,omitempty"`
	Content     json.RawMessage `json:"content,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
	Extras      json.RawMessage `json:"extras,omitempty"`
}

var errIgnored = errors.New("not a message this version knows")

// parseMessage reads a payload of topic push. Every error means that the payload is to be acknowledged and forgotten.
func parseMessage(payload []byte) (Message, error) {
	if !utf8.Valid(payload) {
		return Message{}, fmt.Errorf("%w: not UTF-8", errIgnored)
	}
	var w struct {
		Message
		Withdraw string `json:"withdraw"`
	}
	if err := json.Unmarshal(payload, &w); err != nil {
		return Message{}, fmt.Errorf("%w: %w", errIgnored, err)
	}
	m := w.Message
	m.withdraw = w.Withdraw
	switch {
	case m.ID == "" || m.Type == "":
		return Message{}, fmt.Errorf("%w: no id or no type", errIgnored)
	case m.Type == typeWithdraw && m.withdraw == "":
		return Message{}, fmt.Errorf("%w: a withdrawal of nothing", errIgnored)
	case m.Type != TypeNotification && m.Type != TypeMessage && m.Type != TypeInApp && m.Type != typeWithdraw:
		return Message{}, fmt.Errorf("%w: type %.20q", errIgnored, m.Type)
	}
	return m, nil
}

func (m *Message) key() string { return m.Type + "/" + m.ID }

// Silence are hours in the device's time, "HH:MM": From is in it, To is not. It passes midnight if From is later than To;
// equal ones mean the whole day.
type Silence struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (s *Silence) check() error {
	if s == nil {
		return nil
	}
	for _, v := range [...]string{s.From, s.To} {
		if _, err := minutes(v); err != nil {
			return err
		}
	}
	return nil
}

// covers reports whether the local time of day is within the hours.
func (s *Silence) covers(t time.Time) bool {
	if s == nil {
		return false
	}
	from, err := minutes(s.From)
	if err != nil {
		return false
	}
	to, err := minutes(s.To)
	if err != nil {
		return false
	}
	now := t.Hour()*60 + t.Minute()
	if from < to {
		return from <= now && now < to
	}
	return now >= from || now < to
}

func minutes(v string) (int, error) {
	t, err := time.Parse("15:04", v)
	if err != nil || len(v) != len("15:04") {
		return 0, fmt.Errorf("borealis: %.20q is not a time of day such as 22:00", v)
	}
	return t.Hour()*60 + t.Minute(), nil
}
