package route

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/service/push/payload"
)

// frame is what our own connections bring to a device, as far as vendors can carry it.
type frame struct {
	// Type is "notification" or, if the push has only a custom message for the platform, "message".
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Alert   string          `json:"alert"`
	Extras  json.RawMessage `json:"extras"`
	Options frameOptions    `json:"options"`
	Message *struct {
		Title       string          `json:"title"`
		Content     string          `json:"content"`
		ContentType string          `json:"content_type"`
		Extras      json.RawMessage `json:"extras"`
	} `json:"message"`
}

// frameOptions are the options of a notification, of all platforms.
type frameOptions struct {
	ChannelID  string `json:"channel_id"`
	Category   string `json:"category"`
	Priority   int    `json:"priority"`
	Style      int    `json:"style"`
	BigText    string `json:"big_text"`
	BigPicture string `json:"big_pic_path"`
	// Inbox has a line in each value, in the order of its keys.
	Inbox     map[string]any `json:"inbox"`
	LargeIcon string         `json:"large_icon"`
	SmallIcon string         `json:"small_icon_uri"`
	Intent    struct {
		URL string `json:"url"`
	} `json:"intent"`
	Activity   string          `json:"uri_activity"`
	Action     string          `json:"uri_action"`
	BadgeAdd   int             `json:"badge_add_num"`
	BadgeSet   *int            `json:"badge_set_num"`
	BadgeClass string          `json:"badge_class"`
	Sound      json.RawMessage `json:"sound"` // a text, of iOS also an object
	Foreground string          `json:"display_foreground"`
	// Of HarmonyOS.
	PushType  int             `json:"push_type"`
	ExtraData string          `json:"extra_data"`
	Payload   json.RawMessage `json:"hm_payload"`
	// Of iOS.
	Alert             json.RawMessage `json:"alert"`
	Badge             json.RawMessage `json:"badge"`
	ContentAvailable  bool            `json:"content-available"`
	MutableContent    bool            `json:"mutable-content"`
	ThreadID          string          `json:"thread-id"`
	InterruptionLevel string          `json:"interruption-level"`
	VoIP              json.RawMessage `json:"voip"`
}

// the push_types of HarmonyOS and the vendors' *_push_type that are calls and live views.
const (
	hmosLive, hmosVoIP     = 7, 10
	vendorVoIP, vendorLive = 3, 7
)

// content is a message in the terms of a channel; nil if it has nothing for it. title stands in where the push has none: vendors demand one.
func (m *Message) content(p *policy, name wire.Name, platform audience.Platform, title string, now int64) *wire.Message {
	if live := m.Push.LiveActivity(); len(live) > 0 {
		return m.live(live, name, now)
	}
	out := m.common(p, name, now)
	raw, ok := m.Push.Resolve(m.ID, platform, m.ExpiresAt)
	if !ok {
		return nil
	}
	var f frame
	if json.Unmarshal(raw, &f) != nil {
		return nil
	}
	switch {
	case f.Type == "notification":
		f.notification(out, name)
		out.Title = cmp.Or(out.Title, title)
		if name == wire.APNs {
			out.Apple = f.apple(out, m.Push.Options.APNsCollapseID)
		}
	case p.third && name != wire.WebPush:
		if !m.third(out, name, platform, title) {
			return nil
		}
	case f.Message != nil && (p.message || p.customize(name) != own):
		out.Kind, out.Title, out.Body = wire.Data, f.Message.Title, f.Message.Content
		out.ContentType, out.Extras = f.Message.ContentType, f.Message.Extras
	default:
		return nil
	}
	return out
}

func (m *Message) common(p *policy, name wire.Name, now int64) *wire.Message {
	o := &m.Push.Options
	out := &wire.Message{
		ID: strconv.FormatInt(m.ID, 10), TTL: max(time.Second, time.Duration(m.ExpiresAt-now)*time.Millisecond), Class: p.class(name),
		ReceiptID: o.ReceiptID, Test: o.TestMessage, Truncate: o.AutoTruncation, Options: p.vendors[name].raw,
	}
	if m.Root != 0 {
		out.Replaces = strconv.FormatInt(m.Root, 10)
	}
	return out
}

// notification fills in what a device shows.
func (f *frame) notification(out *wire.Message, name wire.Name) {
	o := &f.Options
	out.Kind, out.Title, out.Body, out.Extras = wire.Notification, f.Title, f.Alert, f.Extras
	out.Category, out.ChannelID, out.Priority = o.Category, o.ChannelID, o.Priority
	out.LargeIcon, out.SmallIcon = o.LargeIcon, o.SmallIcon
	out.Click = wire.Click{URL: o.Intent.URL, Activity: o.Activity, Action: o.Action}
	if o.Intent.URL != "" {
		out.Click.Activity, out.Click.Action = "", ""
	} else if o.Activity != "" {
		out.Click.Action = ""
	}
	_ = json.Unmarshal(o.Sound, &out.Sound) // an object is for APNs alone
	out.Badge = wire.Badge{Add: o.BadgeAdd, Set: o.BadgeSet, Class: o.BadgeClass}
	switch o.Style {
	case 1:
		out.Style.BigText = o.BigText
	case 2:
		out.Style.Inbox = lines(o.Inbox)
	case 3:
		out.Style.BigPicture = o.BigPicture
	}
	if o.Foreground != "" {
		foreground := o.Foreground != "0"
		out.Foreground = &foreground
	}
	if name != wire.HMOS {
		out.Kind = kindOf(out.Options)
		return
	}
	out.PushType, out.Payload = o.PushType, o.Payload
	if out.Payload == nil && o.ExtraData != "" {
		out.Payload = quoted(o.ExtraData)
	}
	switch o.PushType {
	case hmosLive:
		out.Kind = wire.Live
	case hmosVoIP:
		out.Kind = wire.VoIP
	}
}

