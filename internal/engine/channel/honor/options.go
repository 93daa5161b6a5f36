package honor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"borealis/internal/engine/channel/wire"
)

// options is the object honor of third_party_channel, what of it goes onto the wire. The other fields (distribution) speak to who sends.
type options struct {
	Importance     string          `json:"importance"`
	TargetUserType *int            `json:"target_user_type"`
	LargeIcon      string          `json:"large_icon"`
	SmallIcon      string          `json:"small_icon_uri"`
	Style          *int            `json:"style"`
	BigText        string          `json:"big_text"`
	PushType       int             `json:"honor_push_type"`
	VoIP           json.RawMessage `json:"voip_extraData"`
}

// pushVoIP is the only honor_push_type.
const pushVoIP = 3

func readOptions(raw json.RawMessage) (*options, error) {
	o := &options{}
	if len(raw) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(raw, o); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return nil, fmt.Errorf("third_party_channel.honor.%s is a JSON %s", wrong.Field, wrong.Value)
		}
		return nil, errors.New("third_party_channel.honor is no JSON object")
	}
	switch {
	case o.PushType != 0 && o.PushType != pushVoIP:
		return nil, fmt.Errorf("honor_push_type is %d, not 3", o.PushType)
	case o.Importance != "" && o.Importance != importanceLow && o.Importance != importanceNormal:
		return nil, errors.New("importance is not LOW or NORMAL")
	case o.TargetUserType != nil && *o.TargetUserType != 0 && *o.TargetUserType != 1:
		return nil, fmt.Errorf("target_user_type is %d, not 0 or 1", *o.TargetUserType)
	case o.Style != nil && (*o.Style < 0 || *o.Style > 3):
		return nil, fmt.Errorf("style is %d, not 0 to 3", *o.Style)
	}
	if bytes.Equal(o.VoIP, []byte("null")) {
		o.VoIP = nil
	}
	return o, nil
}

// kind is what the message is, in view of honor_push_type.
func (o *options) kind(m *wire.Message) wire.Kind {
	if o.PushType == pushVoIP {
		return wire.VoIP
	}
	return m.Kind
}

// bigText is the long text, "" for another style. HONOR has no lines and no large pictures.
func (o *options) bigText(m *wire.Message) string {
	switch {
	case o.Style == nil:
		return m.Style.BigText
	case *o.Style == 1:
		return cmp.Or(o.BigText, m.Style.BigText)
	}
	return ""
}

// importance is LOW for marketing and NORMAL for services and chat, if the options do not say it.
func (o *options) importance(m *wire.Message) string {
	if o.Importance != "" {
		return o.Importance
	}
	if m.Class == wire.System {
		return importanceNormal
	}
	return importanceLow
}

// target is 1 for test messages, which have no limit by device.
func (o *options) target(m *wire.Message) int {
	if o.TargetUserType != nil {
		return *o.TargetUserType
	}
	if m.Test {
		return 1
	}
	return 0
}
