package xiaomi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"borealis/internal/engine/channel/wire"
)

// Limits of Xiaomi: characters of title and description, bytes of the payload and of callback.param, and how long messages
// are kept: public ones (marketing) a day, private ones ten.
const (
	maxTitle       = 49
	maxDescription = 127
	maxPayload     = 4096
	maxParam       = 64
	maxPublicTTL   = 24 * time.Hour
	maxPrivateTTL  = 10 * 24 * time.Hour
)

// callbackTypes are the receipts that are asked for: delivered, clicked, no such device, push switched off, filtered, quota, expired.
const callbackTypes = callDelivered | callClicked | callInvalid | callDisabled | callFiltered | callQuota | callExpired

// form is the message without its tokens. The error says what Xiaomi would not take.
func form(c *credentials, m *wire.Message) (url.Values, error) {
	o, err := readOptions(m.Options)
	if err != nil {
		return nil, err
	}
	kind, err := o.kind(m)
	if err != nil {
		return nil, err
	}
	f := url.Values{}
	f.Set("restricted_package_name", c.PackageName)
	f.Set("pass_through", "0")
	f.Set("time_to_live", strconv.FormatInt(ttl(m, kind).Milliseconds(), 10))
	f.Set("notify_id", strconv.FormatInt(int64(m.NotifyID()), 10))
	x := extras{cut: m.Truncate}
	channel := channelID(c, o, m)
	if channel == "" && (c.Region == home || kind == wire.VoIP) {
		return nil, errors.New("no channel_id: name one in third_party_channel.xiaomi, in the notification or in the credentials")
	}
	x.must("channel_id", channel)
	x.must("jobkey", jobKey(m.ID))
	if m.CallbackURL != "" {
		x.must("callback", m.CallbackURL)
		if param := wire.Stamp(c.AppSecret, m.ID); len(param) <= maxParam {
			x.must("callback.param", param)
		}
		x.must("callback.type", strconv.Itoa(callbackTypes))
	}
	switch kind {
	case wire.Notification:
		err = notification(f, &x, c, o, m)
	case wire.Data:
		f.Set("pass_through", "1")
		err = data(f, m)
	case wire.VoIP:
		f.Set("pass_through", "1")
		err = voip(f, o, m)
	case wire.Live:
		err = live(f, &x, c, o, m)
	default:
		err = fmt.Errorf("messages of kind %q are not carried", kind)
	}
	if err != nil {
		return nil, err
	}
	return f, x.into(f)
}

func ttl(m *wire.Message, kind wire.Kind) time.Duration {
	longest := maxPrivateTTL
	if m.Class == wire.Marketing && (kind == wire.Notification || kind == wire.Data) {
		longest = maxPublicTTL
	}
	return min(max(m.TTL, time.Second), longest)
}

func channelID(c *credentials, o *options, m *wire.Message) string {
	fallback := c.ChannelID
	if m.Class == wire.System {
		fallback = cmp.Or(c.SystemChannelID, c.ChannelID)
	}
	return cmp.Or(o.ChannelID, m.ChannelID, fallback)
}

// jobKey is the ID if it has the form of a job key: up to 20 letters, digits, '_' and '-', and no '_' in front. All our IDs have.
func jobKey(id string) string {
	if len(id) > 20 || strings.HasPrefix(id, "_") || strings.ContainsFunc(id, func(r rune) bool {
		return r != '_' && r != '-' && !(r >= '0' && r <= '9') && !(r >= 'a' && r <= 'z') && !(r >= 'A' && r <= 'Z')
	}) {
		return ""
	}
	return id
}

func notification(f url.Values, x *extras, c *credentials, o *options, m *wire.Message) error {
	style, err := o.style(m)
	if err != nil {
		return err
	}
	if o.TemplateID != "" {
		if err := templateParam(o.TemplateParam); err != nil {
			return err
		}
		x.must("template_id", o.TemplateID)
		x.must("template_param", o.TemplateParam)
	} else if err := texts(f, m, cmp.Or(m.Title, c.AppName), cmp.Or(m.Short(wire.ShortXiaomi), style.BigText, m.Body)); err != nil {
		return err
	}
	if err := data(f, m); err != nil {
		return err
	}
	f.Set("notify_type", "-1") // sound, vibration and light as the channel has them
	click(x, c, m)
	if m.Foreground != nil && !*m.Foreground {
		x.must("notify_foreground", "0")
	}
	if m.Sound != "" {
		x.may("sound_uri", "android.resource://"+c.PackageName+"/raw/"+m.Sound)
	}
	switch {
	case style.BigText != "":
		x.may("notification_style_type", "1")
	case isWeb(style.BigPicture):
		x.may("notification_bigPic_uri", style.BigPicture, "notification_style_type", "2")
	}
	if icon := cmp.Or(o.LargeIcon, m.LargeIcon); isWeb(icon) {
		x.may("notification_large_icon_uri", icon)
	}
	if icon := cmp.Or(o.SmallIcon, m.SmallIcon); isWeb(icon) {
		x.may("notification_small_icon_uri", icon)
	}
	x.may("notification_small_icon_color", o.SmallIconColor)
	return nil
}

