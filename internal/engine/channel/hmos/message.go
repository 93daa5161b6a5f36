package hmos

import (
	"encoding/json"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

// Limits.
const (
	maxLines    = 3
	maxLine     = 1024 // characters
	maxDuration = 60   // seconds
	// opensHome is what notification.hmos.intent.url says for the app's first page.
	opensHome = "action.system.home"
)

// pushType is the kind of a message. Message.PushType is stronger than what its Kind says.
func pushType(m *wire.Message) (kind int, reason string) {
	switch m.PushType {
	case form, speech, background, liveView, call:
		return m.PushType, ""
	case alert:
	default:
		return 0, "Push Kit has no push_type " + strconv.Itoa(m.PushType)
	}
	switch m.Kind {
	case wire.Notification:
		return alert, ""
	case wire.Data:
		return background, ""
	case wire.VoIP:
		return call, ""
	case wire.Live:
		return liveView, ""
	}
	return 0, "Push Kit has no message of kind " + string(m.Kind)
}

// build makes the request without tokens. reason says why Push Kit would not take it.
func build(m *wire.Message, kind int) (out *request, reason string) {
	data, err := m.AppData()
	if err != nil {
		return nil, err.Error()
	}
	out = &request{Target: target{Token: []string{}}, Options: pushOptions{
		TestMessage: m.Test, TTL: max(1, min(int64(m.TTL.Seconds()), pushkit.MaxTTL)), BiTag: m.ID, ReceiptID: m.ReceiptID,
	}}
	p := new(payload)
	out.Payload = p
	set := func(string) error { return nil }
	switch kind {
	case form, liveView:
		var object map[string]json.RawMessage
		if json.Unmarshal(m.Payload, &object) != nil || len(object) == 0 {
			return nil, "push_type " + strconv.Itoa(kind) + " needs hm_payload, an object"
		}
		out.Payload = m.Payload
	case background, call:
		if p.ExtraData = extraData(m.Payload); p.ExtraData == "" {
			set = func(s string) error { return p.setData(m, data, s) }
		}
	case speech:
		if p.ExtraData = extraData(m.Payload); p.ExtraData == "" {
			return nil, "push_type 2 needs extra_data"
		}
		fallthrough
	case alert:
		if p.Notification, reason = newNotification(m, data); reason != "" {
			return nil, reason
		}
		if kind == speech {
			p.Notification.Category = "PLAY_VOICE"
		}
		return out, out.fitNotification(m, p.Notification)
	}
	return out, out.fit(m, m.Body, set)
}

// fitNotification cuts the text; if the message is still too large, its lines go.
func (out *request) fitNotification(m *wire.Message, n *notification) (reason string) {
	first, rest := pushkit.Head(m.Body)
	body := func(s string) error { n.Body = first + s; return nil }
	if reason = out.fit(m, rest, body); reason != "" && m.Truncate && n.Style != 0 {
		n.Style, n.Inbox = 0, nil
		reason = out.fit(m, rest, body)
	}
	return reason
}

// extraData is content of the app's own: text as it is, all else as JSON.
func extraData(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// setData makes extraData of what the app is given with the message.
func (p *payload) setData(m *wire.Message, data map[string]json.RawMessage, body string) error {
	if m.Kind == wire.Data && m.Body != "" {
		content, err := wire.JSON(body)
		if err != nil {
			return err
		}
		data[wire.ContentKey] = content
	}
	encoded, err := wire.JSON(data)
	p.ExtraData = string(encoded)
	return err
}

// fit cuts the text until the request is small enough, if that is wanted. set puts a text in.
func (out *request) fit(m *wire.Message, text string, set func(string) error) (reason string) {
	size := 0
	fits := func(s string) bool {
		err := set(s)
		body, encodeErr := wire.JSON(out)
		if err != nil || encodeErr != nil {
			reason = "the message is no JSON"
			return false
		}
		size = len(body)
		return size <= pushkit.MaxBody
	}
	if fits(text) || reason != "" {
		return reason
	}
	tooLarge := "the message has " + strconv.Itoa(size) + " bytes, Push Kit takes " + strconv.Itoa(pushkit.MaxBody)
	if !m.Truncate {
		return tooLarge
	}
	cut, ok := wire.Fit(text, fits)
	if !ok {
		return tooLarge
	}
	fits(cut)
	return reason
}

func newNotification(m *wire.Message, data map[string]json.RawMessage) (n *notification, reason string) {
	switch {
	case m.Title == "" || m.Body == "":
		return nil, "a notification needs a title and a text"
	case m.SoundDuration < 0 || m.SoundDuration > maxDuration:
		return nil, "sound_duration must be 1 to " + strconv.Itoa(maxDuration) + " seconds"
	}
	n = &notification{
		Category: m.Category, Title: m.Title, Body: m.Body, NotifyID: pushkit.NotifyID(pushkit.Place(m)), AppMessageID: m.ID,
		ClickAction: newClick(m.Click), Sound: m.Sound, ForegroundShow: m.Foreground,
	}
	n.ClickAction.Data = data
	if n.Category == "" {
		// It is mandatory, and the one that needs no application. To call a message better than it is would be an offence.
		n.Category = "MARKETING"
	}
	if m.Sound != "" {
		n.SoundDuration = m.SoundDuration
	}
	if strings.HasPrefix(m.LargeIcon, "https://") {
		n.Image = m.LargeIcon
	}
	if m.Badge.Add > 0 || m.Badge.Set != nil {
		n.Badge = &badge{Add: m.Badge.Add, Set: m.Badge.Set}
	}
	if inbox := m.Style.Inbox; len(inbox) > 0 {
		n.Style = 3
		n.Inbox, reason = cutInbox(inbox, m.Truncate)
	}
	return n, reason
}

// newClick is what a touch opens: a page by its uri or its action, else the app.
func newClick(c wire.Click) clickAction {
	switch {
	case c.Action != "":
		return clickAction{Type: 1, Action: c.Action}
	case c.URL == "", c.URL == opensHome:
		return clickAction{Type: 0}
	case strings.Contains(c.URL, "://"):
		return clickAction{Type: 1, URI: c.URL}
	}
	return clickAction{Type: 1, Action: c.URL}
}

func cutInbox(inbox []string, truncate bool) (out []string, reason string) {
	if len(inbox) > maxLines {
		if !truncate {
			return nil, "an inbox has at most " + strconv.Itoa(maxLines) + " lines"
		}
		inbox = inbox[:maxLines]
	}
	for _, line := range inbox {
		cut := wire.CutRunes(line, maxLine)
		if cut != line && !truncate {
			return nil, "a line of an inbox has at most " + strconv.Itoa(maxLine) + " characters"
		}
		out = append(out, cut)
	}
	return out, ""
}
