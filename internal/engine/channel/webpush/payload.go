package webpush

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sort"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// payload is what the service worker gets, in the members of the frames that our own channel brings.
type payload struct {
	ID string `json:"id"`
	// MsgID is under wire.IDKey, as with every vendor.
	MsgID  string          `json:"_j_msgid"`
	Type   string          `json:"type"`
	Title  string          `json:"title,omitempty"`
	Alert  string          `json:"alert,omitempty"`
	Extras json.RawMessage `json:"extras,omitempty"`
	// Options are those of showNotification.
	Options map[string]json.RawMessage `json:"options,omitempty"`
	URL     string                     `json:"url,omitempty"`
	Badge   *badge                     `json:"app_badge,omitempty"`
	// Foreground is given if it is false.
	Foreground *bool   `json:"foreground,omitempty"`
	Message    *custom `json:"message,omitempty"`
	Override   string  `json:"override,omitempty"`
	ExpiresAt  int64   `json:"expires_at"`
}

type badge struct {
	Add int  `json:"add,omitempty"`
	Set *int `json:"set,omitempty"`
}

type custom struct {
	Title       string          `json:"title,omitempty"`
	Content     string          `json:"content"`
	ContentType string          `json:"content_type,omitempty"`
	Extras      json.RawMessage `json:"extras,omitempty"`
}

// errTooLong: nothing that may be cut is left.
var errTooLong = fmt.Errorf("the message is longer than the %d bytes that push services take", maxText)

// text is the message as the service worker gets it, at most maxText bytes.
func (v *Vendor) text(m *wire.Message, o *options) ([]byte, error) {
	p := &payload{ID: m.ID, MsgID: m.ID, Override: m.Replaces, ExpiresAt: clock.Millis(v.clock.Now().Add(m.TTL))}
	if m.Kind == wire.Data {
		p.Type = "message"
		p.Message = &custom{Title: m.Title, Content: m.Body, ContentType: m.ContentType, Extras: m.Extras}
		return p.fit(m.Truncate, &p.Message.Content, &p.Message.Title)
	}
	p.Type = "notification"
	p.Title, p.Alert, p.Extras, p.URL = m.Title, m.Body, m.Extras, m.Click.URL
	p.Options = shown(m, o)
	if m.Badge.Add != 0 || m.Badge.Set != nil {
		p.Badge = &badge{Add: m.Badge.Add, Set: m.Badge.Set}
	}
	if m.Foreground != nil && !*m.Foreground {
		p.Foreground = m.Foreground
	}
	return p.fit(m.Truncate, &p.Alert, &p.Title)
}

// shown are the options of showNotification: what the push says, and over it what its object for web push says. The tag makes
// a browser show one notification for a message, and one in the place of the one it replaces.
func shown(m *wire.Message, o *options) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage)
	for name, value := range map[string]string{"icon": m.LargeIcon, "badge": m.SmallIcon, "image": m.Style.BigPicture, "tag": topicOf(m)} {
		if value != "" {
			out[name] = encode(value)
		}
	}
	maps.Copy(out, o.Notification)
	return out
}

// fit encodes the payload and, if it may, cuts the texts, one after the other, until it is short enough.
func (p *payload) fit(truncate bool, texts ...*string) ([]byte, error) {
	out, err := p.encode()
	if err != nil || len(out) <= maxText {
		return out, err
	}
	if !truncate {
		return nil, errTooLong
	}
	for _, text := range texts {
		whole := *text
		// How many bytes of the text fit: encoded text grows with its length, so the longest is found by halving.
		n := sort.Search(len(whole), func(n int) bool {
			*text = wire.CutBytes(whole, n+1)
			out, err = p.encode()
			return err != nil || len(out) > maxText
		})
		*text = wire.CutBytes(whole, n)
		if out, err = p.encode(); err != nil || len(out) <= maxText {
			return out, err
		}
	}
	return nil, errTooLong
}

func (p *payload) encode() ([]byte, error) {
	text, err := wire.JSON(p)
	if err != nil {
		return nil, errors.New("extras or options are not JSON")
	}
	return text, nil
}

// encode is the JSON of a text.
func encode(text string) json.RawMessage {
	out, err := json.Marshal(text)
	if err != nil { // no text is refused
		return json.RawMessage(`""`)
	}
	return out
}
