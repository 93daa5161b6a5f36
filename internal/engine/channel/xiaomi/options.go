package xiaomi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/engine/channel/wire"
)

// options is the object xiaomi of third_party_channel, what of it goes onto the wire. The other fields (distribution, skip_quota,
// classification) speak to who sends.
type options struct {
	ChannelID      string          `json:"channel_id"`
	SmallIconColor string          `json:"small_icon_color"`
	SmallIcon      string          `json:"small_icon_uri"`
	LargeIcon      string          `json:"large_icon"`
	Style          *int            `json:"style"`
	BigText        string          `json:"big_text"`
	BigPicture     string          `json:"big_pic_path"`
	TemplateID     string          `json:"mi_template_id"`
	TemplateParam  string          `json:"mi_template_param"`
	PushType       int             `json:"mi_push_type"`
	Live           json.RawMessage `json:"mi_live_payload"`
	VoIP           json.RawMessage `json:"voip_extraData"`
}

// Values of mi_push_type.
const (
	pushVoIP = 3
	pushLive = 7
)

func readOptions(raw json.RawMessage) (*options, error) {
	o := &options{}
	if len(raw) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(raw, o); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return nil, fmt.Errorf("third_party_channel.xiaomi.%s is a JSON %s", wrong.Field, wrong.Value)
		}
		return nil, errors.New("third_party_channel.xiaomi is no JSON object")
	}
	if bytes.Equal(o.Live, []byte("null")) {
		o.Live = nil
	}
	if bytes.Equal(o.VoIP, []byte("null")) {
		o.VoIP = nil
	}
	return o, nil
}

// kind is what the message is, in view of mi_push_type; a live payload alone says it too.
func (o *options) kind(m *wire.Message) (wire.Kind, error) {
	switch {
	case o.PushType == pushVoIP:
		return wire.VoIP, nil
	case o.PushType == pushLive || o.PushType == 0 && o.Live != nil:
		return wire.Live, nil
	case o.PushType != 0:
		return "", fmt.Errorf("mi_push_type is %d, not 3 or 7", o.PushType)
	}
	return m.Kind, nil
}

// style is the message's, or what the options have instead.
func (o *options) style(m *wire.Message) (wire.Style, error) {
	s := m.Style
	if o.Style != nil {
		switch *o.Style {
		case 0:
			return wire.Style{}, nil
		case 1:
			return wire.Style{BigText: cmp.Or(o.BigText, s.BigText)}, nil
		case 2:
			return wire.Style{Inbox: s.Inbox}, nil
		case 3:
			return wire.Style{BigPicture: cmp.Or(o.BigPicture, s.BigPicture)}, nil
		}
		return s, fmt.Errorf("style is %d, not 0 to 3", *o.Style)
	}
	return s, nil
}

const (
	// maxVariables and maxVariable bound what fills a template: variables, and characters of each.
	maxVariables = 9
	maxVariable  = 128
)

// templateParam checks what Xiaomi says of the variables of a template.
func templateParam(text string) error {
	if text == "" {
		return nil // a template may have no variables
	}
	var fields map[string]string
	if err := json.Unmarshal([]byte(text), &fields); err != nil || fields == nil {
		return errors.New("mi_template_param is no JSON object of texts")
	}
	if len(fields) > maxVariables {
		return fmt.Errorf("mi_template_param has more than %d variables", maxVariables)
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := fields[name]
		switch {
		case strings.TrimSpace(value) == "":
			return fmt.Errorf("mi_template_param: %s is blank", wire.CutRunes(name, 40))
		case utf8.RuneCountInString(value) > maxVariable:
			return fmt.Errorf("mi_template_param: %s has more than %d characters", wire.CutRunes(name, 40), maxVariable)
		case strings.ContainsFunc(value, notInTemplates):
			return fmt.Errorf("mi_template_param: %s has an emoji or a sign that is not taken", wire.CutRunes(name, 40))
		}
	}
	return nil
}

// notInTemplates are the characters of category So, and those that Unicode does not define.
func notInTemplates(r rune) bool {
	return unicode.In(r, unicode.So, unicode.Cn)
}
