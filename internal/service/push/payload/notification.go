package payload

import (
	"math"
	"strconv"
	"unicode/utf8"
)

var notificationShape = sorted(
	field{"alert", (*checker).generalAlert},
	field{"alternate_alert", noted(anyText, func(f *facts) *span { return &f.alternate })},
	// jpush-client for Java adds it to every notification from version 3.7.7 on.
	field{"ai_opportunity", boolean},
	field{"android", platformContent(Android, (*checker).android)},
	field{"ios", platformContent(IOS, (*checker).ios)},
	field{"hmos", platformContent(HMOS, (*checker).hmos)},
	field{"quickapp", platformContent(QuickApp, (*checker).quickApp)},
	field{"winphone", platformContent(WinPhone, (*checker).winPhone)},
	field{"voip", (*checker).voip},
)

var intentShape = newShape(field{"url", filledText})

var androidShape = sorted(
	field{"alert", anyText},
	field{"title", anyText},
	field{"builder_id", anyInteger},
	field{"channel_id", textUpTo(1000)},
	field{"category", anyText},
	field{"priority", integer(-2, 2)},
	field{"style", integer(0, 3)},
	field{"alert_type", integer(-1, 7)},
	field{"big_text", anyText},
	field{"inbox", freeObject},
	field{"big_pic_path", anyText},
	field{"extras", (*checker).androidExtras},
	field{"large_icon", anyText},
	field{"small_icon_uri", anyText},
	field{"icon_bg_color", anyText},
	field{"intent", (*checker).intent},
	field{"uri_activity", anyText},
	field{"uri_action", anyText},
	field{"badge_add_num", integer(1, 99)},
	field{"badge_set_num", integer(0, 99)},
	field{"badge_class", anyText},
	field{"sound", anyText},
	field{"show_begin_time", moment},
	field{"show_end_time", moment},
	field{"display_foreground", zeroOrOneText},
	field{"custom_buttons", (*checker).customButtons},
)

var customButtonShape = sorted(
	field{"name", charactersUpTo(20)},
	field{"action_type", integer(1, 4)},
	field{"action", charactersUpTo(300)},
	field{"data", func(c *checker, at int) bool {
		text, ok := c.stringAt(at)
		if ok && utf8.RuneCount(text) > 100 {
			c.invalid("must not be longer than 100 characters")
		}
		return ok
	}},
)

var hmosShape = sorted(
	field{"alert", filledText},
	field{"title", anyText},
	field{"category", anyText},
	field{"large_icon", anyText},
	field{"intent", (*checker).intent},
	field{"badge_add_num", integer(1, 99)},
	field{"badge_set_num", integer(0, 99)},
	field{"test_message", boolean},
	field{"receipt_id", idText},
	field{"extras", freeObject},
	field{"style", integerOf(0, 2)},
	field{"inbox", freeObject},
	field{"push_type", func(c *checker, at int) bool {
		c.facts.pushType, _ = c.wholeNumber(at)
		return integerOf(0, 1, 2, 7, 10)(c, at)
	}},
	field{"extra_data", anyText},
	field{"display_foreground", zeroOrOneText},
	field{"sound", anyText},
	field{"sound_duration", integer(1, 60)},
	field{"hm_payload", givenObject},
)

var quickAppShape = sorted(
	field{"alert", anyText},
	field{"title", anyText},
	field{"page", anyText},
	field{"extras", freeObject},
)

var winPhoneShape = sorted(
	field{"alert", anyText},
	field{"title", anyText},
	field{"_open_page", anyText},
	field{"extras", freeObject},
)

// notification reads the content of all platforms; an empty object, or one with nothing to show, counts as absent.
func (c *checker) notification(at int) bool {
	present, ok := c.object(notificationShape, at)
	content := present.without("alternate_alert", "ai_opportunity")
	c.push.HasNotification = ok && !content.empty()
	return ok && !present.empty()
}

func (c *checker) generalAlert(at int) bool {
	start := len(c.out)
	if !anyText(c, at) {
		return false
	}
	c.facts.generalAlert, c.facts.sentAlert = true, c.sent(at)
	c.facts.alert = span{start, len(c.out)}
	return true
}

// platformContent reads the content of one platform and remembers where it lies and how large it was.
func platformContent(p Platform, read reader) reader {
	return func(c *checker, at int) bool {
		start := len(c.out)
		if !read(c, at) {
			return false
		}
		c.facts.platforms[p] = span{start, len(c.out)}
		if !c.nodes[at].empty {
			c.facts.sentPlatforms[p] = c.sent(at)
		}
		return true
	}
}

// content reads the object of one platform, which must have an alert or inherit the general one. An empty object is
// content when there is something to inherit.
func (c *checker) content(s *shape, at int) (present members, ok bool) {
	present, ok = c.object(s, at)
	if ok && !present.has("alert") && !c.facts.generalAlert {
		c.missing("alert")
	}
	return present, ok
}

func (c *checker) android(at int) bool {
	_, ok := c.content(androidShape, at)
	return ok
}

