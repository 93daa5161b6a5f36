package payload

import (
	"encoding/json"
	"slices"
	"strconv"
)

// Resolve makes the frame a device of a platform receives: msg is the id of the push, expires its end in Unix
// milliseconds. The frame is one JSON object:
//
//	{"id":"<msg>","type":"notification","title":…,"alert":…,"extras":{…},"options":{…},"message":{…},"override":"…","expires_at":…}
//
// A push with a custom message alone has the type "message" and none of title, alert, extras and options. Members
// without content are left out. ok is false when the push has nothing for the platform.
//
// One for a live activity has the type "live_activity", the ios object of the push as member live_activity, and as
// live_activity_id the id by which the audience names the activity. Without that id an activity can be started, and there is
// nothing else to tell devices.
//
// What a platform gets:
//   - its own object of the notification, with the general alert where it has none, or else the general alert alone;
//   - web, desktop and iot have no object: they get the general alert, or else what the first of android, hmos,
//     quickapp and ios would get (of ios only title, alert and extras);
//   - an alert object of iOS gives title (its title) and alert (its body); subtitle and the whole object are in options;
//   - options are the remaining fields. badge_set_num silences badge_add_num; fields meant for a vendor alone are left
//     out; voip (iOS), inapp_message, active_push and need_backup are added: it is for the device to act on them;
//   - with options.alternate_set the fallback texts that are given (fallback.go);
//   - override is for all but ios and quickapp, where the vendor does not replace messages either.
//
// The caller owns the bytes.
func (p *Push) Resolve(msg int64, platform Platform, expires int64) (frame []byte, ok bool) {
	if !p.Platforms.Has(platform) {
		return nil, false
	}
	if p.views.liveActivity != (span{}) {
		return p.resolveLive(msg, platform, expires)
	}
	notified := p.HasNotification && p.views.hasNotification(platform)
	if !notified && !p.HasMessage {
		return nil, false
	}
	var content deviceContent
	if notified {
		content = p.contentFor(platform)
	}
	message := p.views.message.of(p.Raw)
	out := make([]byte, 0, 160+len(content.source)+len(content.alert)+len(content.voip)+len(message))

	out = strconv.AppendInt(append(out, `{"id":"`...), msg, 10)
	if notified {
		out = append(out, `","type":"notification"`...)
		out = content.append(out)
	} else {
		out = append(out, `","type":"message"`...)
	}
	if len(message) > 0 {
		out = appendMessage(append(out, `,"message":`...), message, p.Options.AlternateSet)
	}
	if p.Options.OverrideID != 0 && platform != IOS && platform != QuickApp {
		out = strconv.AppendInt(append(out, `,"override":"`...), p.Options.OverrideID, 10)
		out = append(out, '"')
	}
	return appendEnd(out, expires), true
}

func appendEnd(out []byte, expires int64) []byte {
	out = strconv.AppendInt(append(out, `,"expires_at":`...), expires, 10)
	return append(out, '}')
}

// resolveLive makes the frame of an event of a live activity, which only iOS has.
func (p *Push) resolveLive(msg int64, platform Platform, expires int64) (frame []byte, ok bool) {
	live := p.views.liveActivity.of(p.Raw)
	for m := membersOf(live); platform == IOS && m.next(); {
		if string(m.key) != "ios" {
			continue
		}
		id, err := json.Marshal(p.Audience.LiveActivityID)
		if err != nil {
			return nil, false
		}
		if p.Audience.LiveActivityID == "" && !starts(m.value) {
			return nil, false
		}
		out := make([]byte, 0, 160+len(live)+len(id))
		out = strconv.AppendInt(append(out, `{"id":"`...), msg, 10)
		out = append(out, `","type":"live_activity"`...)
		if p.Audience.LiveActivityID != "" {
			out = append(append(out, `,"live_activity_id":`...), id...)
		}
		event := m.value
		if p.Options.AlternateSet {
			event = liveWithFallback(event)
		}
		out = append(append(out, `,"live_activity":`...), event...)
		return appendEnd(out, expires), true
	}
	return nil, false
}

// starts tells whether an event of a live activity starts one.
func starts(event []byte) bool {
	for m := membersOf(event); m.next(); {
		if string(m.key) == "event" {
			return string(m.value) == `"start"`
		}
	}
	return false
}

// standIns are the platforms whose content serves those that have no object of their own, best first.
var standIns = [...]Platform{Android, HMOS, QuickApp, IOS}

// hasNotification says whether the notification has something for a platform.
func (v *views) hasNotification(p Platform) bool {
	if v.generalAlert || v.platforms[p] != (span{}) {
		return true
	}
	switch p {
	case IOS:
		return v.voip != span{}
	case Android:
		return v.assumed
	case Web, Desktop, IoT:
		return v.assumed || slices.ContainsFunc(standIns[:], func(s Platform) bool { return v.platforms[s] != (span{}) })
	}
	return false
}

