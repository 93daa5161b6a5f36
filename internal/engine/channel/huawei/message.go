package huawei

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
)

// Styles of a notification.
const (
	bigText = 1
	inbox   = 3
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
	*a = android{TTL: seconds(m), BiTag: m.ID, Category: category(m, o), ReceiptID: cmp.Or(o.ReceiptID, m.ReceiptID)}
	if m.Test {
		a.TargetUserType = 1
	}
	if o.TargetUserType != nil {
		a.TargetUserType = *o.TargetUserType
	}
	if len(o.AuditResponse) > 0 {
		out.Review = []review{{Reviewer: "tuibian", Result: o.AuditResponse}}
	}
	switch m.Kind {
	case wire.Data:
		a.Urgency = o.Urgency
		return out, out.fit(m, data, m.Body, func(s string) error {
			if m.Body == "" {
				return nil
			}
			content, err := wire.JSON(s)
			data[wire.ContentKey] = content
			return err
		})
	case wire.Notification:
		if a.Notification, reason = newNotification(m, o, pkg); reason != "" {
			return nil, reason
		}
		return out, out.fitNotification(m, data)
	}
	return nil, "Push Kit has no message of kind " + string(m.Kind)
}

// fitNotification cuts a long text first. If the message is still too large, its style goes, and then the end of its text.
func (out *request) fitNotification(m *wire.Message, data map[string]json.RawMessage) (reason string) {
	n := out.Message.Android.Notification
	first, rest := pushkit.Head(m.Body)
	body := func(s string) error { n.Body = first + s; return nil }
	switch n.Style {
	case bigText:
		title := n.BigTitle
		reason = out.fit(m, data, n.BigBody, func(s string) error {
			if n.Style, n.BigTitle, n.BigBody = bigText, title, s; s == "" {
				n.Style, n.BigTitle = 0, ""
			}
			return nil
		})
	case inbox:
		reason = out.fit(m, data, "", func(string) error { return nil })
	default:
		return out.fit(m, data, rest, body)
	}
	if reason == "" || !m.Truncate {
		return reason
	}
	n.Style, n.BigTitle, n.BigBody, n.Inbox = 0, "", "", nil
	return out.fit(m, data, rest, body)
}

// fit cuts the text until the request is small enough, if that is wanted. set puts a text in; data is what the app gets.
func (out *request) fit(m *wire.Message, data map[string]json.RawMessage, text string, set func(string) error) (reason string) {
	size := 0
	fits := func(s string) bool {
		err := set(s)
		app, dataErr := wire.JSON(data)
		out.Message.Data = string(app)
		body, bodyErr := wire.JSON(out)
		if err != nil || dataErr != nil || bodyErr != nil {
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
		return cmp.Or(reason, tooLarge)
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
		ClickAction: newClick(m.Click, pkg), ChannelID: cmp.Or(o.ChannelID, m.ChannelID),
		Icon: icon(cmp.Or(o.SmallIcon, m.SmallIcon)), Importance: o.Importance, DefaultSound: o.DefaultSound, ForegroundShow: m.Foreground,
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
	if image := cmp.Or(o.LargeIcon, m.LargeIcon); strings.HasPrefix(image, "https://") {
		n.Image = image
	}
	if b := m.Badge; b.Class != "" && (b.Add > 0 || b.Set != nil) {
		n.Badge = &badge{Add: b.Add, Set: b.Set, Class: b.Class}
	}
	long, lines, err := o.look(m)
	if err != nil {
		return nil, err.Error()
	}
	switch {
	case long != "":
		n.Style, n.BigTitle, n.BigBody = bigText, m.Title, long
	case len(lines) > 0:
		n.Style = inbox
		n.Inbox, reason = cutInbox(lines, m.Truncate)
	}
	return n, reason
}

func cutInbox(all []string, truncate bool) (out []string, reason string) {
	if len(all) > maxLines {
		if !truncate {
			return nil, "an inbox has at most " + strconv.Itoa(maxLines) + " lines"
		}
		all = all[:maxLines]
	}
	for _, line := range all {
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
	if c := cmp.Or(o.Category, m.Category); c != "" {
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
