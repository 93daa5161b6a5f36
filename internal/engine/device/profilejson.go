package device

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"borealis/internal/engine/gate"
)

// maxProfile is the longest profile document in bytes.
const maxProfile = 64 << 10

// ParseProfile reads the JSON of topic up/profile and of PATCH /device/v1/profile. Unknown members are ignored; null is
// the same as absent, except for silence, which it clears, and for an attribute, which it deletes. Errors are Invalid
// with the field.
func ParseProfile(data []byte) (ProfileChange, error) {
	var c ProfileChange
	members, err := object("", data)
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
	members, err := object("tags", raw)
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

// parseToken reads the JSON of PUT /device/v1/tokens.
func parseToken(data []byte) (Token, error) {
	var t Token
	_, err := texts(data, map[string]*string{"channel": &t.Channel, "token": &t.Token, "environment": &t.Environment})
	if err == nil {
		err = t.check()
	}
	return t, err
}

// parseLive reads the JSON of PUT /device/v1/live-activities.
func parseLive(data []byte) (Live, error) {
	var l Live
	members, err := texts(data, map[string]*string{
		"live_activity_id": &l.Activity, "attributes_type": &l.AttributesType, "push_token": &l.PushToken, "environment": &l.Environment,
	})
	if raw := members["push_token"]; err == nil && (raw == nil || isNull(raw)) {
		err = invalid("push_token", "is needed; an empty one ends")
	}
	if err == nil {
		err = l.check()
	}
	return l, err
}

// putTokens takes a message on TopicTokens, which is either of the two.
func (r *Registry) putTokens(ctx context.Context, app *gate.App, ordinal uint32, data []byte) error {
	members, err := object("", data)
	if err != nil {
		return err
	}
	if members["live_activity_id"] != nil || members["attributes_type"] != nil {
		l, err := parseLive(data)
		if err == nil {
			err = r.SetLive(ctx, app, ordinal, l)
		}
		return err
	}
	t, err := parseToken(data)
	if err == nil {
		err = r.PutToken(ctx, app, ordinal, t)
	}
	return err
}

// texts reads members of an object that are strings; null is as absent. It returns all members.
func texts(data []byte, into map[string]*string) (map[string]json.RawMessage, error) {
	members, err := object("", data)
	if err != nil {
		return nil, err
	}
	for name, to := range into {
		if raw, ok := members[name]; ok && !isNull(raw) {
			if err := decode(name, raw, to, "a string"); err != nil {
				return nil, err
			}
		}
	}
	return members, nil
}

// object reads a JSON object whose members are not looked at yet.
func object(field string, data []byte) (map[string]json.RawMessage, error) {
	if len(data) > maxProfile {
		return nil, invalid(field, fmt.Sprintf("must not be longer than %d bytes", maxProfile))
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
