package fcm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/wire"
)

const (
	// maxPayload is the most that keys and values of data and notification may have together, in bytes.
	maxPayload = 4096
	maxTTL     = 28 * 24 * 3600 // seconds
)

// request is the body of messages:send.
type request struct {
	ValidateOnly bool    `json:"validate_only,omitempty"`
	Message      message `json:"message"`
}

type message struct {
	Token   string            `json:"token,omitempty"`
	Topic   string            `json:"topic,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
	Android *android          `json:"android,omitempty"`
}

type android struct {
	CollapseKey  string        `json:"collapse_key,omitempty"`
	Priority     string        `json:"priority,omitempty"`
	TTL          string        `json:"ttl,omitempty"`
	Notification *notification `json:"notification,omitempty"`
}

type notification struct {
	Title       string `json:"title,omitempty"`
	Body        string `json:"body,omitempty"`
	Icon        string `json:"icon,omitempty"`
	Sound       string `json:"sound,omitempty"`
	Tag         string `json:"tag,omitempty"`
	ClickAction string `json:"click_action,omitempty"`
	ChannelID   string `json:"channel_id,omitempty"`
	Image       string `json:"image,omitempty"`
	Priority    string `json:"notification_priority,omitempty"`
	Count       int    `json:"notification_count,omitempty"`
}

// options are what third_party_channel.fcm may say that FCM has a field for.
type options struct {
	ChannelID   string `json:"channel_id"`
	Sound       string `json:"sound"`
	LargeIcon   string `json:"large_icon"`
	SmallIcon   string `json:"small_icon_uri"`
	Style       int    `json:"style"`
	BigPicture  string `json:"big_pic_path"`
	OwnStyle    bool   `json:"only_use_vendor_style"`
	CollapseKey string `json:"collapse_key"`
}

// build makes the message without a token. reason says why FCM would not take it.
func build(m *wire.Message) (out message, reason string) {
	var o options
	if len(m.Options) > 0 && json.Unmarshal(m.Options, &o) != nil {
		return out, "third_party_channel.fcm has a field of a wrong type"
	}
	fields, err := m.AppData()
	if err != nil {
		return out, err.Error()
	}
	data := make(map[string]string, len(fields))
	for key, value := range fields {
		if reserved(key) {
			return out, "extras." + wire.CutRunes(key, 64) + " is a key that FCM keeps for itself"
		}
		data[key] = text(value)
	}
	out.Data = data
	out.Android = &android{Priority: "HIGH", TTL: ttl(m), CollapseKey: o.CollapseKey}
	if m.Priority < 0 {
		out.Android.Priority = "NORMAL"
	}
	switch m.Kind {
	case wire.Notification:
		out.Android.Notification = newNotification(m, &o)
	case wire.Data:
	default:
		return out, "FCM has no message of kind " + string(m.Kind)
	}
	return out, out.fit(m)
}

func newNotification(m *wire.Message, o *options) *notification {
	n := &notification{
		Title: m.Title, Body: m.Body, Tag: m.ID,
		Sound: cmp.Or(o.Sound, m.Sound), ChannelID: cmp.Or(o.ChannelID, m.ChannelID),
		ClickAction: clickAction(m.Click),
	}
	if m.Replaces != "" {
		n.Tag = m.Replaces
	}
	// The icon is a drawable of the app; an address is nothing that FCM can show there.
	if icon := cmp.Or(o.SmallIcon, m.SmallIcon); !strings.Contains(icon, "://") {
		n.Icon = icon
	}
	// FCM draws image at the right, and large when the notification is opened.
	picture := ""
	if o.Style == 3 {
		picture = o.BigPicture
	}
	if picture == "" && !o.OwnStyle {
		picture = m.Style.BigPicture
	}
	if image := cmp.Or(picture, cmp.Or(o.LargeIcon, m.LargeIcon)); strings.HasPrefix(image, "https://") {
		n.Image = image
	}
	switch m.Priority {
	case -2:
		n.Priority = "PRIORITY_MIN"
	case -1:
		n.Priority = "PRIORITY_LOW"
	case 1:
		n.Priority = "PRIORITY_HIGH"
	case 2:
		n.Priority = "PRIORITY_MAX"
	}
	// It is the number of things this one notification stands for; launchers add them up.
	n.Count = m.Badge.Add
	if m.Badge.Set != nil {
		n.Count = *m.Badge.Set
	}
	return n
}

// clickAction is the action of an intent filter: FCM starts activities by nothing else.
func clickAction(c wire.Click) string {
	if c.Action != "" {
		return c.Action
	}
	if !strings.HasPrefix(c.URL, "intent:") {
		return ""
	}
	_, parts, _ := strings.Cut(c.URL, "#Intent;")
	for part := range strings.SplitSeq(parts, ";") {
		if action, ok := strings.CutPrefix(part, "action="); ok && action != "android.intent.action.MAIN" {
			return action
		}
	}
	return ""
}

func ttl(m *wire.Message) string {
	return strconv.FormatInt(max(0, min(int64(m.TTL.Seconds()), maxTTL)), 10) + "s"
}

// fit cuts the text until the message is small enough, if that is wanted.
func (out *message) fit(m *wire.Message) string {
	fits := func() bool { return out.size() <= maxPayload }
	if fits() {
		return ""
	}
	tooLarge := "the payload has " + strconv.Itoa(out.size()) + " bytes, FCM takes " + strconv.Itoa(maxPayload)
	if !m.Truncate {
		return tooLarge
	}
	set := func(s string) bool { out.Data[wire.ContentKey] = s; return fits() }
	if n := out.Android.Notification; n != nil {
		set = func(s string) bool { n.Body = s; return fits() }
	}
	cut, ok := wire.Fit(m.Body, set)
	if !ok {
		return tooLarge
	}
	set(cut)
	return ""
}

// size is what FCM counts: keys and values of data, and of the notification.
func (out *message) size() int {
	n := 0
	for key, value := range out.Data {
		n += len(key) + len(value)
	}
	shown := out.Android.Notification
	if shown == nil {
		return n
	}
	for _, field := range [][2]string{
		{"title", shown.Title}, {"body", shown.Body}, {"icon", shown.Icon}, {"sound", shown.Sound}, {"tag", shown.Tag},
		{"click_action", shown.ClickAction}, {"channel_id", shown.ChannelID}, {"image", shown.Image}, {"notification_priority", shown.Priority},
	} {
		if field[1] != "" {
			n += len(field[0]) + len(field[1])
		}
	}
	if shown.Count != 0 {
		n += len("notification_count")
	}
	return n
}

// reserved keys make FCM refuse the whole message.
func reserved(key string) bool {
	return key == "from" || key == "message_type" || strings.HasPrefix(key, "google.") || strings.HasPrefix(key, "gcm.")
}

// text is a JSON value as data carries it: text as it is, all else as JSON.
func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil && !bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return s
	}
	return string(value)
}
