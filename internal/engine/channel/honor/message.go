package honor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

const (
	// maxBody is the size of a message without its tokens, in bytes.
	maxBody = 4096
	maxTTL  = 15 * 24 * time.Hour

	importanceLow    = "LOW"
	importanceNormal = "NORMAL"
)

// body is a message in HONOR's shape.
type body struct {
	// Data is what the app gets.
	Data    string   `json:"data,omitempty"`
	Android android  `json:"android"`
	Token   []string `json:"token,omitempty"`
}

type android struct {
	TTL            string        `json:"ttl"`
	BiTag          string        `json:"biTag"`
	TargetUserType int           `json:"targetUserType,omitempty"`
	Notification   *notification `json:"notification,omitempty"`
}

type notification struct {
	Title       string      `json:"title"`
	Body        string      `json:"body"`
	ClickAction clickAction `json:"clickAction"`
	Importance  string      `json:"importance"`
	Image       string      `json:"image,omitempty"`
	Style       int         `json:"style,omitempty"`
	BigTitle    string      `json:"bigTitle,omitempty"`
	BigBody     string      `json:"bigBody,omitempty"`
	Badge       *badge      `json:"badge,omitempty"`
	NotifyID    int32       `json:"notifyId"`
}

// Types of clickAction.
const (
	clickPage = 1
	clickURL  = 2
	clickApp  = 3
)

type clickAction struct {
	Type   int    `json:"type"`
	Intent string `json:"intent,omitempty"`
	URL    string `json:"url,omitempty"`
	Action string `json:"action,omitempty"`
}

type badge struct {
	AddNum     int    `json:"addNum,omitempty"`
	SetNum     *int   `json:"setNum,omitempty"`
	BadgeClass string `json:"badgeClass"`
}

// message is the message without its tokens. The error says what HONOR would not take.
func message(c *credentials, m *wire.Message) (*body, error) {
	o, err := readOptions(m.Options)
	if err != nil {
		return nil, err
	}
	ttl := min(max(m.TTL, time.Second), maxTTL)
	b := &body{Android: android{
		TTL:            strconv.FormatInt(int64(ttl/time.Second), 10) + "s",
		BiTag:          wire.Stamp(c.ClientSecret, m.ID),
		TargetUserType: o.target(m),
	}}
	switch kind := o.kind(m); kind {
	case wire.Notification:
		return b, b.notify(c, o, m)
	case wire.Data:
		return b, b.data(m)
	case wire.VoIP:
		return b, b.call(o, m)
	default:
		return nil, fmt.Errorf("messages of kind %q are not carried", kind)
	}
}

// notify makes it a notification.
func (b *body) notify(c *credentials, o *options, m *wire.Message) (err error) {
	if b.Data, err = m.AppJSON(); err != nil {
		return err
	}
	n := &notification{
		Title: cmp.Or(m.Title, c.AppName), Body: m.Body, ClickAction: click(c, m), Importance: o.importance(m), NotifyID: m.NotifyID(),
	}
	if strings.TrimSpace(n.Title) == "" {
		return errors.New("title is blank")
	}
	if strings.TrimSpace(n.Body) == "" {
		return errors.New("body is blank")
	}
	if big := o.bigText(m); big != "" {
		n.Style, n.BigTitle, n.BigBody = 1, n.Title, big
	}
	// pictures are for messages of services only, and must come by HTTPS
	for _, icon := range []string{o.LargeIcon, m.LargeIcon, o.SmallIcon, m.SmallIcon} {
		if n.Image == "" && n.Importance == importanceNormal && strings.HasPrefix(icon, "https://") {
			n.Image = icon
		}
	}
	if class := cmp.Or(m.Badge.Class, c.BadgeClass); class != "" && (m.Badge.Add != 0 || m.Badge.Set != nil) {
		n.Badge = &badge{AddNum: m.Badge.Add, SetNum: m.Badge.Set, BadgeClass: class}
		if m.Badge.Set != nil {
			n.Badge.AddNum = 0
		}
	}
	b.Android.Notification = n
	return b.fit(m.Truncate, &n.BigBody, &n.Body, &n.Title)
}

// data makes it a message for the app.
func (b *body) data(m *wire.Message) error {
	var wrong error
	cut, ok := wire.Fit(m.Body, func(text string) bool {
		short := *m
		short.Body = text
		var err error
		if b.Data, err = short.AppJSON(); err != nil {
			wrong = err
			return true
		}
		return b.size() <= maxBody
	})
	if wrong != nil {
		return wrong
	}
	if !ok || cut != m.Body && !m.Truncate {
		return tooLarge()
	}
	short := *m
	short.Body = cut
	b.Data, wrong = short.AppJSON()
	return wrong
}

// call makes it a message for the app with the data of a call.
func (b *body) call(o *options, m *wire.Message) error {
	raw := o.VoIP
	if raw == nil {
		raw = m.Payload
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	object := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &object) != nil || object == nil {
		return errors.New("voip_extraData is missing or no JSON object")
	}
	var err error
	if object[wire.IDKey], err = json.Marshal(m.ID); err != nil {
		return err
	}
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	b.Data = string(data)
	return b.fit(false)
}

// fit cuts texts, the first ones first, until the message is small enough.
func (b *body) fit(truncate bool, texts ...*string) error {
	for _, t := range texts {
		if b.size() <= maxBody {
			return nil
		}
		if !truncate {
			return tooLarge()
		}
		whole := *t
		cut, _ := wire.Fit(whole, func(s string) bool {
			*t = s
			return b.size() <= maxBody
		})
		if *t = cut; strings.TrimSpace(cut) == "" { // none may be blank: the next text has to give way
			*t = wire.CutRunes(whole, 1)
		}
	}
	if b.size() > maxBody {
		return tooLarge()
	}
	return nil
}

func tooLarge() error { return fmt.Errorf("the message has more than %d bytes", maxBody) }

// size is what the message has without its tokens, in bytes.
func (b *body) size() int {
	short := *b
	short.Token = nil
	return len(short.encode())
}

// encode is the message as JSON. It has nothing in it that cannot be.
func (b *body) encode() []byte {
	text, err := wire.JSON(b)
	if err != nil {
		return nil
	}
	return text
}

// click is what a touch opens.
func click(c *credentials, m *wire.Message) clickAction {
	scheme, rest, isURI := strings.Cut(m.Click.URL, "://")
	switch {
	case m.Click.Activity != "" && c.PackageName != "":
		return clickAction{Type: clickPage, Intent: "intent:#Intent;component=" + c.PackageName + "/" + m.Click.Activity + ";end"}
	case m.Click.Action != "":
		return clickAction{Type: clickPage, Action: m.Click.Action}
	case scheme == "https" && isURI:
		return clickAction{Type: clickURL, URL: m.Click.URL}
	case strings.HasPrefix(m.Click.URL, "intent:"):
		return clickAction{Type: clickPage, Intent: m.Click.URL}
	case isURI:
		return clickAction{Type: clickPage, Intent: "intent://" + rest + "#Intent;scheme=" + scheme + ";launchFlags=0x4000000;end"}
	}
	return clickAction{Type: clickApp}
}
