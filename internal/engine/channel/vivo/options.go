package vivo

import (
	"encoding/json"

	"borealis/internal/engine/channel/wire"
)

// options are the vendor's object of third_party_channel. Its classification is weaker than that of the push and was weighed by who
// made the message; fields for the service that sends (distribution) are not read.
type options struct {
	Category   string          `json:"category"`
	PushMode   *int            `json:"push_mode"`
	CallbackID string          `json:"callback_id"`
	AddBadge   *bool           `json:"add_badge"`
	Audit      json.RawMessage `json:"auditResponse"`
	PushType   int             `json:"vivo_push_type"`
	Live       json.RawMessage `json:"vivo_liveMessage"`
	InApp      json.RawMessage `json:"vivo_inapp_msg"`
	VoIP       string          `json:"voip_extraData"`
}

// Kinds of vivo_push_type.
const livePush = 7

func readOptions(m *wire.Message) (options, *wire.RefusalError) {
	var o options
	if len(m.Options) > 0 && json.Unmarshal(m.Options, &o) != nil {
		return o, rejected("third_party_channel.vivo", "a field has a wrong type")
	}
	if isNull(o.Live) {
		o.Live = nil
	}
	live := m.Kind == wire.Live || o.PushType == livePush || o.Live != nil
	switch {
	case !isNull(o.InApp) || o.VoIP != "" || o.PushType != 0 && o.PushType != livePush:
		return o, rejected("vivo_push_type", "VoIP and pass-through are not carried")
	case m.Kind != wire.Notification && m.Kind != wire.Live:
		return o, rejected("kind", "vivo carries notifications and live messages only")
	case live && !isObject(o.Live):
		return o, rejected("vivo_liveMessage", "is needed, and an object")
	case o.PushMode != nil && *o.PushMode != 0 && *o.PushMode != 1:
		return o, rejected("push_mode", "must be 0 or 1")
	}
	return o, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func isObject(raw json.RawMessage) bool {
	var fields map[string]json.RawMessage
	return len(raw) > 0 && json.Unmarshal(raw, &fields) == nil && fields != nil
}
