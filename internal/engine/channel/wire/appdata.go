package wire

import (
	"encoding/json"
	"errors"
)

// Keys of Data beside the extras and IDKey. Values are text.
const (
	// TitleKey is the title of the custom message.
	TitleKey = "_j_title"
	// ContentKey is its msg_content.
	ContentKey = "_j_content"
	// ContentTypeKey is its content_type.
	ContentTypeKey = "_j_content_type"
)

// errExtras is the answer to extras of another kind than an object.
var errExtras = errors.New("extras must be a JSON object")

// AppData is what the app is given with a message: the extras, Message.ID under IDKey as text, and for Data the title,
// content and content type under keys of their own, absent if empty. Values are JSON.
func (m *Message) AppData() (map[string]json.RawMessage, error) {
	data := make(map[string]json.RawMessage)
	if len(m.Extras) > 0 {
		if err := json.Unmarshal(m.Extras, &data); err != nil {
			return nil, errExtras
		}
		if data == nil { // null
			data = make(map[string]json.RawMessage)
		}
	}
	ours := map[string]string{IDKey: m.ID}
	if m.Kind == Data {
		ours[TitleKey], ours[ContentKey], ours[ContentTypeKey] = m.Title, m.Body, m.ContentType
	}
	for key, text := range ours {
		if text == "" {
			continue
		}
		value, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		data[key] = value
	}
	return data, nil
}
