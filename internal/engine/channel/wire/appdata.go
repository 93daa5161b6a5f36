package wire

import (
	"encoding/json"
	"errors"
)

// Keys of Data beside the extras and IDKey. Values are text.
const (
	// TitleKey and ContentKey are the title and content of the custom message.
	TitleKey, ContentKey = "_j_title", "_j_content"
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
	put := func(key, text string) {
		if text != "" {
			data[key], _ = json.Marshal(text)
		}
	}
	put(IDKey, m.ID)
	if m.Kind == Data {
		put(TitleKey, m.Title)
		put(ContentKey, m.Body)
		put(ContentTypeKey, m.ContentType)
	}
	return data, nil
}