// deviceContent is a notification as one platform gets it, in parts of the canonical form; nil parts are absent.
type deviceContent struct {
	source                []byte // the platform's object
	title, alert, extras  []byte
	voip                  []byte
	apple                 []byte // the alert object of iOS
	inApp, active, backup bool
	// bare leaves the options out.
	bare bool
}

func (p *Push) contentFor(platform Platform) deviceContent {
	v := &p.views
	d := deviceContent{alert: v.alert.of(p.Raw), inApp: p.InApp, active: p.Options.ActivePush, backup: p.Options.NeedBackup}
	switch {
	case v.platforms[platform] != span{}:
		d.source = v.platforms[platform].of(p.Raw)
	case v.generalAlert:
	case platform >= Web:
		for _, s := range standIns {
			if v.platforms[s] != (span{}) {
				d.source, d.bare = v.platforms[s].of(p.Raw), s == IOS
				break
			}
		}
	}
	if platform == IOS {
		d.voip = v.voip.of(p.Raw)
	}
	if v.assumed {
		d.alert = []byte(`""`)
	}
	for m := membersOf(d.source); m.next(); {
		switch string(m.key) {
		case "alert":
			if m.value[0] != '{' {
				d.alert = m.value
				continue
			}
			d.apple = m.value
			for part := membersOf(m.value); part.next(); {
				switch string(part.key) {
				case "title":
					d.title = part.value
				case "body":
					d.alert = part.value
				}
			}
		case "title":
			d.title = m.value
		case "extras":
			d.extras = m.value
		}
	}
	if p.Options.AlternateSet {
		d.fallBack(v.alternate.of(p.Raw))
	}
	return d
}

// append writes the members that a notification adds to a frame.
func (d *deviceContent) append(out []byte) []byte {
	out = appendMember(out, `,"title":`, d.title)
	out = appendMember(out, `,"alert":`, d.alert)
	out = appendMember(out, `,"extras":`, d.extras)
	mark := len(out)
	out = append(out, `,"options":{`...)
	first := len(out)
	if !d.bare {
		out = d.appendOptions(out, first)
	}
	for _, asked := range [...]struct {
		key string
		is  bool
	}{{"inapp_message", d.inApp}, {"active_push", d.active}, {"need_backup", d.backup}} {
		if asked.is {
			out = appendOption(out, first, asked.key, []byte("true"))
		}
	}
	if len(out) == first {
		return out[:mark]
	}
	return append(out, '}')
}

func (d *deviceContent) appendOptions(out []byte, first int) []byte {
	if d.apple != nil {
		out = appendOption(out, first, "alert", d.apple)
		for part := membersOf(d.apple); part.next(); {
			if string(part.key) == "subtitle" {
				out = appendOption(out, first, "subtitle", part.value)
			}
		}
	}
	absolute := false
	for m := membersOf(d.source); m.next(); {
		absolute = absolute || string(m.key) == "badge_set_num"
	}
	for m := membersOf(d.source); m.next(); {
		switch string(m.key) {
		case "title", "alert", "extras":
		case "test_message", "receipt_id":
		case "badge_add_num":
			if !absolute {
				out = appendOption(out, first, "badge_add_num", m.value)
			}
		default:
			out = appendOption(out, first, string(m.key), m.value)
		}
	}
	if d.voip != nil {
		out = appendOption(out, first, "voip", d.voip)
	}
	return out
}

func appendOption(out []byte, first int, key string, value []byte) []byte {
	if len(out) > first {
		out = append(out, ',')
	}
	out = append(out, '"')
	out = append(out, key...)
	out = append(out, '"', ':')
	return append(out, value...)
}

func appendMember(out []byte, key string, value []byte) []byte {
	if value == nil {
		return out
	}
	out = append(out, key...)
	return append(out, value...)
}

// appendMessage writes the custom message as devices know it, with its fallback texts if they are asked for.
func appendMessage(out, message []byte, fallback bool) []byte {
	var title, content, contentType, extras, otherTitle, otherContent []byte
	for m := membersOf(message); m.next(); {
		switch string(m.key) {
		case "title":
			title = m.value
		case "msg_content":
			content = m.value
		case "content_type":
			contentType = m.value
		case "extras":
			extras = m.value
		case "alternate_title":
			otherTitle = m.value
		case "alternate_content":
			otherContent = m.value
		}
	}
	if fallback {
		title, content = orFallback(title, otherTitle), orFallback(content, otherContent)
	}
	out = append(out, '{')
	mark := len(out)
	out = appendMember(out, `,"title":`, title)
	out = appendMember(out, `,"content":`, content)
	out = appendMember(out, `,"content_type":`, contentType)
	out = appendMember(out, `,"extras":`, extras)
	if len(out) > mark { // drop the comma before the first member
		out = slices.Delete(out, mark, mark+1)
	}
	return append(out, '}')
}
