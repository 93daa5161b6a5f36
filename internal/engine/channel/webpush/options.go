package webpush

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"borealis/internal/engine/channel/wire"
)

// options is the object webpush of third_party_channel. Other members are ignored.
type options struct {
	Urgency string `json:"urgency"`
	Topic   string `json:"topic"`
	// Notification has members of the options of showNotification.
	Notification map[string]json.RawMessage `json:"notification"`
}

// Urgencies, least first (RFC 8030 section 5.3).
var urgencies = []string{"very-low", "low", "normal", "high"}

// maxTopic is the longest topic in characters (RFC 8030 section 5.4).
const maxTopic = 32

func parseOptions(raw json.RawMessage) (*options, error) {
	o := new(options)
	if len(raw) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(raw, o); err != nil {
		field := "the object"
		if t, ok := err.(*json.UnmarshalTypeError); ok && t.Field != "" { //nolint:errorlint // Unmarshal returns it as it is
			field = t.Field
		}
		return nil, fmt.Errorf("options of webpush: %s has the wrong type", field)
	}
	if o.Urgency != "" && !slices.Contains(urgencies, o.Urgency) {
		return nil, fmt.Errorf("options of webpush: urgency must be one of %s", strings.Join(urgencies, ", "))
	}
	if o.Topic != "" && !isTopic(o.Topic) {
		return nil, fmt.Errorf("options of webpush: topic must be at most %d characters of A-Z a-z 0-9 - _", maxTopic)
	}
	return o, nil
}

// urgency decides whether a phone that saves its battery is woken.
func (o *options) urgency(m *wire.Message) string {
	switch {
	case o.Urgency != "":
		return o.Urgency
	case m.Priority <= -2:
		return "very-low"
	case m.Priority == -1:
		return "low"
	case m.Priority > 0 || m.Class == wire.System:
		return "high"
	}
	return "normal"
}

// topic replaces an earlier message of the same topic that waits at the push service.
func (o *options) topic(m *wire.Message) string {
	if o.Topic != "" {
		return o.Topic
	}
	return topicOf(m)
}

// topicOf is the id of the message, or of the one it replaces, in the characters and the length of topics.
func topicOf(m *wire.Message) string {
	id := m.ID
	if m.Replaces != "" {
		id = m.Replaces
	}
	if id == "" || isTopic(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:maxTopic]
}

func isTopic(s string) bool {
	return len(s) <= maxTopic && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
