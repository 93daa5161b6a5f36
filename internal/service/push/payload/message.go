package payload

import (
	"bytes"
	"math"
	"time"
)

const (
	maxSMSDelaySeconds = 86400
	maxURLBytes        = 2048
	maxCallbackMask    = 1 | 2 | 4 | 8
)

var messageShape = sorted(
	field{"msg_content", anyText},
	field{"title", anyText},
	field{"content_type", anyText},
	field{"alternate_title", anyText},
	field{"alternate_content", anyText},
	field{"extras", freeObject},
)

var inAppShape = newShape(field{"inapp_message", func(c *checker, at int) (ok bool) {
	c.push.InApp, ok = c.booleanAt(at)
	return ok && c.push.InApp
}})

// thirdV1Shape is the first form of notification_3rd, for Android only.
var thirdV1Shape = sorted(
	field{"title", anyText},
	field{"content", filledText},
	field{"intent", (*checker).intent},
	field{"uri_activity", anyText},
	field{"uri_action", anyText},
	field{"badge_add_num", integer(1, 99)},
	field{"badge_set_num", integer(0, 99)},
	field{"badge_class", anyText},
	field{"sound", anyText},
	field{"channel_id", textUpTo(1000)},
	field{"extras", (*checker).androidExtras},
)

// thirdV2Shape is the second form of notification_3rd, one object per platform.
var thirdV2Shape = sorted(
	field{"android", (*checker).android},
	field{"ios", (*checker).ios},
	field{"hmos", (*checker).hmos},
)

var smsShape = sorted(
	field{"temp_id", func(c *checker, at int) (ok bool) {
		c.facts.sms.TemplateID, ok = c.integerAt(at, 1, math.MaxInt64)
		return ok
	}},
	field{"delay_time", func(c *checker, at int) bool {
		v, ok := c.integerAt(at, 0, maxSMSDelaySeconds)
		c.facts.sms.Delay = time.Duration(v) * time.Second
		return ok
	}},
	field{"signid", func(c *checker, at int) (ok bool) {
		c.facts.sms.SignID, ok = c.integerAt(at, 0, math.MaxInt64)
		return ok
	}},
	field{"temp_para", noted(freeObject, func(f *facts) *span { return &f.smsParams })},
	field{"active_filter", func(c *checker, at int) (ok bool) {
		c.facts.sms.ActiveFilter, ok = c.booleanAt(at)
		return ok
	}},
	// The text of the time before templates; clients still send it and nothing uses it.
	field{"content", func(*checker, int) bool { return false }},
)

var callbackShape = sorted(
	field{"url", (*checker).callbackURL},
	field{"params", noted(freeObject, func(f *facts) *span { return &f.callbackParams })},
	field{"type", func(c *checker, at int) bool {
		v, ok := c.integerAt(at, 0, maxCallbackMask)
		c.facts.callback.Type = int(v)
		return ok && v != 0
	}},
)

// message reads the custom message; an empty object counts as absent.
func (c *checker) message(at int) bool {
	start := len(c.out)
	present, ok := c.object(messageShape, at)
	if !ok || c.nodes[at].empty {
		return false
	}
	if !present.has("msg_content") {
		c.missing("msg_content")
	}
	c.push.HasMessage = true
	c.facts.message, c.facts.sentMessage = span{start, len(c.out)}, c.sent(at)
	return true
}

func (c *checker) inApp(at int) bool {
	present, ok := c.object(inAppShape, at)
	return ok && !present.empty()
}

// notification3rd reads the vendor notification that stands in for a custom message; an empty object counts as absent.
func (c *checker) notification3rd(at int) bool {
	start := len(c.out)
	var present members
	var ok bool
	if c.push.Options.Notification3rdVersion == 2 {
		inherited := c.facts.generalAlert
		c.facts.generalAlert = false
		present, ok = c.object(thirdV2Shape, at)
		c.facts.generalAlert = inherited
	} else if present, ok = c.object(thirdV1Shape, at); ok && !present.has("content") && !c.nodes[at].empty {
		c.missing("content")
	}
	if !ok || present.empty() {
		return false
	}
	c.facts.third = span{start, len(c.out)}
	return true
}

// smsMessage reads the SMS supplement, which is unused without a template.
func (c *checker) smsMessage(at int) bool {
	c.facts.sms = SMS{ActiveFilter: true}
	present, ok := c.object(smsShape, at)
	if !ok || !present.has("temp_id") {
		return false
	}
	if !present.has("delay_time") {
		c.missing("delay_time")
	}
	c.facts.hasSMS = true
	return true
}

func (c *checker) callback(at int) bool {
	present, ok := c.object(callbackShape, at)
	c.facts.hasCallback = ok && !present.empty()
	return c.facts.hasCallback
}

func (c *checker) callbackURL(at int) bool {
	text, ok := c.stringAt(at)
	switch {
	case !ok || len(text) == 0:
		return false
	case len(text) > maxURLBytes:
		c.invalid("must not be longer than 2048 bytes")
	case !bytes.HasPrefix(text, []byte("http://")) && !bytes.HasPrefix(text, []byte("https://")):
		c.invalid("must begin with http:// or https://")
	}
	c.facts.callback.URL = string(text)
	return true
}
