package oppo

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"borealis/internal/engine/channel/wire"
)

// Limits of OPPO, in characters unless it says otherwise.
const (
	maxTitle       = 50
	maxSubTitle    = 10
	maxContent     = 50
	maxLongContent = 128
	maxActivity    = 500
	maxURL         = 2000
	maxParameters  = 4000
	maxCallback    = 200
	// maxShowTTL is two days, in seconds.
	maxShowTTL = 172_800
)

// Styles of a notification.
const (
	standardStyle = 1
	longStyle     = 2
	pictureStyle  = 3
)

// Kinds of clicks.
const (
	opensApp      = 0
	opensAction   = 1
	opensPage     = 2
	opensActivity = 4
	opensIntent   = 5
)

// notification is OPPO's object of that name. Fields that are absent are absent on the wire.
type notification struct {
	AppMessageID      string `json:"app_message_id,omitempty"`
	Style             int    `json:"style"`
	BigPictureID      string `json:"big_picture_id,omitempty"`
	SmallPictureID    string `json:"small_picture_id,omitempty"`
	Title             string `json:"title"`
	SubTitle          string `json:"sub_title,omitempty"`
	Content           string `json:"content"`
	ClickActionType   int    `json:"click_action_type"`
	ClickActivity     string `json:"click_action_activity,omitempty"`
	ClickURL          string `json:"click_action_url,omitempty"`
	ActionParameters  string `json:"action_parameters,omitempty"`
	OffLine           bool   `json:"off_line"`
	OffLineTTL        int    `json:"off_line_ttl"`
	ShowTTL           int    `json:"show_ttl,omitempty"`
	ChannelID         string `json:"channel_id,omitempty"`
	Category          string `json:"category,omitempty"`
	NotifyLevel       int    `json:"notify_level,omitempty"`
	NotifyID          int32  `json:"notify_id"`
	CallBackURL       string `json:"call_back_url,omitempty"`
	CallBackParameter string `json:"call_back_parameter,omitempty"`
	BadgeOperation    *int   `json:"badge_operation_type,omitempty"`
	BadgeCount        *int   `json:"badge_message_count,omitempty"`
	TemplateID        string `json:"private_msg_template_id,omitempty"`
	TitleParameters   object `json:"private_title_parameters,omitempty"`
	ContentParameters object `json:"private_content_parameters,omitempty"`
	AuditResponse     string `json:"auditResponse,omitempty"`
}

// build is the message in OPPO's terms, or why OPPO would not take it.
func build(m *wire.Message) (*notification, *wire.RefusalError) {
	if m.Kind != wire.Notification {
		return nil, rejected("kind", "OPPO carries notifications only")
	}
	o, refused := readOptions(m.Options)
	if refused != nil {
		return nil, refused
	}
	n := &notification{
		AppMessageID: m.ID, Style: standardStyle, OffLine: true,
		OffLineTTL: max(1, int(min(m.TTL, maxTTL)/time.Second)), NotifyID: m.NotifyID(), ShowTTL: o.ShowTTL,
		ChannelID: cmp.Or(o.ChannelID, m.ChannelID), Category: cmp.Or(o.Category, m.Category), NotifyLevel: o.NotifyLevel,
		SubTitle: o.SubTitle, Title: m.Title, Content: cmp.Or(m.Short(wire.ShortOPPO), m.Body),
		TemplateID: o.TemplateID, TitleParameters: o.Title, ContentParameters: o.Content,
	}
	if len(o.Audit) > 0 && string(o.Audit) != "null" {
		n.AuditResponse = string(o.Audit)
	}
	if n.NotifyLevel != 0 && n.Category == "" {
		return nil, rejected("notify_level", "needs a category")
	}
	if m.CallbackURL != "" && utf8.RuneCountInString(m.CallbackURL) <= maxCallback {
		n.CallBackURL, n.CallBackParameter = m.CallbackURL, m.ID
	}
	n.style(m, o)
	n.badge(m, o)
	for _, step := range []func(*wire.Message) *wire.RefusalError{n.click, n.texts, n.parameters} {
		if refused := step(m); refused != nil {
			return nil, refused
		}
	}
	return n, nil
}