// texts sets title and description.
func texts(f url.Values, m *wire.Message, title, description string) error {
	for _, t := range []struct {
		name, text string
		longest    int
	}{{"title", title, maxTitle}, {"description", description, maxDescription}} {
		if strings.TrimSpace(t.text) == "" {
			return fmt.Errorf("%s is blank", t.name)
		}
		if utf8.RuneCountInString(t.text) > t.longest {
			if !m.Truncate {
				return fmt.Errorf("%s has more than %d characters", t.name, t.longest)
			}
			t.text = wire.CutRunes(t.text, t.longest)
		}
		f.Set(t.name, t.text)
	}
	return nil
}

// data sets the payload: what the app gets.
func data(f url.Values, m *wire.Message) error {
	text, err := m.AppJSON()
	if err != nil {
		return err
	}
	return payload(f, text)
}

func payload(f url.Values, text string) error {
	if len(text) > maxPayload {
		return fmt.Errorf("the payload has more than %d bytes", maxPayload)
	}
	f.Set("payload", text)
	return nil
}

// click sets what a touch opens.
func click(x *extras, c *credentials, m *wire.Message) {
	switch {
	case m.Click.Activity != "":
		x.must("notify_effect", "2", "intent_uri", "intent:#Intent;component="+c.PackageName+"/"+m.Click.Activity+";end")
	case m.Click.Action != "":
		x.must("notify_effect", "2", "intent_uri", "intent:#Intent;action="+m.Click.Action+";package="+c.PackageName+";end")
	case isWeb(m.Click.URL):
		x.must("notify_effect", "3", "web_uri", m.Click.URL)
	case m.Click.URL != "":
		x.must("notify_effect", "2", "intent_uri", m.Click.URL)
	default:
		x.must("notify_effect", "1")
	}
}

func isWeb(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// voip sets the payload of a call: the text of voip_extraData, with our ID in it.
func voip(f url.Values, o *options, m *wire.Message) error {
	raw := o.VoIP
	if raw == nil {
		raw = m.Payload
	}
	object, err := unquote(raw)
	if err != nil {
		return errors.New("voip_extraData is missing or no JSON object")
	}
	if object[wire.IDKey], err = json.Marshal(m.ID); err != nil {
		return err
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return payload(f, string(text))
}

// focusKey is what every live notification has; keys of its pictures and actions begin with focusPrefix.
const (
	focusPrefix = "miui.focus."
	focusKey    = focusPrefix + "param"
)

// live sets the parameters of a live notification ("super island"), beside texts for phones that do not know it.
func live(f url.Values, x *extras, c *credentials, o *options, m *wire.Message) error {
	raw := o.Live
	if raw == nil {
		raw = m.Payload
	}
	object, err := unquote(raw)
	if err != nil {
		return errors.New("mi_live_payload is missing or no JSON object")
	}
	if object[focusKey] == nil {
		return errors.New("mi_live_payload has no " + focusKey)
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !strings.HasPrefix(key, focusPrefix) {
			return fmt.Errorf("mi_live_payload: %s does not begin with %s", wire.CutRunes(key, 40), focusPrefix)
		}
		value := plain(object[key])
		size += len(key) + len(value)
		f.Set("extra."+key, value)
	}
	if size > maxPayload {
		return fmt.Errorf("mi_live_payload has more than %d bytes", maxPayload)
	}
	m = &wire.Message{ID: m.ID, Title: m.Title, Body: m.Body, Extras: m.Extras, Kind: wire.Notification, Click: m.Click, Truncate: true}
	if err := texts(f, m, cmp.Or(m.Title, c.AppName), cmp.Or(m.Body, "…")); err != nil {
		return err
	}
	click(x, c, m)
	return data(f, m)
}

// unquote reads a JSON object, or a text that holds one.
func unquote(raw json.RawMessage) (map[string]json.RawMessage, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, errors.New("null")
	}
	return object, nil
}

// plain is a JSON text as what it says, anything else as its JSON.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && !bytes.Equal(raw, []byte("null")) {
		return text
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, raw) // it was read as JSON
	return compact.String()
}
