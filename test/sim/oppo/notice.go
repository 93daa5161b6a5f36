package oppo

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// notice is a notification as OPPO takes it. Numbers may come as texts, as in a form.
type notice struct {
	AppMessageID      string `json:"app_message_id"`
	Style             number `json:"style"`
	BigPictureID      string `json:"big_picture_id"`
	Title             string `json:"title"`
	SubTitle          string `json:"sub_title"`
	Content           string `json:"content"`
	ClickActionType   number `json:"click_action_type"`
	ClickActivity     string `json:"click_action_activity"`
	ClickURL          string `json:"click_action_url"`
	ActionParameters  string `json:"action_parameters"`
	OffLineTTL        number `json:"off_line_ttl"`
	ShowTTL           number `json:"show_ttl"`
	Category          string `json:"category"`
	NotifyLevel       number `json:"notify_level"`
	NotifyID          number `json:"notify_id"`
	CallBackURL       string `json:"call_back_url"`
	CallBackParameter string `json:"call_back_parameter"`
	BadgeOperation    number `json:"badge_operation_type"`
	BadgeCount        number `json:"badge_message_count"`
	TemplateID        string `json:"private_msg_template_id"`
	TitleParameters   texts  `json:"private_title_parameters"`
	ContentParameters texts  `json:"private_content_parameters"`
}

// number is a JSON number, or a text of digits.
type number int64

// UnmarshalJSON reads both.
func (n *number) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	value, err := strconv.ParseInt(text, 10, 64)
	*n = number(value)
	return err
}

// texts is an object of texts, or the JSON of one as a text.
type texts map[string]string

// UnmarshalJSON reads both.
func (t *texts) UnmarshalJSON(raw []byte) error {
	var inner string
	if json.Unmarshal(raw, &inner) == nil {
		raw = []byte(inner)
	}
	return json.Unmarshal(raw, (*map[string]string)(t))
}

// The categories of OPPO's rules of November 2024: services and messages, and the rest, which counts as public.
var (
	private = []string{"IM", "ACCOUNT", "DEVICE_REMINDER", "ORDER", "TODO", "SUBSCRIPTION"}
	public  = []string{"NEWS", "CONTENT", "MARKETING", "SOCIAL"}
)

func (n *notice) isPrivate() bool { return slices.Contains(private, n.Category) }

// fromForm reads the fields of save_message_content.
func fromForm(form url.Values) (notice, bool) {
	fields := make(map[string]string, len(form))
	for key := range form {
		fields[key] = form.Get(key)
	}
	text, err := json.Marshal(fields)
	var n notice
	return n, err == nil && json.Unmarshal(text, &n) == nil
}

// check is the code for a notification, 0 if OPPO takes it.
func (n *notice) check(broadcast bool) int {
	if strings.TrimSpace(n.Title) == "" || strings.TrimSpace(n.Content) == "" {
		return 40
	}
	if n.Style == 0 {
		n.Style = 1
	}
	switch {
	case n.Category != "" && !slices.Contains(private, n.Category) && !slices.Contains(public, n.Category):
		return 67
	case n.NotifyLevel != 0 && n.Category == "":
		return 67
	case n.NotifyLevel != 0 && !slices.Contains([]number{1, 2, 16}, n.NotifyLevel):
		return 67
	case n.Style == 3 && (n.BigPictureID == "" || !broadcast):
		return 51
	}
	limit, ok := map[number]int{1: 50, 2: 128, 3: 50}[n.Style]
	if !ok || !n.lengths(limit) || !n.numbers() {
		return 41
	}
	return n.click()
}

func (n *notice) lengths(content int) bool {
	for _, f := range []struct {
		text  string
		limit int
	}{
		{n.Title, 50}, {n.SubTitle, 10}, {n.Content, content}, {n.ClickActivity, 500}, {n.ClickURL, 2000},
		{n.ActionParameters, 4000}, {n.CallBackURL, 200}, {n.CallBackParameter, 100},
	} {
		if utf8.RuneCountInString(f.text) > f.limit {
			return false
		}
	}
	var parameters map[string]any
	return n.ActionParameters == "" || json.Unmarshal([]byte(n.ActionParameters), &parameters) == nil
}

func (n *notice) numbers() bool {
	return n.OffLineTTL >= 0 && n.OffLineTTL <= 864_000 && n.ShowTTL >= 0 && n.ShowTTL <= 172_800 && n.NotifyID >= 0 && n.NotifyID < 1<<31 &&
		n.BadgeOperation >= 0 && n.BadgeOperation <= 1 && n.BadgeCount >= 0
}

func (n *notice) click() int {
	switch n.ClickActionType {
	case 0:
		return 0
	case 1, 4:
		if n.ClickActivity == "" {
			return 40
		}
		return 0
	case 2, 5:
		if n.ClickURL == "" {
			return 40
		}
		return 0
	}
	return 41
}
