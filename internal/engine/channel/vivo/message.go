package vivo

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"borealis/internal/engine/channel/wire"
)

// Limits of vivo, in characters.
const (
	maxTitle    = 40
	maxContent  = 100
	maxSkip     = 2048
	maxCustom   = 1024
	maxCallback = 128
)

// What a touch opens.
const (
	opensApp  = 1
	opensPage = 2
	opensPart = 4
)

// ringAndVibrate is the notifyType for a message that says nothing: what the channel on the device allows.
const ringAndVibrate = 4

// anyNetwork is the networkType for all networks.
const anyNetwork = -1

// payload is a message as vivo takes it.
type payload struct {
	AppID           json.Number       `json:"appId"`
	RegID           string            `json:"regId,omitempty"`
	NotifyType      int               `json:"notifyType"`
	Title           string            `json:"title,omitempty"`
	Content         string            `json:"content,omitempty"`
	TimeToLive      int               `json:"timeToLive"`
	SkipType        int               `json:"skipType"`
	SkipContent     string            `json:"skipContent,omitempty"`
	NetworkType     int               `json:"networkType"`
	Classification  *int              `json:"classification,omitempty"`
	Category        string            `json:"category,omitempty"`
	ClientCustomMap map[string]string `json:"clientCustomMap,omitempty"`
	Extra           map[string]string `json:"extra,omitempty"`
	RequestID       string            `json:"requestId"`
	PushMode        int               `json:"pushMode"`
	NotifyID        int32             `json:"notifyId"`
	ForegroundShow  *bool             `json:"foregroundShow,omitempty"`
	AddBadge        *bool             `json:"addBadge,omitempty"`
	AuditReview     json.RawMessage   `json:"auditReview,omitempty"`
	LiveMessage     json.RawMessage   `json:"liveMessage,omitempty"`
}

// build is the message in vivo's terms, or why vivo would not take it.
func build(c *credentials, m *wire.Message) (*payload, *wire.RefusalError) {
	o, refused := readOptions(m)
	if refused != nil {
		return nil, refused
	}
	p := &payload{
		AppID: c.appID, NotifyType: ringAndVibrate, NetworkType: anyNetwork, NotifyID: m.NotifyID(),
		TimeToLive: int(min(max(m.TTL, minTTL), maxTTL) / time.Second), Title: m.Title, Content: m.Body,
		Category: cmp.Or(o.Category, m.Category), ForegroundShow: m.Foreground, AddBadge: o.AddBadge,
	}
	if m.Test {
		p.PushMode = 1
	}
	if o.PushMode != nil {
		p.PushMode = *o.PushMode
	}
	p.receipts(m, o)
	if refused := p.click(c, m); refused != nil {
		return nil, refused
	}
	if o.Live != nil {
		return p, p.live(m, o)
	}
	class := int(m.Class)
	p.Classification = &class
	if !isNull(o.Audit) {
		p.AuditReview = o.Audit
		if isObject(o.Audit) {
			p.AuditReview = slices.Concat(json.RawMessage("["), o.Audit, json.RawMessage("]"))
		}
	}
	if refused := p.texts(m); refused != nil {
		return nil, refused
	}
	return p, p.custom(m)
}

// receipts asks for reports: at the address that is registered at vivo under an id, else at ours.
func (p *payload) receipts(m *wire.Message, o options) {
	extra := make(map[string]string)
	if id := cmp.Or(o.CallbackID, m.ReceiptID); id != "" {
		extra["callback.id"] = id
	} else if m.CallbackURL != "" && utf8.RuneCountInString(m.CallbackURL) <= maxCallback {
		extra["callback"] = m.CallbackURL
	}
	if len(extra) > 0 {
		extra["callback.param"] = m.ID
		p.Extra = extra
	}
}