// style chooses among the styles: what the vendor's object says, else what the message says. A body that is too long for the
// standard one is sent as a long text.
func (n *notification) style(m *wire.Message, o options) {
	big, picture := o.BigText, o.BigPicture
	if !o.VendorStyle {
		big, picture = cmp.Or(big, m.Style.BigText), cmp.Or(picture, m.Style.BigPicture)
	}
	if o.Style != nil && *o.Style != 1 {
		big = ""
	}
	if o.Style != nil && *o.Style != 3 {
		picture = ""
	}
	if icon := cmp.Or(o.LargeIcon, m.LargeIcon); !strings.Contains(icon, "/") {
		n.SmallPictureID = icon // addresses are for the other vendors: OPPO takes pictures that were given to it before
	}
	switch {
	case picture != "" && !strings.Contains(picture, "/"):
		n.Style, n.BigPictureID = pictureStyle, picture
	case big != "":
		n.Style, n.Content = longStyle, big
	case utf8.RuneCountInString(n.Content) > maxContent:
		n.Style = longStyle
	}
}

func (n *notification) badge(m *wire.Message, o options) {
	set, add := 0, 1
	switch {
	case o.Badge != nil:
		n.BadgeOperation, n.BadgeCount = o.Badge, o.BadgeCount
	case o.BadgeCount != nil:
		n.BadgeOperation, n.BadgeCount = &set, o.BadgeCount
	case m.Badge.Set != nil:
		n.BadgeOperation, n.BadgeCount = &set, m.Badge.Set
	case m.Badge.Add > 0:
		count := m.Badge.Add
		n.BadgeOperation, n.BadgeCount = &add, &count
	}
}

func (n *notification) click(m *wire.Message) *wire.RefusalError {
	c := m.Click
	switch {
	case c.URL == wire.MainIntent:
	case strings.HasPrefix(c.URL, "http://"), strings.HasPrefix(c.URL, "https://"):
		n.ClickActionType, n.ClickURL = opensPage, c.URL
	case c.URL != "":
		n.ClickActionType, n.ClickURL = opensIntent, c.URL
	case c.Activity != "":
		n.ClickActionType, n.ClickActivity = opensActivity, c.Activity
	case c.Action != "":
		n.ClickActionType, n.ClickActivity = opensAction, c.Action
	default:
		n.ClickActionType = opensApp
	}
	if utf8.RuneCountInString(n.ClickURL) > maxURL {
		return rejected("click_action_url", "has more than 2000 characters")
	}
	if utf8.RuneCountInString(n.ClickActivity) > maxActivity {
		return rejected("click_action_activity", "has more than 500 characters")
	}
	return nil
}

func (n *notification) texts(m *wire.Message) *wire.RefusalError {
	limit := maxContent
	if n.Style == longStyle {
		limit = maxLongContent
	}
	for _, f := range []struct {
		name  string
		value *string
		limit int
		empty bool
	}{{"title", &n.Title, maxTitle, false}, {"sub_title", &n.SubTitle, maxSubTitle, true}, {"content", &n.Content, limit, false}} {
		if strings.TrimSpace(*f.value) == "" && !f.empty {
			return rejected(f.name, "is needed")
		}
		if utf8.RuneCountInString(*f.value) <= f.limit {
			continue
		}
		if !m.Truncate {
			return rejected(f.name, "has more than "+strconv.Itoa(f.limit)+" characters")
		}
		*f.value = wire.CutRunes(*f.value, f.limit)
	}
	return nil
}

func (n *notification) parameters(m *wire.Message) *wire.RefusalError {
	texts, err := m.Texts()
	if err != nil {
		return rejected("extras", "must be a JSON object")
	}
	text, err := json.Marshal(texts)
	if err != nil {
		return rejected("extras", "cannot be written")
	}
	if utf8.RuneCount(text) > maxParameters {
		return rejected("action_parameters", "the extras have more than 4000 characters")
	}
	n.ActionParameters = string(text)
	return nil
}

// form is the notification as save_message_content takes it. The app_message_id is left out: what OPPO answers when
// it saved one of that id before is not documented.
func (n *notification) form() url.Values {
	saved := *n
	saved.AppMessageID = ""
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(encode(&saved), &fields)
	form := make(url.Values, len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		var plain string
		if json.Unmarshal(fields[key], &plain) != nil {
			plain = string(fields[key])
		}
		form.Set(key, plain)
	}
	return form
}

// encode writes what is made of texts and numbers, which never fails.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return text
}
