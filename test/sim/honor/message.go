package honor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// message is one in HONOR's shape, with all fields that are documented.
type message struct {
	Data         string           `json:"data,omitempty"`
	Notification *json.RawMessage `json:"notification,omitempty"`
	Android      struct {
		TTL            string        `json:"ttl,omitempty"`
		BiTag          string        `json:"biTag,omitempty"`
		Data           string        `json:"data,omitempty"`
		TargetUserType int           `json:"targetUserType,omitempty"`
		Notification   *notification `json:"notification,omitempty"`
	} `json:"android"`
	Token []string `json:"token,omitempty"`
}

type notification struct {
	Title       string `json:"title"`
	Body        string `json:"body"`
	ClickAction *struct {
		Type   int    `json:"type"`
		Intent string `json:"intent,omitempty"`
		URL    string `json:"url,omitempty"`
		Action string `json:"action,omitempty"`
	} `json:"clickAction"`
	Image      string          `json:"image,omitempty"`
	Style      int             `json:"style,omitempty"`
	BigTitle   string          `json:"bigTitle,omitempty"`
	BigBody    string          `json:"bigBody,omitempty"`
	Importance string          `json:"importance,omitempty"`
	When       string          `json:"when,omitempty"`
	Buttons    json.RawMessage `json:"buttons,omitempty"`
	Badge      *struct {
		AddNum     *int   `json:"addNum,omitempty"`
		SetNum     *int   `json:"setNum,omitempty"`
		BadgeClass string `json:"badgeClass"`
	} `json:"badge,omitempty"`
	NotifyID *int32 `json:"notifyId,omitempty"`
	Tag      string `json:"tag,omitempty"`
	Group    string `json:"group,omitempty"`
}

const (
	codeShape  = 80100003
	codeTTL    = 80100004
	codeSize   = 80300008
	codeTokens = 80300010
	maxMessage = 4096
	maxBatch   = 1000
	maxTTL     = 15 * 24 * 60 * 60
)

var ttl = regexp.MustCompile(`^([0-9]{1,9})s$`)

// read checks a message.
func read(body []byte) (*message, *answer) {
	m := &message{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, &answer{Code: codeShape, Message: "the message has another structure"}
	}
	if n := len(m.Token); n == 0 || n > maxBatch {
		return nil, &answer{Code: codeTokens, Message: fmt.Sprintf("%d tokens", n)}
	}
	// what the message has without its tokens, as it was sent
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(body, &fields)
	if size := len(body) - len(fields["token"]) - len(`,"token":`); size > maxMessage {
		return nil, &answer{Code: codeSize, Message: fmt.Sprintf("%d bytes", size)}
	}
	if m.Android.TTL != "" {
		match := ttl.FindStringSubmatch(m.Android.TTL)
		if match == nil {
			return nil, &answer{Code: codeTTL, Message: "ttl has another form"}
		}
		if n, _ := strconv.Atoi(match[1]); n < 1 || n > maxTTL {
			return nil, &answer{Code: codeTTL, Message: "ttl is out of range"}
		}
	}
	why := ""
	switch {
	case m.Android.TargetUserType < 0 || m.Android.TargetUserType > 1:
		why = "targetUserType"
	case m.Android.Notification != nil:
		why = m.Android.Notification.problem()
	case m.Data == "":
		why = "neither data nor notification"
	}
	if why != "" {
		return nil, &answer{Code: codeShape, Message: why}
	}
	return m, nil
}

// problem is the field that is wrong, "" if none is.
func (n *notification) problem() string {
	c, https := n.ClickAction, func(s string) bool { return strings.HasPrefix(s, "https://") }
	switch {
	case strings.TrimSpace(n.Title) == "" || strings.TrimSpace(n.Body) == "":
		return "title or body"
	case c == nil:
		return "clickAction"
	case c.Type < 1 || c.Type > 3, c.Type == 1 && c.Intent == "" && c.Action == "", c.Type == 2 && !https(c.URL):
		return "clickAction"
	case c.Type == 1 && c.Intent != "" && !strings.HasPrefix(c.Intent, "intent:"):
		return "clickAction.intent"
	case n.Importance != "" && n.Importance != "LOW" && n.Importance != "NORMAL":
		return "importance"
	case n.Image != "" && (!https(n.Image) || n.Importance != "NORMAL"):
		return "image"
	case n.Style < 0 || n.Style > 1, n.Style == 1 && (n.BigTitle == "" || n.BigBody == ""):
		return "style"
	case n.NotifyID != nil && *n.NotifyID < -1:
		return "notifyId"
	}
	if b := n.Badge; b != nil {
		switch {
		case b.BadgeClass == "", b.AddNum == nil && b.SetNum == nil:
			return "badge"
		case b.AddNum != nil && (*b.AddNum < 1 || *b.AddNum > 99), b.SetNum != nil && (*b.SetNum < 0 || *b.SetNum > 99):
			return "badge"
		}
	}
	return ""
}
