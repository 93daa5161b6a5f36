package huawei

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"

	"borealis/internal/engine/channel/wire"
)

// options are third_party_channel.huawei. Fields that say how it is distributed are not for the wire.
type options struct {
	ChannelID      string          `json:"channel_id"`
	Importance     string          `json:"importance"`
	Category       string          `json:"category"`
	Sound          string          `json:"sound"`
	DefaultSound   *bool           `json:"default_sound"`
	Urgency        string          `json:"urgency"`
	ReceiptID      string          `json:"receipt_id"`
	TargetUserType *int            `json:"target_user_type"`
	LargeIcon      string          `json:"large_icon"`
	SmallIcon      string          `json:"small_icon_uri"`
	Style          *int            `json:"style"`
	BigText        string          `json:"big_text"`
	Inbox          json.RawMessage `json:"inbox"`
	OwnStyle       bool            `json:"only_use_vendor_style"`
	AuditResponse  json.RawMessage `json:"auditResponse"`
	PushType       int             `json:"hw_push_type"`
	LivePayload    json.RawMessage `json:"hw_live_payload"`
}

func readOptions(raw json.RawMessage) (*options, error) {
	o := new(options)
	if len(raw) == 0 {
		return o, nil
	}
	if json.Unmarshal(raw, o) != nil {
		return nil, errors.New("third_party_channel.huawei has a field of a wrong type")
	}
	return o, nil
}

// look is how a notification is drawn: at most one is set.
func (o *options) look(m *wire.Message) (long string, rows []string, err error) {
	shared := m.Style
	if o.OwnStyle {
		shared = wire.Style{}
	}
	if o.Style == nil {
		return shared.BigText, shared.Inbox, nil
	}
	switch *o.Style {
	case 1:
		return cmp.Or(o.BigText, shared.BigText), nil, nil
	case 2:
		rows, err = lines(o.Inbox)
		if len(rows) == 0 {
			rows = shared.Inbox
		}
		return "", rows, err
	}
	return "", nil, nil // 0, and 3: Push Kit has no big picture
}

// lines are the values of an object, in its order.
func lines(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil
	}
	wrong := errors.New("third_party_channel.huawei.inbox must be an object whose values are text")
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, wrong
	}
	var out []string
	for d.More() {
		if _, err := d.Token(); err != nil {
			return nil, wrong
		}
		value, err := d.Token()
		line, ok := value.(string)
		if err != nil || !ok {
			return nil, wrong
		}
		out = append(out, line)
	}
	return out, nil
}
