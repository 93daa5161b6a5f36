package huawei

import (
	"encoding/json"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

// Limits of an inbox.
const (
	maxLines = 5
	maxLine  = 1024 // characters
)

// request is the body of messages:send, versions 1 and 2.
type request struct {
	ValidateOnly bool     `json:"validate_only"`
	Message      message  `json:"message"`
	Review       []review `json:"review,omitempty"`
}

// review is what a third party said about the content.
type review struct {
	Reviewer string          `json:"reviewer"`
	Type     int             `json:"type"`
	Result   json.RawMessage `json:"result"`
}

type message struct {
	Data    string   `json:"data,omitempty"`
	Android android  `json:"android"`
	Token   []string `json:"token"`
}

type android struct {
	Urgency        string        `json:"urgency,omitempty"`
	Category       string        `json:"category,omitempty"`
	TTL            string        `json:"ttl"`
	BiTag          string        `json:"bi_tag,omitempty"`
	ReceiptID      string        `json:"receipt_id,omitempty"`
	TargetUserType int           `json:"target_user_type,omitempty"`
	Notification   *notification `json:"notification,omitempty"`
}

type notification struct {
	Title          string      `json:"title"`
	Body           string      `json:"body"`
	Icon           string      `json:"icon,omitempty"`
	Sound          string      `json:"sound,omitempty"`
	DefaultSound   *bool       `json:"default_sound,omitempty"`
	Tag            string      `json:"tag,omitempty"`
	NotifyID       int         `json:"notify_id"`
	ClickAction    clickAction `json:"click_action"`
	ChannelID      string      `json:"channel_id,omitempty"`
	Image          string      `json:"image,omitempty"`
	Style          int         `json:"style,omitempty"`
	BigTitle       string      `json:"big_title,omitempty"`
	BigBody        string      `json:"big_body,omitempty"`
	Inbox          []string    `json:"inbox_content,omitempty"`
	Badge          *badge      `json:"badge,omitempty"`
	Importance     string      `json:"importance,omitempty"`
	ForegroundShow *bool       `json:"foreground_show,omitempty"`
}

type badge struct {
	Add   int    `json:"add_num,omitempty"`
	Set   *int   `json:"set_num,omitempty"`
	Class string `json:"class"`
}

// build makes the request without tokens. reason says why Push Kit would not take it.
func build(m *wire.Message, o *options, pkg string) (out *request, reason string) {
	data, err := m.AppData()
	if err != nil {
		return nil, err.Error()
	}
	out = &request{Message: message{Token: []string{}}}
	a := &out.Message.Android
	*a = android{TTL: seconds(m), BiTag: m.ID, Category: category(m, o), ReceiptID: or(o.ReceiptID, m.ReceiptID)}
	if m.Test {
		a.TargetUserType = 1
	}
	if o.TargetUserType != nil {
		a.TargetUserType = *o.TargetUserType
	}
	if len(o.AuditResponse) > 0 {
		out.Review = []review{{Reviewer: "tuibian", Result: o.AuditResponse}}
	}
	text := &m.Body
	set := func(string) {}
	switch m.Kind {
	case wire.Data:
		a.Urgency = o.Urgency
		set = func(s string) {
			if m.Body != "" {
				data[wire.ContentKey], err = json.Marshal(s)
			}
		}
	case wire.Notification:
		n, reason := newNotification(m, o, pkg)
		if reason != "" {
			return nil, reason
		}
		a.Notification = n
		set = func(s string) { n.Body = s }
		if n.Style == 1 { // the long text is the one to cut
			text, set = &n.BigBody, func(s string) { n.BigBody = s }
		}
	default:
		return nil, "Push Kit has no message of kind " + string(m.Kind)
	}
	return out, out.fit(m, *text, func(s string) error {
		set(s)
		encoded, e := pushkit.Encode(data)
		out.Message.Data = string(encoded)
		if err != nil {
			return err
		}
		return e
	})
}

// fit cuts the text until the request is small enough, if that is wanted. set puts a text in.
func (out *request) fit(m *wire.Message, text string, set func(string) error) (reason string) {
	size := 0
	fits := func(s string) bool {
		if err := set(s); err != nil {
			reason = "the message is no JSON"
			return false
		}
		body, err := pushkit.Encode(out)
		if err != nil {
			reason = "the message is no JSON"
			return false
		}
		size = len(body)
		return size <= pushkit.MaxBody
	}
	if fits(text) || reason != "" {
		return reason
	}
	tooLarge := "the message has " + strconv.Itoa(size) + " bytes, Push Kit takes " + strconv.Itoa(pushkit.MaxBody)
	if !m.Truncate {
		return tooLarge
	}
	cut, ok := wire.Fit(text, fits)
	if !ok {
		return or(reason, tooLarge)
	}
	fits(cut)
	return reason
}

func newNotification(m *wire.Message, o *options, pkg string) (n *notification, reason string) {
	if m.Title == "" || m.Body == "" {
		return nil, "a notification needs a title and a text"
	}
	place := pushkit.Place(m)
	n = &notification{
		Title: m.Title, Body: m.Body, Tag: place, NotifyID: pushkit.NotifyID(place),
		ClickAction: newClick(m.Click, pkg), ChannelID: or(o.ChannelID, m.ChannelID),
		Icon: icon(or(o.SmallIcon, m.SmallIcon)), Importance: o.Importance, DefaultSound: o.DefaultSound, ForegroundShow: m.Foreground,
	}
	if n.Importance == "" && m.Priority < 0 {
		n.Importance = "LOW"
	}
	if n.Sound = o.Sound; n.Sound == "" && m.Sound != "" {
		n.Sound = "/raw/" + strings.TrimPrefix(m.Sound, "/raw/")
	}
	if n.Sound != "" && n.DefaultSound == nil {
		n.DefaultSound = new(false) // else Push Kit plays the system's
	}
	if image := or(o.LargeIcon, m.LargeIcon); strings.HasPrefix(image, "https://") {
		n.Image = image
	}
	if b := m.Badge; b.Class != "" && (b.Add > 0 || b.Set != nil) {
		n.Badge = &badge{Add: b.Add, Set: b.Set, Class: b.Class}
	}
	bigText, inbox, err := o.look(m)
	if err != nil {
		return nil, err.Error()
	}
	switch {
	case bigText != "":
		n.Style, n.BigTitle, n.BigBody = 1, m.Title, bigText
	case len(inbox) > 0:
		n.Style = 3
		n.Inbox, reason = cutInbox(inbox, m.Truncate)
	}
	return n, reason
}

func cutInbox(inbox []string, truncate bool) (out []string, reason string) {
	if len(inbox) > maxLines {
		if !truncate {
			return nil, "an inbox has at most " + strconv.Itoa(maxLines) + " lines"
		}
		inbox = inbox[:maxLines]
	}
	for _, line := range inbox {
		cut := wire.CutRunes(line, maxLine)
		if cut != line && !truncate {
			return nil, "a line of an inbox has at most " + strconv.Itoa(maxLine) + " characters"
		}
		out = append(out, cut)
	}
	return out, ""
}

// category is what the app says; marketing that says nothing is called that, so that it is not taken for something better.
func category(m *wire.Message, o *options) string {
	if c := or(o.Category, m.Category); c != "" {
		return c
	}
	if m.Class == wire.Marketing && m.Kind == wire.Notification {
		return "MARKETING"
	}
	return ""
}

// icon is a file of the app; an address is nothing that Push Kit can show there.
func icon(s string) string {
	if strings.Contains(s, "://") {
		return ""
	}
	return s
}

func seconds(m *wire.Message) string {
	return strconv.FormatInt(max(1, min(int64(m.TTL.Seconds()), pushkit.MaxTTL)), 10) + "s"
}
