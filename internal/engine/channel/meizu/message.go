package meizu

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"borealis/internal/engine/channel/wire"
)

// Limits of Meizu: characters of title and content, bytes of addresses and of what comes back with receipts, and how long messages are kept.
const (
	maxTitle    = 32
	maxContent  = 100
	maxAddress  = 1000
	maxCallback = 128
	maxParam    = 64
	maxTTL      = 72 * time.Hour
)

// message is messageJson.
type message struct {
	NoticeBar struct {
		MsgType int    `json:"noticeMsgType"`
		Title   string `json:"title"`
		Content string `json:"content"`
	} `json:"noticeBarInfo"`
	NoticeExpand *expand `json:"noticeExpandInfo,omitempty"`
	ClickType    click   `json:"clickTypeInfo"`
	PushTime     struct {
		OffLine   int `json:"offLine"`
		ValidTime int `json:"validTime"`
	} `json:"pushTimeInfo"`
	Advance struct {
		NotifyKey string `json:"notifyKey"`
	} `json:"advanceInfo"`
	Extra *extra `json:"extra,omitempty"`
}

type expand struct {
	Type    int    `json:"noticeExpandType"`
	Content string `json:"noticeExpandContent"`
}

type click struct {
	Type       int             `json:"clickType"`
	URL        string          `json:"url,omitempty"`
	Activity   string          `json:"activity,omitempty"`
	Parameters json.RawMessage `json:"parameters"`
}

// extra asks for receipts.
type extra struct {
	Callback string `json:"callback"`
	Param    string `json:"callback.param"`
	Type     string `json:"callback.type"`
}

// Types of clickTypeInfo and of receipts.
const (
	clickApp      = 0
	clickActivity = 1
	clickURI      = 2

	callDelivered = 1
	callClicked   = 2
	callBoth      = "3"

	expandText = 1
)

// read makes a message in Meizu's shape. The error says what Meizu would not take.
func read(c *credentials, m *wire.Message) (*message, error) {
	if m.Kind != wire.Notification {
		return nil, fmt.Errorf("messages of kind %q are not carried", m.Kind)
	}
	parameters, err := m.AppJSON()
	if err != nil {
		return nil, err
	}
	out := &message{}
	if m.Class == wire.System {
		out.NoticeBar.MsgType = 1
	}
	if out.NoticeBar.Title, err = text(m, "title", cmp.Or(m.Title, c.AppName), maxTitle); err != nil {
		return nil, err
	}
	if out.NoticeBar.Content, err = text(m, "content", cmp.Or(m.Short(wire.ShortMeizu), m.Body), maxContent); err != nil {
		return nil, err
	}
	if m.Style.BigText != "" {
		out.NoticeExpand = &expand{Type: expandText, Content: m.Style.BigText}
	}
	if out.ClickType, err = touch(m); err != nil {
		return nil, err
	}
	out.ClickType.Parameters = json.RawMessage(parameters)
	// whole hours, and no fewer than asked for
	out.PushTime.OffLine, out.PushTime.ValidTime = 1, int((min(max(m.TTL, 1), maxTTL)+time.Hour-1)/time.Hour)
	out.Advance.NotifyKey = notifyKey(cmp.Or(m.Replaces, m.ID))
	// Meizu does not send messages that ask for receipts at an address that is not registered
	if param := wire.Stamp(c.AppSecret, m.ID); m.CallbackURL != "" && c.ReceiptToken != "" && len(m.CallbackURL) <= maxCallback && len(param) <= maxParam {
		out.Extra = &extra{Callback: m.CallbackURL, Param: param, Type: callBoth}
	}
	return out, nil
}

func text(m *wire.Message, name, s string, longest int) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", fmt.Errorf("%s is blank", name)
	}
	if utf8.RuneCountInString(s) <= longest {
		return s, nil
	}
	if !m.Truncate {
		return "", fmt.Errorf("%s has more than %d characters", name, longest)
	}
	return wire.CutRunes(s, longest), nil
}

// component is the class in an intent that names one.
var component = regexp.MustCompile(`^intent:.*[#;]component=([^/;]+)/([^;]+);`)

// touch is what a touch opens.
func touch(m *wire.Message) (click, error) {
	out := click{Type: clickApp}
	found := component.FindStringSubmatch(m.Click.URL)
	switch {
	case m.Click.Activity != "":
		out = click{Type: clickActivity, Activity: m.Click.Activity}
	case m.Click.Action != "":
		out = click{Type: clickURI, URL: "intent:#Intent;action=" + m.Click.Action + ";end"}
	case found != nil:
		class := found[2]
		if strings.HasPrefix(class, ".") {
			class = found[1] + class
		}
		out = click{Type: clickActivity, Activity: class}
	case m.Click.URL != "" && m.Click.URL != wire.MainIntent:
		out = click{Type: clickURI, URL: m.Click.URL}
	}
	if len(out.URL) > maxAddress || len(out.Activity) > maxAddress {
		return click{}, errors.New("what a touch opens has more than 1000 bytes")
	}
	return out, nil
}

// notifyKey is eight characters made of an ID: of notifications with the same key only the last one is shown.
func notifyKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// encode is the message as JSON.
func (m *message) encode() (string, error) {
	text, err := wire.JSON(m)
	return string(text), err
}