func (c *checker) hmos(at int) bool {
	c.facts.pushType = 0
	present, ok := c.content(hmosShape, at)
	if !ok {
		return false
	}
	if !present.has("alert") && c.facts.generalAlert && c.facts.sentAlert == len(`""`) {
		c.enter(step{key: "alert"})
		c.invalid("must not be empty")
		c.leave()
	}
	if present.has("sound_duration") && !present.has("sound") {
		c.missing("sound")
	}
	switch t := c.facts.pushType; {
	case (t == 1 || t == 7) && !present.has("hm_payload"):
		c.missing("hm_payload")
	case (t == 2 || t == 10) && !present.has("extra_data"):
		c.missing("extra_data")
	}
	return true
}

func (c *checker) quickApp(at int) bool {
	present, ok := c.content(quickAppShape, at)
	if ok && !present.empty() {
		for _, key := range []string{"title", "page"} {
			if !present.has(key) {
				c.missing(key)
			}
		}
	}
	return ok
}

func (c *checker) winPhone(at int) bool {
	_, ok := c.content(winPhoneShape, at)
	return ok
}

func (c *checker) voip(at int) bool {
	c.facts.sentVoIP = c.sent(at)
	return noted(freeObject, func(f *facts) *span { return &f.voip })(c, at)
}

func (c *checker) intent(at int) bool {
	present, ok := c.object(intentShape, at)
	if ok && present.empty() {
		c.missing("url")
	}
	return ok
}

func (c *checker) customButtons(at int) bool {
	return c.array(at, "objects", c.customButton) && !c.nodes[at].empty
}

func (c *checker) customButton(at int) {
	mark := len(c.out)
	present, ok := c.object(customButtonShape, at)
	if !ok {
		return
	}
	for _, key := range []string{"name", "action_type"} {
		if !present.has(key) {
			c.missing(key)
		}
	}
	if !present.has("action") {
		switch actionType(c.out[mark:]) {
		case 1, 2:
			c.missing("action")
		}
	}
}

// actionType finds the kind of action in the canonical form of a button, 0 if there is none.
func actionType(button []byte) int {
	for m := membersOf(button); m.next(); {
		if string(m.key) == "action_type" {
			v, _ := strconv.Atoi(string(m.value))
			return v
		}
	}
	return 0
}

// shortTexts are the extras that carry a shorter text for one vendor, with the vendor's limit.
var shortTexts = map[string]struct {
	limit int
	// wide counts a character beyond ASCII twice.
	wide bool
}{
	"mipns_content_forshort": {limit: 128},
	"oppns_content_forshort": {limit: 200},
	"vpns_content_forshort":  {limit: 100, wide: true},
	"mzpns_content_forshort": {limit: 100},
}

// androidExtras reads extras, whose short texts must fit unless they may be cut.
func (c *checker) androidExtras(at int) bool {
	if !freeObject(c, at) {
		return false
	}
	if c.push.Options.AutoTruncation || c.kept {
		return true
	}
	n := c.nodes[at]
	for key := at + 1; key < int(n.next); key = int(c.nodes[key+1].next) {
		name := string(c.bytes(key))
		short, known := shortTexts[name]
		if !known || c.nodes[key+1].kind != kindString {
			continue
		}
		length := 0
		for _, r := range string(c.bytes(key + 1)) {
			length++
			if short.wide && r >= utf8.RuneSelf {
				length++
			}
		}
		if length > short.limit {
			c.refuse(codeSize, name, "must not be longer than "+strconv.Itoa(short.limit)+" characters")
		}
	}
	return true
}

const maxBadge = 99999

// badge reads N, "N", "+N", "-N" or "" and writes a plain N as a number.
func (c *checker) badge(at int) bool {
	n := &c.nodes[at]
	if n.kind == kindString {
		if text := c.bytes(at); len(text) == 0 || signed(text) {
			if len(text) > 0 && !badgeStep(text[1:]) {
				c.invalid(badgeForm)
			}
			c.writeText(at)
			return true
		}
	}
	v, ok := c.wholeNumber(at)
	if !ok || v < -maxBadge || v > maxBadge {
		c.invalid(badgeForm)
		return false
	}
	if v < 0 {
		c.out = strconv.AppendInt(append(c.out, '"'), v, 10)
		c.out = append(c.out, '"')
		return true
	}
	c.out = strconv.AppendInt(c.out, v, 10)
	return true
}

// signed tells whether text begins like a step: "+N" or "-N".
func signed(text []byte) bool {
	return len(text) > 1 && (text[0] == '+' || text[0] == '-') && text[1] != '-' && text[1] != '+'
}

func badgeStep(digits []byte) bool {
	v, err := strconv.Atoi(string(digits))
	return err == nil && v <= maxBadge
}

const badgeForm = `must be N, "+N" or "-N" with N from 0 to 99999`

// anyNumber reads a number.
func anyNumber(c *checker, at int) bool {
	n := &c.nodes[at]
	if n.kind == kindString {
		_, ok := c.integerAt(at, math.MinInt64, math.MaxInt64)
		return ok
	}
	if n.kind != kindNumber {
		c.invalid("must be a number")
		return false
	}
	c.out = append(c.out, c.src[n.start:n.end]...)
	return true
}
