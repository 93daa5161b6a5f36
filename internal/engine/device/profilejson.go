package device

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// maxProfile is the longest profile document in bytes.
const maxProfile = 64 << 10

// ParseProfile reads the JSON of topic up/profile and of PATCH /device/v1/profile. Unknown members are ignored; null is
// the same as absent, except for silence, which it clears, and for an attribute, which it deletes. Errors are Invalid
// with the field.
func ParseProfile(data []byte) (ProfileChange, error) {
	var c ProfileChange
	members, err := object("", data, maxProfile)
	if err != nil {
		return c, err
	}
	for name, raw := range members {
		if err := c.member(name, raw); err != nil {
			return ProfileChange{}, err
		}
	}
	return c, c.check()
}

func (c *ProfileChange) member(name string, raw json.RawMessage) error {
	if isNull(raw) {
		if name == "silence" {
			c.Silence = &Silence{}
		}
		return nil
	}
	switch name {
	case "tags":
		return c.tags(raw)
	case "alias":
		return decode(name, raw, &c.Alias, "a string")
	case "alias_signature":
		return decode(name, raw, &c.AliasSignature, "a string")
	case "mobile":
		return decode(name, raw, &c.Mobile, "a string")
	case "attributes":
		return decode(name, raw, &c.Attributes, "an object whose values are strings or null")
	case "timezone":
		return decode(name, raw, &c.Timezone, "a string")
	case "push_enabled":
		return decode(name, raw, &c.PushEnabled, "true or false")
	case "notifications_enabled":
		return decode(name, raw, &c.NotificationsEnabled, "true or false")
	case "silence":
		return decode(name, raw, &c.Silence, `an object such as {"from":"22:00","to":"08:00"}`)
	case "consent":
		return decode(name, raw, &c.Consent, `an object such as {"version":"1","purposes":["push"]}`)
	}
	return nil
}

func (c *ProfileChange) tags(raw json.RawMessage) error {
	members, err := object("tags", raw, maxProfile)
	if err != nil {
		return err
	}
	t := &Tags{}
	for _, list := range [...]struct {
		name string
		into *[]string
	}{{"set", &t.Add}, {"add", &t.Add}, {"remove", &t.Remove}} {
		value, ok := members[list.name]
		if !ok || isNull(value) {
			continue
		}
		if t.Replace {
			return invalid("tags."+list.name, "cannot be combined with set")
		}
		if err := decode("tags."+list.name, value, list.into, "a list of strings"); err != nil {
			return err
		}
		t.Replace = list.name == "set"
	}
	c.Tags = t
	return nil
}

// parseToken reads the JSON of topic up/tokens.
func parseToken(data []byte) (Token, error) {
	members, err := object("", data, maxProfile)
	if err != nil {
		return Token{}, err
	}
	var t Token
	for _, f := range [...]struct {
		name string
		into *string
	}{{"channel", &t.Channel}, {"token", &t.Token}, {"environment", &t.Environment}} {
		if raw, ok := members[f.name]; ok && !isNull(raw) {
			if err := decode(f.name, raw, f.into, "a string"); err != nil {
				return Token{}, err
			}
		}
	}
	return t, t.check()
}

// object reads a JSON object whose members are not looked at yet.
func object(field string, data []byte, limit int) (map[string]json.RawMessage, error) {
	if len(data) > limit {
		return nil, invalid(field, fmt.Sprintf("must not be longer than %d bytes", limit))
	}
	if !utf8.Valid(data) {
		return nil, invalid(field, "must be valid UTF-8")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return nil, invalid(field, "must be a JSON object")
	}
	return members, nil
}

func decode(field string, raw json.RawMessage, into any, want string) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return invalid(field, "must be "+want)
	}
	return nil
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(raw), []byte("null")) }