// live makes it an atomic notification. The app made the notification itself, under a number of its own, which the object may
// carry as notifyId. Texts are optional, and Chinese characters count twice.
func (p *payload) live(m *wire.Message, o options) *wire.RefusalError {
	var fields map[string]json.RawMessage
	if json.Unmarshal(o.Live, &fields) != nil {
		return rejected("vivo_liveMessage", "must be an object")
	}
	p.LiveMessage, p.Category, p.ForegroundShow, p.AddBadge = o.Live, "", nil, nil
	if number, ok := fields["notifyId"]; ok {
		if json.Unmarshal(number, &p.NotifyID) != nil || p.NotifyID < 0 {
			return rejected("notifyId", "must be a number from 0 to 2147483647")
		}
		delete(fields, "notifyId")
		rest, err := json.Marshal(fields)
		if err != nil {
			return rejected("vivo_liveMessage", "cannot be written as JSON")
		}
		p.LiveMessage = rest
	}
	return fit(m.Truncate, text{"title", &p.Title, maxTitle, width}, text{"content", &p.Content, maxContent, width})
}

func (p *payload) texts(m *wire.Message) *wire.RefusalError {
	if strings.TrimSpace(p.Title) == "" {
		return rejected("title", "is needed")
	}
	content := text{"content", &p.Content, maxContent, one}
	if short := m.Short(wire.ShortVivo); short != "" {
		p.Content, content.width = short, width
	}
	if strings.TrimSpace(p.Content) == "" {
		return rejected("content", "is needed")
	}
	return fit(m.Truncate, text{"title", &p.Title, maxTitle, one}, content)
}

// text is a field with a limit, and what a character counts.
type text struct {
	name  string
	value *string
	limit int
	width func(rune) int
}

func one(rune) int { return 1 }

// width counts characters of Chinese, Japanese and Korean twice.
func width(r rune) int {
	if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r >= 0x3000 && r <= 0x303F || r >= 0xFF01 && r <= 0xFF60 {
		return 2
	}
	return 1
}

// fit cuts texts that are too long, or refuses them.
func fit(truncate bool, texts ...text) *wire.RefusalError {
	for _, t := range texts {
		sum := 0
		for i, r := range *t.value {
			sum += t.width(r)
			if sum <= t.limit {
				continue
			}
			if !truncate {
				return rejected(t.name, "has more than "+strconv.Itoa(t.limit)+" characters")
			}
			*t.value = (*t.value)[:i]
			break
		}
	}
	return nil
}

func (p *payload) click(c *credentials, m *wire.Message) *wire.RefusalError {
	p.SkipType = opensApp
	switch click := m.Click; {
	case click.URL == wire.MainIntent:
	case strings.HasPrefix(click.URL, "http://"), strings.HasPrefix(click.URL, "https://"):
		p.SkipType, p.SkipContent = opensPage, click.URL
	case click.URL != "":
		p.SkipType, p.SkipContent = opensPart, click.URL
	case click.Activity != "" && c.packageName != "":
		p.SkipType, p.SkipContent = opensPart, "intent:#Intent;component="+c.packageName+"/"+click.Activity+";end"
	case click.Activity != "":
		p.SkipType, p.SkipContent = opensPart, click.Activity
	case click.Action != "":
		within := ""
		if c.packageName != "" {
			within = "package=" + c.packageName + ";"
		}
		p.SkipType, p.SkipContent = opensPart, "intent:#Intent;action="+click.Action+";"+within+"end"
	}
	if utf8.RuneCountInString(p.SkipContent) > maxSkip {
		return rejected("skipContent", "has more than 2048 characters")
	}
	return nil
}

func (p *payload) custom(m *wire.Message) *wire.RefusalError {
	texts, err := m.Texts()
	if err != nil {
		return rejected("extras", "must be a JSON object")
	}
	sum := 0
	for key, value := range maps.All(texts) {
		sum += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
	}
	if sum > maxCustom {
		return rejected("clientCustomMap", "the extras have more than 1024 characters")
	}
	p.ClientCustomMap = texts
	return nil
}
