package apns

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"borealis/internal/engine/channel/wire"
)

// Events of live activities.
const (
	eventStart  = "start"
	eventUpdate = "update"
	eventEnd    = "end"
)

// live starts, updates or ends a live activity: raw is the `ios` object of live_activity.
func live(m *wire.Message, raw json.RawMessage, now time.Time) (*payload, error) {
	fields, err := object("live_activity", raw)
	if err != nil {
		return nil, err
	}
	p := &payload{pushType: typeLive, suffix: suffixLive, top: map[string]any{}}
	if p.priority, err = livePriority(fields["apns-priority"]); err != nil {
		return nil, err
	}
	event := text(fields["event"])
	// The system shows what has the highest timestamp.
	p.aps = map[string]any{"timestamp": now.Unix(), "event": event}
	switch event {
	case eventStart:
		if text(fields["attributes-type"]) == "" {
			return nil, errors.New("live_activity: attributes-type is missing, which says what is to be started")
		}
	case eventUpdate, eventEnd:
	default:
		return nil, errors.New("live_activity: event must be start, update or end")
	}
	state, _ := fields["content-state"].(json.RawMessage)
	if _, err := object("content-state", state); err != nil || none(state) {
		return nil, errors.New("live_activity: content-state must be an object")
	}
	for _, key := range []string{"content-state", "attributes-type", "attributes", "input-push-channel", "input-push-token"} {
		if value, there := fields[key].(json.RawMessage); there && !none(value) {
			p.aps[key] = value
		}
	}
	if _, there := p.aps["attributes"]; event == eventStart && !there {
		p.aps["attributes"] = map[string]any{} // a start without the key is dropped
	}
	for _, key := range []string{"dismissal-date", "stale-date", "relevance-score"} {
		value, there := fields[key].(json.RawMessage)
		if !there || none(value) {
			continue
		}
		if p.aps[key], err = number(value); err != nil {
			return nil, fmt.Errorf("live_activity: %s must be a number", key)
		}
	}
	if err := p.setLiveAlert(fields["alert"]); err != nil {
		return nil, err
	}
	p.setID(m.ID)
	return p, nil
}

// setLiveAlert takes the alert without what only a server understands.
func (p *payload) setLiveAlert(value any) error {
	raw, _ := value.(json.RawMessage)
	alert, err := object("live_activity: alert", raw)
	if err != nil {
		return err
	}
	delete(alert, "alternate_title")
	delete(alert, "alternate_body")
	if len(alert) == 0 {
		return nil
	}
	p.aps["alert"] = alert
	if body, isText := alert["body"].(json.RawMessage); isText && body[0] == '"' {
		p.body, p.setBody = text(body), func(text string) { alert["body"] = text }
	}
	return nil
}

func livePriority(value any) (int, error) {
	raw, there := value.(json.RawMessage)
	if !there || none(raw) {
		return atOnce, nil
	}
	n, err := number(raw)
	if err == nil && (n == "10" || n == "5") {
		return strconv.Atoi(string(n))
	}
	return 0, errors.New("live_activity: apns-priority must be 5 or 10")
}

// number reads a number that may be written as a text.
func number(raw json.RawMessage) (json.Number, error) {
	var n json.Number
	err := json.Unmarshal(raw, &n)
	if err == nil && n == "" {
		err = errors.New("empty")
	}
	return n, err
}

func text(value any) string {
	raw, _ := value.(json.RawMessage)
	var out string
	if json.Unmarshal(raw, &out) != nil {
		return ""
	}
	return out
}
