package huawei

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"borealis/test/sim/phone"
	"borealis/test/sim/pushkit"
	"borealis/test/sim/schema"
)

// categories of messages.
var categories = schema.One("IM", "VOIP", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS", "FINANCE", "DEVICE_REMINDER", "MAIL",
	"PLAY_VOICE", "MARKETING")

var (
	colour   = schema.Like(regexp.MustCompile(`^#[0-9a-fA-F]{6}$`), "#RRGGBB")
	lifetime = schema.Like(regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,9})?[sS]?$`), "seconds")
)

var request = schema.Object(schema.Fields{
	"validate_only": schema.Bool,
	"message!": schema.Object(schema.Fields{
		"data": schema.String, "notification": schema.Object(schema.Fields{"title": schema.String, "body": schema.String, "image": schema.HTTPS}),
		"android": android, "apns": schema.Map, "webpush": schema.Map, "token": schema.List(1<<20, schema.String), "topic": schema.String, "condition": schema.String,
	}),
	"review": schema.List(10, schema.Object(schema.Fields{"reviewer!": schema.One("tuibian"), "type!": schema.Int(0, 0), "result!": schema.Map})),
})

var android = schema.Object(schema.Fields{
	"bi_tag": schema.AtMost(64), "category": categories, "collapse_key": schema.Any, "data": schema.String, "fast_app_target": schema.Int(1, 2),
	"receipt_id": schema.String, "target_user_type": schema.Int(0, 1), "ttl": lifetime, "urgency": schema.One("HIGH", "NORMAL"),
	"notification": schema.Object(schema.Fields{
		"title": schema.String, "body": schema.String, "icon": schema.String, "color": colour, "sound": schema.String, "default_sound": schema.Bool,
		"tag": schema.String, "body_loc_key": schema.String, "body_loc_args": schema.List(100, schema.String), "title_loc_key": schema.String,
		"title_loc_args": schema.List(100, schema.String), "multi_lang_key": schema.Map, "channel_id": schema.String, "notify_summary": schema.String,
		"image": schema.HTTPS, "style": schema.Int(0, 3), "big_title": schema.String, "big_body": schema.String, "notify_id": schema.Int(-1, 1<<31-1),
		"group": schema.String, "ticker": schema.String, "when": schema.String, "importance": schema.One("LOW", "NORMAL", "HIGH"),
		"use_default_vibrate": schema.Bool, "use_default_light": schema.Bool, "vibrate_config": schema.List(10, schema.String),
		"visibility": schema.One("VISIBILITY_UNSPECIFIED", "PUBLIC", "SECRET", "PRIVATE"), "light_settings": schema.Map, "foreground_show": schema.Bool,
		"profile_id": schema.AtMost(64), "inbox_content": schema.List(5, schema.AtMost(1024)), "buttons": schema.List(3, schema.Map),
		"badge":         schema.Object(schema.Fields{"add_num": schema.Int(1, 99), "set_num": schema.Int(0, 99), "class!": schema.String}),
		"click_action!": schema.Object(schema.Fields{"type!": schema.Int(1, 3), "intent": schema.String, "action": schema.String, "url": schema.HTTPS}),
	}),
})

// message is what is read of a request that has passed the schema.
type message struct {
	ValidateOnly bool `json:"validate_only"`
	Message      struct {
		Data         string        `json:"data"`
		Notification *notification `json:"notification"`
		Android      struct {
			BiTag          string        `json:"bi_tag"`
			Category       string        `json:"category"`
			CollapseKey    json.Number   `json:"collapse_key"`
			Data           string        `json:"data"`
			TargetUserType int           `json:"target_user_type"`
			TTL            string        `json:"ttl"`
			Urgency        string        `json:"urgency"`
			Notification   *notification `json:"notification"`
		} `json:"android"`
		Token     []string `json:"token"`
		Topic     string   `json:"topic"`
		Condition string   `json:"condition"`
	} `json:"message"`
}

type notification struct {
	Title    string   `json:"title"`
	Body     string   `json:"body"`
	Tag      string   `json:"tag"`
	Style    int      `json:"style"`
	BigTitle string   `json:"big_title"`
	BigBody  string   `json:"big_body"`
	NotifyID *int     `json:"notify_id"`
	Inbox    []string `json:"inbox_content"`
	Click    struct {
		Type   int    `json:"type"`
		Intent string `json:"intent"`
		Action string `json:"action"`
		URL    string `json:"url"`
	} `json:"click_action"`
}

func illegal(format string, args ...any) *pushkit.Refusal {
	return &pushkit.Refusal{HTTP: http.StatusBadRequest, Code: pushkit.BadStructure, Msg: "Illegal payload, " + fmt.Sprintf(format, args...)}
}

func explain(p *schema.Problem) string {
	if p.Unknown {
		return fmt.Sprintf("%s has no field %v", p.Path, p.Value)
	}
	return p.Path + " must be " + p.Want
}

// read checks a request of versions 1 and 2.
func read(body []byte) (m *pushkit.Message, validateOnly bool, refused *pushkit.Refusal) {
	raw, err := schema.Decode(body)
	if err != nil {
		return nil, false, illegal("it is no JSON")
	}
	if p := request("", raw); p != nil {
		return nil, false, illegal("%s", explain(p))
	}
	var in message
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, illegal("%v", err)
	}
	if refused := in.check(body); refused != nil {
		return nil, false, refused
	}
	a := &in.Message.Android
	out := &pushkit.Message{Tokens: in.Message.Token, BiTag: a.BiTag, Test: a.TargetUserType == 1, Capped: 201}
	data := in.Message.Data
	if a.Data != "" {
		data = a.Data
	}
	out.Notification = phone.Notification{ID: a.BiTag, Data: asJSON(data)}
	if n := a.Notification; n != nil {
		out.Shown = true
		out.Marketing = a.Category == "MARKETING" || a.Category == ""
		out.Title, out.Body = n.merged(in.Message.Notification)
		if out.Tag = n.Tag; out.Tag == "" && n.NotifyID != nil && *n.NotifyID >= 0 {
			out.Tag = strconv.Itoa(*n.NotifyID)
		}
	}
	return out, in.ValidateOnly, nil
}

// merged are the texts, of which those of android win.
func (n *notification) merged(general *notification) (title, body string) {
	title, body = n.Title, n.Body
	if general != nil && title == "" {
		title = general.Title
	}
	if general != nil && body == "" {
		body = general.Body
	}
	return title, body
}

func (in *message) check(body []byte) *pushkit.Refusal {
	m := &in.Message
	targets := 0
	if m.Token != nil {
		targets++
	}
	for _, t := range []string{m.Topic, m.Condition} {
		if t != "" {
			targets++
		}
	}
	switch {
	case targets != 1:
		return illegal("one of token, topic and condition is needed")
	case m.Topic != "" || m.Condition != "":
		return illegal("topics are not simulated")
	case len(m.Token) == 0 || len(m.Token) > pushkit.MaxTokens:
		return new(codes["80300010"])
	case pushkit.WithoutTokens(body, m.Token) > pushkit.MaxBytes:
		return new(codes["80300008"])
	}
	a := &m.Android
	if a.TTL != "" {
		seconds, err := strconv.ParseFloat(strings.TrimRight(a.TTL, "sS"), 64)
		if err != nil || seconds <= 0 {
			return new(codes["80100004"])
		}
		if seconds > pushkit.MaxTTL {
			return illegal("ttl is more than 15 days")
		}
	}
	if a.CollapseKey != "" {
		if key, err := a.CollapseKey.Int64(); err != nil || key < -1 || key > 100 {
			return new(codes["80100013"])
		}
	}
	n := a.Notification
	if n == nil {
		if m.Notification != nil {
			return illegal("android.notification is needed")
		}
		if m.Data == "" && a.Data == "" {
			return illegal("the message has no content")
		}
		return nil
	}
	return n.check(m.Notification, a.Category)
}

func (n *notification) check(general *notification, category string) *pushkit.Refusal {
	title, body := n.merged(general)
	switch {
	case title == "" || body == "":
		return illegal("title and body are needed")
	case category == "PLAY_VOICE":
		return illegal("PLAY_VOICE is for data messages")
	case n.Style == 2:
		return illegal("style must be 0, 1 or 3")
	case n.Style == 1 && (n.BigTitle == "" || n.BigBody == ""):
		return illegal("style 1 needs big_title and big_body")
	case n.Style == 3 && len(n.Inbox) == 0:
		return illegal("style 3 needs inbox_content")
	case n.Click.Type == 1 && n.Click.Intent == "" && n.Click.Action == "":
		return illegal("click_action 1 needs intent or action")
	case n.Click.Type == 1 && n.Click.Intent != "" && !strings.HasPrefix(n.Click.Intent, "intent:"):
		return illegal("intent must be written as Intent.toUri does")
	case n.Click.Type == 2 && n.Click.URL == "":
		return illegal("click_action 2 needs url")
	}
	return nil
}

// asJSON is data as a phone keeps it: JSON as it is, other text as a JSON text.
func asJSON(data string) json.RawMessage {
	if data == "" {
		return nil
	}
	if json.Valid([]byte(data)) {
		return json.RawMessage(data)
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil
	}
	return encoded
}