// kindOf a notification by the vendor's own push type, which each vendor spells with a prefix of its own.
func kindOf(options json.RawMessage) wire.Kind {
	var types struct {
		Huawei int `json:"hw_push_type"`
		OPPO   int `json:"op_push_type"`
		Vivo   int `json:"vivo_push_type"`
		Honor  int `json:"honor_push_type"`
		Xiaomi int `json:"mi_push_type"`
	}
	_ = json.Unmarshal(options, &types) // of the wrong type: an ordinary one
	switch cmp.Or(types.Huawei, types.OPPO, types.Vivo, types.Honor, types.Xiaomi) {
	case vendorVoIP:
		return wire.VoIP
	case vendorLive:
		return wire.Live
	}
	return wire.Notification
}

func lines(inbox map[string]any) []string {
	keys := make([]string, 0, len(inbox))
	for k := range inbox {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out []string
	for _, k := range keys {
		if text, ok := inbox[k].(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// apple is a notification for APNs.
func (f *frame) apple(m *wire.Message, collapse string) *wire.Apple {
	o := &f.Options
	a := &wire.Apple{
		Alert: o.Alert, Sound: o.Sound, ContentAvailable: o.ContentAvailable, MutableContent: o.MutableContent,
		Category: o.Category, ThreadID: o.ThreadID, InterruptionLevel: o.InterruptionLevel, CollapseID: collapse, VoIP: o.VoIP,
	}
	if a.Alert == nil && m.Body != "" {
		a.Alert = quoted(m.Body)
	}
	a.Badge = badge(o.Badge)
	return a
}

// quoted is a text as JSON.
func quoted(text string) json.RawMessage {
	return append(payload.AppendEscaped([]byte{'"'}, text), '"')
}

// badge is the number that iOS shall show: 0 to 99,999. Steps ("+1") cannot be resolved here: the number is the device's.
func badge(raw json.RawMessage) *int {
	if len(raw) == 0 {
		return nil
	}
	text := string(raw)
	if raw[0] == '"' && json.Unmarshal(raw, &text) != nil {
		return nil
	}
	if text == "" {
		text = "0" // clears it
	}
	n, err := strconv.Atoi(text)
	if err != nil || text[0] == '+' || n < 0 {
		return nil
	}
	return &n
}

// third fills in notification_3rd, what vendors show for a custom message.
func (m *Message) third(out *wire.Message, name wire.Name, platform audience.Platform, title string) bool {
	raw := m.Push.Notification3rd()
	if m.Push.Options.Notification3rdVersion == 2 {
		var byPlatform map[string]json.RawMessage
		if json.Unmarshal(raw, &byPlatform) != nil {
			return false
		}
		if raw = byPlatform[platform.String()]; raw == nil {
			return false
		}
	} else if platform != audience.Android {
		return false
	}
	var f struct {
		frameOptions
		Title   string          `json:"title"`
		Content string          `json:"content"`
		Alert   json.RawMessage `json:"alert"`
		Extras  json.RawMessage `json:"extras"`
	}
	if json.Unmarshal(raw, &f) != nil {
		return false
	}
	n := frame{Title: f.Title, Alert: f.Content, Extras: f.Extras, Options: f.frameOptions}
	if text := ""; n.Alert == "" && json.Unmarshal(f.Alert, &text) == nil {
		n.Alert = text
	}
	n.notification(out, name)
	out.Title = cmp.Or(out.Title, title)
	if name == wire.APNs {
		n.Options.frameAlert(f.Alert)
		out.Apple = n.apple(out, m.Push.Options.APNsCollapseID)
	}
	return out.Body != "" || name == wire.APNs && len(f.Alert) > 0
}

// frameAlert keeps an alert object of iOS.
func (o *frameOptions) frameAlert(alert json.RawMessage) {
	if len(alert) > 0 && alert[0] == '{' {
		o.Alert = alert
	}
}

// attributesType is the type of the live activity that a push starts, "" if it starts none.
func attributesType(p *payload.Push) string {
	var l struct {
		IOS struct {
			Event string `json:"event"`
			Type  string `json:"attributes-type"`
		} `json:"ios"`
	}
	if json.Unmarshal(p.LiveActivity(), &l) != nil || l.IOS.Event != "start" {
		return ""
	}
	return l.IOS.Type
}

// live is an update of a live activity: APNs alone has those.
func (m *Message) live(raw json.RawMessage, name wire.Name, now int64) *wire.Message {
	if name != wire.APNs {
		return nil
	}
	var l struct {
		IOS json.RawMessage `json:"ios"`
	}
	if json.Unmarshal(raw, &l) != nil || l.IOS == nil {
		return nil
	}
	out := m.common(&policy{}, name, now)
	out.Kind, out.Apple = wire.Live, &wire.Apple{Live: l.IOS}
	return out
}
