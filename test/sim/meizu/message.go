package meizu

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// message is messageJson with all fields that are documented, vipInfo aside, which the app has no right to.
type message struct {
	NoticeBar struct {
		MsgType int    `json:"noticeMsgType"`
		BarType int    `json:"noticeBarType"`
		Title   string `json:"title"`
		Content string `json:"content"`
	} `json:"noticeBarInfo"`
	Expand struct {
		Type    int    `json:"noticeExpandType"`
		Content string `json:"noticeExpandContent"`
	} `json:"noticeExpandInfo"`
	Click struct {
		Type            int             `json:"clickType"`
		URL             string          `json:"url"`
		Parameters      json.RawMessage `json:"parameters"`
		Activity        string          `json:"activity"`
		CustomAttribute string          `json:"customAttribute"`
	} `json:"clickTypeInfo"`
	Time struct {
		OffLine   *int `json:"offLine"`
		ValidTime int  `json:"validTime"`
	} `json:"pushTimeInfo"`
	Advance struct {
		Suspend          *int            `json:"suspend"`
		ClearNoticeBar   *int            `json:"clearNoticeBar"`
		FixDisplay       int             `json:"fixDisplay"`
		FixStart         string          `json:"fixStartDisplayTime"`
		FixEnd           string          `json:"fixEndDisplayTime"`
		NotificationType json.RawMessage `json:"notificationType"`
		NotifyKey        string          `json:"notifyKey"`
	} `json:"advanceInfo"`
	Extra *struct {
		Callback string      `json:"callback"`
		Param    string      `json:"callback.param"`
		Type     json.Number `json:"callback.type"`
	} `json:"extra"`
}

var notifyKey = regexp.MustCompile(`^[0-9a-zA-Z_-]{0,8}$`)

// read checks a message and says which field is wrong, "" if none is.
func read(text string) (*message, string) {
	m := &message{}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, "messageJson"
	}
	length := utf8.RuneCountInString
	var object map[string]any
	c := m.Click
	switch {
	case m.NoticeBar.MsgType < 0 || m.NoticeBar.MsgType > 1:
		return nil, "noticeMsgType"
	case m.NoticeBar.BarType != 0 && m.NoticeBar.BarType != 2:
		return nil, "noticeBarType"
	case strings.TrimSpace(m.NoticeBar.Title) == "" || length(m.NoticeBar.Title) > 32:
		return nil, "title"
	case strings.TrimSpace(m.NoticeBar.Content) == "" || length(m.NoticeBar.Content) > 100:
		return nil, "content"
	case m.Expand.Type < 0 || m.Expand.Type > 1 || m.Expand.Type == 1 && m.Expand.Content == "": // large pictures are for VIP apps
		return nil, "noticeExpandInfo"
	case c.Type < 0 || c.Type > 2: // 3 is no longer taken
		return nil, "clickType"
	case c.Type == 1 && (c.Activity == "" || len(c.Activity) > 1000):
		return nil, "activity"
	case c.Type == 2 && (c.URL == "" || len(c.URL) > 1000):
		return nil, "url"
	case len(c.Parameters) > 0 && json.Unmarshal(c.Parameters, &object) != nil:
		return nil, "parameters"
	case m.Time.OffLine != nil && (*m.Time.OffLine < 0 || *m.Time.OffLine > 1):
		return nil, "offLine"
	case (m.Time.OffLine == nil || *m.Time.OffLine == 1) && (m.Time.ValidTime < 1 || m.Time.ValidTime > 72):
		return nil, "validTime"
	case !notifyKey.MatchString(m.Advance.NotifyKey):
		return nil, "notifyKey"
	}
	return m, m.receipts()
}

func (m *message) receipts() string {
	if m.Extra == nil {
		return ""
	}
	u, err := url.Parse(m.Extra.Callback)
	switch kind := m.Extra.Type.String(); {
	case err != nil || u.Host == "" || len(m.Extra.Callback) > 128:
		return "callback"
	case len(m.Extra.Param) > 64:
		return "callback.param"
	case kind != "" && kind != "1" && kind != "2" && kind != "3":
		return "callback.type"
	}
	return ""
}
