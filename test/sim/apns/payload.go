package apns

import (
	"bytes"
	"encoding/json"

	"borealis/test/sim/phone"
)

// payload is a notification's content.
type payload struct {
	raw []byte
	all map[string]json.RawMessage
	aps map[string]json.RawMessage
}

func readPayload(body []byte) (payload, bool) {
	p := payload{raw: body}
	if json.Unmarshal(body, &p.all) != nil || p.all == nil {
		return p, false
	}
	if aps, there := p.all["aps"]; there && json.Unmarshal(aps, &p.aps) != nil {
		return p, false
	}
	return p, true
}

func (p payload) has(key string) bool { return len(p.aps[key]) > 0 && string(p.aps[key]) != "null" }

// mismatch says why the content is not what its push type says; Apple or the device drops it then.
func (p payload) mismatch(pushType string) string {
	visible := p.has("alert") || p.has("badge") || p.has("sound")
	switch pushType {
	case "alert":
		if !visible {
			return "an alert push without alert, badge and sound"
		}
	case "background":
		if string(p.aps["content-available"]) != "1" || visible {
			return "a background push that is not content-available alone"
		}
	case "liveactivity":
		return p.liveMismatch()
	}
	return ""
}

func (p payload) liveMismatch() string {
	var event string
	var timestamp int64
	switch {
	case json.Unmarshal(p.aps["timestamp"], &timestamp) != nil || timestamp <= 0:
		return "a live activity without timestamp"
	case json.Unmarshal(p.aps["event"], &event) != nil || event != "start" && event != "update" && event != "end":
		return "a live activity without event"
	case !bytes.HasPrefix(p.aps["content-state"], []byte("{")):
		return "a live activity without content-state"
	case event == "start" && (!p.has("attributes-type") || !p.has("attributes") || !p.has("alert")):
		return "a live activity that starts without attributes-type, attributes or alert"
	}
	return ""
}

// notification is what the phone gets. id stands for a message that names none of ours.
func (p payload) notification(id string) phone.Notification {
	got := phone.Notification{ID: id, Data: p.raw}
	if own := bytes.Trim(p.all["_j_msgid"], `"`); len(own) > 0 {
		got.ID = string(own)
	}
	var alert struct {
		Title, Body any
		LocKey      string `json:"loc-key"`
	}
	var text string
	switch {
	case json.Unmarshal(p.aps["alert"], &text) == nil:
		got.Body = text
	case json.Unmarshal(p.aps["alert"], &alert) == nil:
		got.Title, _ = alert.Title.(string)
		got.Body, _ = alert.Body.(string)
		if got.Body == "" {
			got.Body = alert.LocKey
		}
	}
	return got
}
