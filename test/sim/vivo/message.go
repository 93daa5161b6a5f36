package vivo

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// message is a message as vivo takes it.
type message struct {
	AppID          int64             `json:"appId"`
	RegID          string            `json:"regId"`
	NotifyType     int               `json:"notifyType"`
	Title          string            `json:"title"`
	Content        string            `json:"content"`
	TimeToLive     *int              `json:"timeToLive"`
	SkipType       int               `json:"skipType"`
	SkipContent    string            `json:"skipContent"`
	NetworkType    *int              `json:"networkType"`
	Classification int               `json:"classification"`
	Category       string            `json:"category"`
	Custom         map[string]string `json:"clientCustomMap"`
	Extra          map[string]string `json:"extra"`
	RequestID      string            `json:"requestId"`
	PushMode       int               `json:"pushMode"`
	NotifyID       *int64            `json:"notifyId"`
	ForegroundShow *bool             `json:"foregroundShow"`
	AddBadge       *bool             `json:"addBadge"`
	AuditReview    []json.RawMessage `json:"auditReview"`
	Live           *liveMessage      `json:"liveMessage"`
}

// liveMessage is the part of an atomic notification that is checked.
type liveMessage struct {
	Operation    int             `json:"operation"`
	Scene        string          `json:"scene"`
	TemplateType int             `json:"templateType"`
	TemplateData json.RawMessage `json:"templateData"`
}

// Categories of the two classes.
var (
	system    = []string{"IM", "ACCOUNT", "TODO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"}
	marketing = []string{"NEWS", "CONTENT", "MARKETING", "SOCIAL"}
)

var (
	onlySigns  = regexp.MustCompile(`^[\p{P}\p{S}\p{N}\s]+$`)
	onlyLetter = regexp.MustCompile(`^[A-Za-z]+$`)
)

// night says whether vivo sends no marketing now: from 23 to 7 in Beijing.
func night(now time.Time) bool {
	hour := now.In(time.FixedZone("CST", 8*60*60)).Hour()
	return hour >= 23 || hour < 7
}

// check is the code for a message, 0 if vivo takes it.
func (m *message) check(now time.Time) int {
	if code := m.fields(); code != 0 {
		return code
	}
	switch {
	case strings.TrimSpace(m.Title) == "":
		return 10055
	case utf8.RuneCountInString(m.Title) > 40:
		return 10056
	case strings.TrimSpace(m.Content) == "":
		return 10057
	case utf8.RuneCountInString(m.Content) > 100:
		return 10058
	case m.Classification != 0 && m.Classification != 1:
		return 10051
	case m.Category != "" && !slices.Contains(system, m.Category) && !slices.Contains(marketing, m.Category):
		return 10096
	case m.Category != "" && slices.Contains(system, m.Category) != (m.Classification == 1):
		return 10097
	case m.size() > 1024:
		return 10067
	}
	if m.PushMode == 1 {
		return 0
	}
	if m.Classification == 0 && night(now) {
		return 10071
	}
	return m.formal()
}

// formal is the code for texts that do not look as if they were for people.
func (m *message) formal() int {
	for _, text := range []string{m.Title, m.Content} {
		lower := strings.ToLower(text)
		if strings.Contains(lower, "测试") || strings.Contains(lower, "test") {
			return 10104
		}
		if onlySigns.MatchString(text) || onlyLetter.MatchString(text) || strings.ContainsAny(text, "{}[]") {
			return 10085
		}
	}
	return 0
}

// fields are the rules that live messages have in common with the others.
func (m *message) fields() int {
	switch {
	case m.NotifyType < 1 || m.NotifyType > 4:
		return 10054
	case m.TimeToLive != nil && (*m.TimeToLive < 60 || *m.TimeToLive > 7*24*3600):
		return 10059
	case m.SkipType != 1 && m.SkipType != 2 && m.SkipType != 4:
		return 10060
	case m.SkipType != 1 && m.SkipContent == "", utf8.RuneCountInString(m.SkipContent) > 2048:
		return 10061
	case m.NetworkType != nil && *m.NetworkType != -1 && *m.NetworkType != 1:
		return 10065
	case m.NotifyID != nil && (*m.NotifyID < 0 || *m.NotifyID >= 1<<31):
		return 10095
	case m.PushMode != 0 && m.PushMode != 1:
		return 10051
	case m.RequestID == "":
		return 10352
	case utf8.RuneCountInString(m.RequestID) > 64:
		return 10353
	}
	for key, value := range m.Extra {
		switch n := utf8.RuneCountInString(value); key {
		case "callback":
			if n > 128 {
				return 10305
			}
		case "callback.param":
			if n > 192 {
				return 10306
			}
		case "callback.id":
		default:
			return 10304
		}
	}
	return 0
}

// checkLive is the code for an atomic notification.
func (m *message) checkLive() int {
	if code := m.fields(); code != 0 {
		return code
	}
	l := m.Live
	switch {
	case m.NotifyID == nil:
		return 10095
	case l == nil || l.Scene == "" || l.Operation != 1 && l.Operation != 2:
		return 10051
	case l.Operation == 1 && (len(l.TemplateData) == 0 || l.TemplateType != 1 && l.TemplateType != 2 && l.TemplateType != 4):
		return 10051
	case width(m.Title) > 40:
		return 10056
	case width(m.Content) > 100:
		return 10058
	}
	return 0
}

// width counts Chinese characters twice.
func width(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r >= 0x2E80 && r <= 0x9FFF || r >= 0xFF00 && r <= 0xFF60 {
			n++
		}
	}
	return n
}

// size is what the app's own keys and values have in characters.
func (m *message) size() int {
	n := 0
	for key, value := range m.Custom {
		n += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
	}
	return n
}
