package xiaomi

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// message is one that was checked.
type message struct {
	id, job, channel, title, description, payload string
	// focus are the fields of a live notification.
	focus    map[string]string
	passed   bool
	notifyID string
	callback callback
}

type callback struct {
	url, param string
	types      int
}

// receiptTypes are those that callback.type can be a sum of.
const receiptTypes = 1 | 2 | 16 | 32 | 64 | 128 | 1024

var (
	jobKey   = regexp.MustCompile(`^[0-9A-Za-z-][0-9A-Za-z_-]{0,19}$`)
	variable = regexp.MustCompile(`\{\$(\w+)\$\}`)
	// longest is how long messages of a channel are kept, in milliseconds.
	longest = map[string]int64{"public": dayMillis, "private": 10 * dayMillis, "call": 10 * dayMillis}
)

// template of the private channel.
const (
	templateID          = "order_shipped"
	templateTitle       = "Order {$order$}"
	templateDescription = "{$shop$} has shipped it"
)

// read checks a form.
func read(f url.Values) (*message, *refusal) {
	m := &message{
		job: f.Get("extra.jobkey"), channel: f.Get("extra.channel_id"), title: f.Get("title"), description: f.Get("description"),
		payload: f.Get("payload"), notifyID: f.Get("notify_id"), focus: make(map[string]string),
	}
	for _, check := range []func(url.Values) *refusal{m.fields, m.extras, m.click, m.receipts, m.texts} {
		if no := check(f); no != nil {
			return nil, no
		}
	}
	return m, nil
}

func (m *message) fields(f url.Values) *refusal {
	switch f.Get("pass_through") {
	case "0":
	case "1":
		m.passed = true
	default:
		return &refusal{"10017", "pass_through is not 0 or 1"}
	}
	if longest[m.channel] == 0 {
		return &refusal{"27001", "channel_id does not match"}
	}
	ttl, err := strconv.ParseInt(f.Get("time_to_live"), 10, 64)
	if err != nil || ttl <= 0 || ttl > longest[m.channel] {
		return &refusal{"10017", "time_to_live is not in the range of the channel"}
	}
	if id, err := strconv.ParseInt(m.notifyID, 10, 32); err != nil || id < 0 {
		return &refusal{"22103", "Invalid notify id"}
	}
	if v := f.Get("notify_type"); v != "" {
		if n, err := strconv.Atoi(v); err != nil || n < -1 || n > 7 {
			return &refusal{"10017", "notify_type is not -1 to 7"}
		}
	}
	if m.job != "" && !jobKey.MatchString(m.job) {
		return &refusal{"10017", "jobkey has another form"}
	}
	if len(m.payload) > 4096 {
		return &refusal{"65009", "message content too long"}
	}
	return nil
}

// extras counts the fields that begin with extra. Those of a live notification have a limit of their own.
func (m *message) extras(f url.Values) *refusal {
	count, size, focus := 0, 0, 0
	for name := range f {
		key, ok := strings.CutPrefix(name, "extra.")
		if !ok {
			continue
		}
		value := f.Get(name)
		if strings.HasPrefix(key, "miui.focus.") {
			m.focus[key] = value
			focus += len(key) + len(value)
			continue
		}
		count, size = count+1, size+len(key)+len(value)
	}
	switch {
	case count > 10:
		return &refusal{"65014", "too many key value pairs"}
	case size > 1024:
		return &refusal{"65015", "key value pairs too long"}
	case focus > 4096:
		return &refusal{"65009", "message content too long"}
	case len(m.focus) > 0 && m.focus["miui.focus.param"] == "":
		return &refusal{"10017", "miui.focus.param is missing"}
	}
	return nil
}

func (m *message) click(f url.Values) *refusal {
	needs := map[string]string{"": "", "1": "", "2": "extra.intent_uri", "3": "extra.web_uri"}
	field, ok := needs[f.Get("extra.notify_effect")]
	if !ok || field != "" && f.Get(field) == "" {
		return &refusal{"10017", "notify_effect is not understood or its uri is missing"}
	}
	if v := f.Get("extra.notify_foreground"); v != "" && v != "0" && v != "1" {
		return &refusal{"10017", "notify_foreground is not 0 or 1"}
	}
	return nil
}

func (m *message) receipts(f url.Values) *refusal {
	m.callback = callback{url: f.Get("extra.callback"), param: f.Get("extra.callback.param"), types: 3}
	if m.callback.url == "" {
		return nil
	}
	if u, err := url.Parse(m.callback.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return &refusal{"65038", "callback url is invalid"}
	}
	if len(m.callback.param) > 64 {
		return &refusal{"65036", "callback param too long"}
	}
	if v := f.Get("extra.callback.type"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n <= 0 || n&^receiptTypes != 0 {
			return &refusal{"10017", "callback.type is no sum of types"}
		}
		m.callback.types = n
	}
	return nil
}

// texts checks title and description, or fills a template.
func (m *message) texts(f url.Values) *refusal {
	if f.Has("extra.template_id") {
		return m.template(f.Get("extra.template_id"), f.Get("extra.template_param"))
	}
	if m.passed {
		return nil
	}
	for _, t := range []struct {
		text    string
		shorter int
	}{{m.title, 50}, {m.description, 128}} {
		if strings.TrimSpace(t.text) == "" {
			return &refusal{"10016", "title or description is blank"}
		}
		if utf8.RuneCountInString(t.text) >= t.shorter {
			return &refusal{"65009", "title or description too long"}
		}
	}
	return nil
}

func (m *message) template(id, param string) *refusal {
	if id != templateID {
		return &refusal{"10017", "no such template"}
	}
	if m.channel != "private" {
		return &refusal{"27001", "the template is of another channel"}
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(param), &values); err != nil || len(values) != 2 {
		return &refusal{"10017", "template_param does not have the variables of the template"}
	}
	for _, v := range values {
		bad := strings.ContainsFunc(v, func(r rune) bool { return unicode.Is(unicode.So, r) })
		if strings.TrimSpace(v) == "" || utf8.RuneCountInString(v) > 128 || bad {
			return &refusal{"10017", "template_param has a value that is not taken"}
		}
	}
	missing := false
	fill := func(text string) string {
		return variable.ReplaceAllStringFunc(text, func(v string) string {
			value, ok := values[variable.FindStringSubmatch(v)[1]]
			missing = missing || !ok
			return value
		})
	}
	m.title, m.description = fill(templateTitle), fill(templateDescription)
	if missing {
		return &refusal{"10017", "template_param does not have the variables of the template"}
	}
	return nil
}
