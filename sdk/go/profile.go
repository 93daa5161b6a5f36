package borealis

import (
	"encoding/json"
	"maps"
	"slices"
)

// profile is a change of the device's profile, as topic up/profile takes it. What is nil stays as it is.
type profile struct {
	Tags                 *tags              `json:"tags,omitempty"`
	Alias                *string            `json:"alias,omitempty"`
	AliasSignature       string             `json:"alias_signature,omitempty"`
	Attributes           map[string]*string `json:"attributes,omitempty"`
	Timezone             *string            `json:"timezone,omitempty"`
	PushEnabled          *bool              `json:"push_enabled,omitempty"`
	NotificationsEnabled *bool              `json:"notifications_enabled,omitempty"`
	Silence              json.RawMessage    `json:"silence,omitempty"` // null clears
	Consent              *consent           `json:"consent,omitempty"`
}

// tags: Set replaces all, Add and Remove do not.
type tags struct {
	Set    *[]string `json:"set,omitempty"`
	Add    []string  `json:"add,omitempty"`
	Remove []string  `json:"remove,omitempty"`
}

type consent struct {
	Version  string   `json:"version"`
	Purposes []string `json:"purposes"`
}

func (p profile) empty() bool {
	return p.Tags == nil && p.Alias == nil && len(p.Attributes) == 0 && p.Timezone == nil && p.PushEnabled == nil &&
		p.NotificationsEnabled == nil && p.Silence == nil && p.Consent == nil
}

// then is the change that p followed by q makes: the last word about each thing wins. Neither is changed.
func (p profile) then(q profile) profile {
	out := p
	out.Tags = p.Tags.then(q.Tags)
	if q.Alias != nil {
		out.Alias, out.AliasSignature = q.Alias, q.AliasSignature
	}
	if len(q.Attributes) > 0 {
		out.Attributes = map[string]*string{}
		for _, from := range [...]map[string]*string{p.Attributes, q.Attributes} {
			maps.Copy(out.Attributes, from)
		}
	}
	if q.Timezone != nil {
		out.Timezone = q.Timezone
	}
	if q.PushEnabled != nil {
		out.PushEnabled = q.PushEnabled
	}
	if q.NotificationsEnabled != nil {
		out.NotificationsEnabled = q.NotificationsEnabled
	}
	if q.Silence != nil {
		out.Silence = q.Silence
	}
	if q.Consent != nil {
		out.Consent = q.Consent
	}
	return out
}

func (t *tags) then(u *tags) *tags {
	switch {
	case u == nil:
		return t
	case t == nil || u.Set != nil:
		return u
	case t.Set != nil:
		set := append(without(*t.Set, u.Remove, u.Add), u.Add...)
		return &tags{Set: &set}
	}
	return &tags{Add: append(without(t.Add, u.Remove, u.Add), u.Add...), Remove: append(without(t.Remove, u.Add, u.Remove), u.Remove...)}
}

// without is list less what is in any of the others, as a list of its own.
func without(list []string, others ...[]string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(v string) bool {
		return slices.ContainsFunc(others, func(o []string) bool { return slices.Contains(o, v) })
	})
}

// first splits p into one member and the others.
func (p profile) first() (one, rest profile) {
	switch rest = p; {
	case p.Tags != nil:
		one.Tags, rest.Tags = p.Tags, nil
	case p.Alias != nil:
		one.Alias, one.AliasSignature, rest.Alias, rest.AliasSignature = p.Alias, p.AliasSignature, nil, ""
	case len(p.Attributes) > 0:
		one.Attributes, rest.Attributes = p.Attributes, nil
	case p.Timezone != nil:
		one.Timezone, rest.Timezone = p.Timezone, nil
	case p.PushEnabled != nil:
		one.PushEnabled, rest.PushEnabled = p.PushEnabled, nil
	case p.NotificationsEnabled != nil:
		one.NotificationsEnabled, rest.NotificationsEnabled = p.NotificationsEnabled, nil
	case p.Silence != nil:
		one.Silence, rest.Silence = p.Silence, nil
	default:
		return p, profile{}
	}
	return one, rest
}

// single reports whether p has one member.
func (p profile) single() bool {
	_, rest := p.first()
	return rest.empty()
}

// forNew is what a device that has just been made must be told of all that was said: nothing has to be removed from it.
func (p profile) forNew() profile {
	out := p
	out.Consent = nil // the registration carries it
	if p.Tags != nil && p.Tags.Set == nil {
		out.Tags = nil
		if len(p.Tags.Add) > 0 {
			out.Tags = &tags{Add: p.Tags.Add}
		}
	}
	if len(p.Attributes) > 0 {
		out.Attributes = map[string]*string{}
		for k, v := range p.Attributes {
			if v != nil {
				out.Attributes[k] = v
			}
		}
	}
	if out.Alias != nil && *out.Alias == "" {
		out.Alias = nil
	}
	return out
}

// Token is the device's address at a vendor.
type Token struct {
	// Channel is apns, fcm, huawei, honor, xiaomi, oppo, vivo, meizu, hmos or webpush.
	Channel string `json:"channel"`
	// Token as the vendor gave it; empty deletes it.
	Token string `json:"token"`
	// Environment is production (also when empty) or sandbox.
	Environment string `json:"environment,omitempty"`
}

// receipt is what happened to a message, as topic up/events takes it.
type receipt struct {
	ID    string `json:"id"`
	Event string `json:"event"`
	At    int64  `json:"at"`
}
