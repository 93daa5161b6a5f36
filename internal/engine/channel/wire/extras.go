package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/fnv"
	"maps"
	"strconv"
)

// Extras that speak to the server: a body for one vendor that is short enough for it. Apps do not get them.
const (
	ShortXiaomi = "mipns_content_forshort"
	ShortOPPO   = "oppns_content_forshort"
	ShortVivo   = "vpns_content_forshort"
	ShortMeizu  = "mzpns_content_forshort"
)

// Texts are the extras for vendors that carry texts only, with Message.ID under IDKey: a text as it is, everything else as its
// JSON. Extras that speak to the server are left out. The error says that Extras are no JSON object.
func (m *Message) Texts() (map[string]string, error) {
	texts, err := ObjectTexts(m.Extras)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(texts, func(key, _ string) bool {
		switch key {
		case ShortXiaomi, ShortOPPO, ShortVivo, ShortMeizu:
			return true
		}
		return false
	})
	if m.ID != "" {
		texts[IDKey] = m.ID
	}
	return texts, nil
}

// Short is the body that extras hold for one vendor under one of the Short keys, "" if there is none.
func (m *Message) Short(key string) string {
	var extras map[string]json.RawMessage
	if json.Unmarshal(m.Extras, &extras) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(extras[key], &text) != nil {
		return ""
	}
	return text
}

// ObjectTexts are the fields of a JSON object, or of nothing, as texts: a text as it is, everything else as its JSON. The error says that
// it is no object.
func ObjectTexts(object json.RawMessage) (map[string]string, error) {
	out := make(map[string]string)
	if len(object) == 0 {
		return out, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, errors.New("must be a JSON object")
	}
	for key, value := range fields {
		var text string
		if value[0] == '"' && json.Unmarshal(value, &text) == nil {
			out[key] = text
			continue
		}
		var compact bytes.Buffer
		_ = json.Compact(&compact, value) // it was read as JSON above
		out[key] = compact.String()
	}
	return out, nil
}

// NotifyID is a number from 1 to 2³¹−1 that is made of the ID of a message: vendors show a notification in place of one with
// the same number. Messages that follow each other have different ones.
func NotifyID(id string) int32 {
	if n, err := strconv.ParseUint(id, 10, 64); err == nil {
		return int32(n%(1<<31-1)) + 1
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int32(h.Sum32()%(1<<31-1)) + 1
}

// NotifyID is the number of the notification that the message makes or, if it replaces one, of that.
func (m *Message) NotifyID() int32 {
	if m.Replaces != "" {
		return NotifyID(m.Replaces)
	}
	return NotifyID(m.ID)
}
