package apns

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

// Priorities of APNs: at once, when it suits the device, and without waking it.
const (
	atOnce   = 10
	suitable = 5
	unwoken  = 1
)

// payload is a payload whose size is not known yet.
type payload struct {
	pushType, suffix string
	priority         int
	// top are the fields of the payload, aps what is for the system; nil if there is none.
	top, aps map[string]any
	// body is the text that may be cut; setBody writes another one into its place. nil: there is none.
	body    string
	setBody func(string)
}

// newPayload is the payload of a message.
func newPayload(m *wire.Message, now time.Time) (*payload, error) {
	apple := m.Apple
	if apple == nil {
		apple = &wire.Apple{Badge: m.Badge.Set}
	}
	switch m.Kind {
	case wire.Notification:
		return notification(m, apple)
	case wire.Data:
		return data(m)
	case wire.VoIP:
		return voip(m, apple)
	case wire.Live:
		return live(m, apple.Live, now)
	}
	return nil, fmt.Errorf("there is no push type for %q", m.Kind)
}

// notification shows something, plays a sound or sets a badge, else it wakes the app without anybody noticing.
func notification(m *wire.Message, a *wire.Apple) (*payload, error) {
	top, err := object("extras", m.Extras)
	if err != nil {
		return nil, err
	}
	p := &payload{pushType: typeAlert, priority: atOnce, top: top, aps: map[string]any{}}
	if err := p.setAlert(m, a.Alert); err != nil {
		return nil, err
	}
	if err := p.setSound(a.Sound); err != nil {
		return nil, err
	}
	if a.Badge != nil {
		p.aps["badge"] = max(0, *a.Badge)
	}
	switch {
	case len(p.aps) > 0 && m.Priority == -1:
		p.priority = suitable
	case len(p.aps) > 0 && m.Priority < -1:
		p.priority = unwoken
	case len(p.aps) > 0:
	case a.ContentAvailable:
		p.pushType, p.priority = typeBackground, suitable
	default:
		return nil, errors.New("nothing of the notification would be seen or heard, and it has no content-available")
	}
	if a.ContentAvailable {
		p.aps["content-available"] = 1
	}
	if a.MutableContent {
		p.aps["mutable-content"] = 1
	}
	for key, text := range map[string]string{"category": a.Category, "thread-id": a.ThreadID, "interruption-level": a.InterruptionLevel} {
		if text != "" {
			p.aps[key] = text
		}
	}
	p.setID(m.ID)
	return p, nil
}

// setAlert takes the alert in Apple's shape; for a message that says nothing in it, the title and body that all channels have. An
// empty one is none.
func (p *payload) setAlert(m *wire.Message, raw json.RawMessage) error {
	if none(raw) {
		if m.Apple != nil || m.Title == "" && m.Body == "" {
			return nil
		}
		alert := map[string]any{"body": m.Body}
		if m.Title != "" {
			alert["title"] = m.Title
		}
		p.aps["alert"], p.body, p.setBody = alert, m.Body, func(text string) { alert["body"] = text }
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text != "" {
			p.aps["alert"], p.body, p.setBody = text, text, func(text string) { p.aps["alert"] = text }
		}
		return nil
	}
	alert, err := object("alert", raw)
	if err != nil {
		return err
	}
	if len(alert) == 0 {
		return nil
	}
	p.aps["alert"] = alert
	if body, ok := alert["body"].(json.RawMessage); ok && json.Unmarshal(body, &text) == nil {
		p.body, p.setBody = text, func(text string) { alert["body"] = text }
	}
	return nil
}

// setSound takes a name or the object of a critical alert. An empty name is no sound.
func (p *payload) setSound(raw json.RawMessage) error {
	if none(raw) {
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text != "" {
			p.aps["sound"] = text
		}
		return nil
	}
	sound, err := object("sound", raw)
	if err == nil && len(sound) > 0 {
		p.aps["sound"] = sound
	}
	return err
}

// data is a custom message: the app is woken for it, as far as the system allows that.
func data(m *wire.Message) (*payload, error) {
	extras, err := object("extras", m.Extras)
	if err != nil {
		return nil, err
	}
	message := map[string]any{"content": m.Body}
	if m.Title != "" {
		message["title"] = m.Title
	}
	if m.ContentType != "" {
		message["content_type"] = m.ContentType
	}
	if len(extras) > 0 {
		message["extras"] = extras
	}
	p := &payload{
		pushType: typeBackground, priority: suitable,
		top: map[string]any{"message": message}, aps: map[string]any{"content-available": 1},
	}
	p.setID(m.ID)
	return p, nil
}

// voip hands the app's own keys to PushKit. It may have an aps of the app's.
func voip(m *wire.Message, a *wire.Apple) (*payload, error) {
	name, raw := "voip", a.VoIP
	if none(raw) {
		name, raw = "extras", m.Extras
	}
	top, err := object(name, raw)
	if err != nil {
		return nil, err
	}
	p := &payload{pushType: typeVoIP, suffix: suffixVoIP, priority: atOnce, top: top}
	p.setID(m.ID)
	return p, nil
}

// setID puts the message's id in, as a number.
func (p *payload) setID(id string) {
	switch digits := strings.TrimLeft(id, "0"); {
	case id == "":
		delete(p.top, wire.IDKey)
	case digits == "" || strings.Trim(digits, "0123456789") != "":
		p.top[wire.IDKey] = id
	default:
		p.top[wire.IDKey] = json.Number(digits)
	}
}

// encode is the payload as JSON of at most limit bytes. The error says that it is larger and cannot or must not be cut.
func (p *payload) encode(limit int, truncate bool) ([]byte, error) {
	full, err := p.bytes()
	if err != nil || len(full) <= limit {
		return full, err
	}
	tooLarge := fmt.Errorf("the payload has %d bytes, at most %d are taken", len(full), limit)
	if !truncate || p.setBody == nil {
		return nil, tooLarge
	}
	// The text is cut where it still fits as JSON, where characters may take more than their own bytes.
	kept := wire.CutBytes(p.body, limit)
	p.setBody("")
	rest, err := p.bytes()
	if err != nil {
		return nil, err
	}
	n := sort.Search(len(kept)+1, func(n int) bool {
		text, err := marshal(wire.CutBytes(kept, n))
		return err != nil || len(rest)-len(`""`)+len(text) > limit
	}) - 1
	kept = wire.CutBytes(kept, max(0, n))
	if kept == "" {
		return nil, tooLarge
	}
	p.setBody(kept)
	return p.bytes()
}

func (p *payload) bytes() ([]byte, error) {
	if p.aps != nil {
		p.top["aps"] = p.aps // an aps in the extras is not for the system
	}
	return marshal(p.top)
}

// marshal writes JSON as short as it can be: < and > as they are.
func marshal(v any) ([]byte, error) {
	text, err := wire.JSON(v)
	if err != nil {
		return nil, errors.New("the content is no JSON")
	}
	return text, nil
}

// object reads a JSON object whose values are kept as they are; empty for none.
func object(name string, raw json.RawMessage) (map[string]any, error) {
	out := make(map[string]any)
	if none(raw) {
		return out, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil, fmt.Errorf("%s is not a JSON object", name)
	}
	for key, value := range fields {
		out[key] = value
	}
	return out, nil
}

func none(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
