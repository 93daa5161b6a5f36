package oppo

import (
	"encoding/json"

	"borealis/internal/engine/channel/wire"
)

// options are the vendor's object of third_party_channel, and two fields of OPPO's own that it does not name: sub_title and
// show_ttl. Fields for others and for the service that sends (distribution, skip_quota) are not read.
type options struct {
	ChannelID   string `json:"channel_id"`
	Category    string `json:"category"`
	NotifyLevel int    `json:"notify_level"`
	SubTitle    string `json:"sub_title"`
	ShowTTL     int    `json:"show_ttl"`
	LargeIcon   string `json:"large_icon"`
	Style       *int   `json:"style"`
	BigText     string `json:"big_text"`
	BigPicture  string `json:"big_pic_path"`
	VendorStyle bool   `json:"only_use_vendor_style"`
	Badge       *int   `json:"badge_operation_type"`
	BadgeCount  *int   `json:"badge_message_count"`
	TemplateID  string `json:"private_msg_template_id"`
	Title       object `json:"private_title_parameters"`
	Content     object `json:"private_content_parameters"`

	// Audit is passed through as text.
	Audit json.RawMessage `json:"auditResponse"`

	PushType     int             `json:"op_push_type"`
	Intent       json.RawMessage `json:"op_intelligent_intent"`
	DeleteIntent json.RawMessage `json:"op_delete_intent_data"`
	VoIP         string          `json:"voip_extraData"`
}

// object is a JSON object of texts.
type object map[string]string

// UnmarshalJSON takes values that are no texts, too: as their JSON.
func (o *object) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	texts, err := wire.ObjectTexts(raw)
	*o = texts
	return err
}

func readOptions(raw json.RawMessage) (options, *wire.RefusalError) {
	var o options
	if len(raw) == 0 {
		return o, nil
	}
	if json.Unmarshal(raw, &o) != nil {
		return o, rejected("third_party_channel.oppo", "a field has a wrong type")
	}
	switch {
	case o.PushType != 0 || len(o.Intent) > 0 || len(o.DeleteIntent) > 0 || o.VoIP != "":
		return o, rejected("op_push_type", "VoIP and fluid cloud are not carried")
	case o.NotifyLevel != 0 && o.NotifyLevel != 1 && o.NotifyLevel != 2 && o.NotifyLevel != 16:
		return o, rejected("notify_level", "must be 1, 2 or 16")
	case o.Style != nil && (*o.Style < 0 || *o.Style > 3):
		return o, rejected("style", "must be 0 to 3")
	case o.Badge != nil && *o.Badge != 0 && *o.Badge != 1:
		return o, rejected("badge_operation_type", "must be 0 or 1")
	case o.BadgeCount != nil && *o.BadgeCount < 0:
		return o, rejected("badge_message_count", "must not be negative")
	case o.ShowTTL < 0 || o.ShowTTL > maxShowTTL:
		return o, rejected("show_ttl", "must be 0 to 172800")
	}
	return o, nil
}

func rejected(code, reason string) *wire.RefusalError {
	return &wire.RefusalError{Outcome: wire.NewOutcome(wire.Rejected, code, reason)}
}
