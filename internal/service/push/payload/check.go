package payload

import (
	"encoding/json"
	"strconv"
	"time"

	"borealis/internal/engine/audience"
)

const (
	winPhoneLimit     = 1000
	voipLimit         = 5120 // what APNs takes
	liveActivityLimit = 3584
)

// pushShape is the push object. Options come before the content because they decide how some of it is read.
var pushShape = newShape(
	field{"cid", (*checker).cid},
	field{"platform", (*checker).platform},
	field{"audience", (*checker).audience},
	field{"options", (*checker).options},
	field{"notification", (*checker).notification},
	field{"message", (*checker).message},
	field{"live_activity", (*checker).liveActivity},
	field{"inapp_message", (*checker).inApp},
	field{"notification_3rd", (*checker).notification3rd},
	field{"sms_message", (*checker).smsMessage},
	field{"callback", (*checker).callback},
)

// facts are what reading the parts leaves for the rules about the whole.
type facts struct {
	views
	sms                                             SMS
	callback                                        Callback
	hasSMS, hasCallback                             bool
	smsParams, callbackParams, geofence, thirdParty span

	// classified says that options.classification is given.
	classified bool
	vendor     vendorFacts
	// vendorLive says that some vendor gets a live or VoIP message, which needs no other content.
	vendorLive bool
	liveStart  bool
	pushType   int64

	// Sizes in bytes as sent; 0 if absent.
	sentAlert, sentMessage, sentLive, sentVoIP int
	sentPlatforms                              [audience.PlatformEnd]int
}

// views are the parts of the canonical form that resolving needs.
type views struct {
	// generalAlert says that notification.alert is given.
	generalAlert bool
	// assumed says that there is no content but what a vendor's live or VoIP message implies: an empty alert for
	// Android and for platforms that follow it.
	assumed   bool
	platforms [audience.PlatformEnd]span

	alert, alternate, voip, message, third, liveActivity span
}

// check reads the whole push object.
func (c *checker) check() (*Push, error) {
	p := c.push
	p.Options = optionDefaults(c.rules)
	present, _ := c.object(pushShape, 0)
	c.checkRequired(present)
	c.checkCombinations(present)
	c.checkActivePush()
	if !c.kept {
		c.checkSizes()
	}
	if c.refusal != nil {
		return nil, c.refusal
	}

	f := &c.facts
	p.Raw, p.views = c.out, f.views
	p.Options.Geofence, p.Options.ThirdPartyChannel = c.part(f.geofence), c.part(f.thirdParty)
	if f.hasSMS {
		sms := f.sms
		sms.Params = c.part(f.smsParams)
		p.SMS = &sms
	}
	if f.hasCallback {
		callback := f.callback
		callback.Params = c.part(f.callbackParams)
		p.Callback = &callback
	}
	return p, nil
}

func (c *checker) part(s span) json.RawMessage { return s.of(c.out) }

func (c *checker) checkRequired(present members) {
	p := c.push
	if !present.has("platform") {
		c.missing("platform")
	}
	if !present.has("audience") && c.facts.geofence == (span{}) {
		c.missing("audience")
	}
	live := c.facts.liveActivity != span{}
	if !p.HasNotification && !p.HasMessage && !live && c.facts.vendorLive {
		p.HasNotification = true // with an empty alert for Android, see Push.Resolve
		c.facts.assumed = true
	}
	if !p.HasNotification && !p.HasMessage && !live {
		c.missing("notification, message or live_activity")
		return
	}
	for platform := range p.Platforms.Each {
		if p.HasMessage || live && platform == IOS || c.facts.hasNotification(platform) {
			return
		}
	}
	if p.Platforms != 0 {
		c.refuse(codeMissing, "notification", "has no content for any of the platforms "+p.Platforms.String())
	}
}

func (c *checker) checkCombinations(present members) {
	p, live := c.push, c.facts.liveActivity != span{}
	if live && p.HasNotification {
		c.refuse(codeInvalid, "live_activity", "must not be combined with notification")
	}
	if live && p.HasMessage {
		c.refuse(codeInvalid, "live_activity", "must not be combined with message")
	}
	if p.InApp && !p.HasNotification {
		c.refuse(codeInvalid, "inapp_message", "needs a notification")
	}
	if p.InApp && p.HasMessage {
		c.refuse(codeInvalid, "inapp_message", "must not be combined with message")
	}
	if present.has("notification_3rd") && !p.HasMessage {
		c.refuse(codeInvalid, "notification_3rd", "needs a message")
	}
	if p.Options.NeedBackup && !p.Options.ActivePush {
		c.refuse(codeInvalid, "options.need_backup", "needs options.active_push")
	}
}

func (c *checker) checkActivePush() {
	p := c.push
	switch {
	case !p.Options.ActivePush:
	case p.HasMessage || !p.HasNotification:
		c.refuse(codeActivePush, "options.active_push", "is for a notification alone")
	case p.Options.BigPushDuration > 0:
		c.refuse(codeActivePush, "options.active_push", "must not be combined with options.big_push_duration")
	}
}

// checkSizes compares the parts as sent with the limits. The vendor names none for HarmonyOS and quick apps; they
// share Android's so that everything is bounded.
func (c *checker) checkSizes() {
	f := &c.facts
	if f.sentMessage > c.rules.AndroidLimit {
		c.tooLarge("message", c.rules.AndroidLimit)
	}
	for p := range All.Each {
		size, key := f.sentPlatforms[p], "notification."+p.String()
		if size == 0 {
			if !c.push.Platforms.Has(p) {
				continue
			}
			size, key = f.sentAlert, "notification.alert"
		}
		switch p {
		case IOS:
			if size > c.rules.IOSLimit {
				c.tooLarge(key, c.rules.IOSLimit)
			}
		case WinPhone:
			if key != "notification.alert" && size > winPhoneLimit {
				c.tooLarge(key, winPhoneLimit)
			}
		default:
			if size+f.sentMessage > c.rules.AndroidLimit {
				c.tooLarge(key+" with message", c.rules.AndroidLimit)
			}
		}
	}
	if f.sentVoIP > voipLimit {
		c.tooLarge("notification.voip", voipLimit)
	}
	if f.sentLive > liveActivityLimit {
		c.tooLarge("live_activity.ios", liveActivityLimit)
	}
}

func (c *checker) cid(at int) bool {
	if c.rules.IgnoreCID {
		return false
	}
	text, ok := c.stringAt(at)
	if !ok {
		return false
	}
	cid := string(text)
	appKey := c.rules.AppKey
	switch {
	case c.kept:
	case cid == "":
		c.invalid("must not be empty")
	case len(cid) > MaxCIDBytes:
		c.invalid("must not be longer than " + strconv.Itoa(MaxCIDBytes) + " bytes")
	case appKey != "" && !ValidCID(appKey, cid):
		c.invalid("must begin with the AppKey and a dash")
	}
	c.push.CID = cid
	return true
}

// platform reads "all", the name of one platform or an array of names; an empty array counts as absent.
func (c *checker) platform(at int) bool {
	n := c.nodes[at]
	switch n.kind {
	case kindString:
		c.onePlatform(at)
	case kindArray:
		for i, position := at+1, 0; i < int(n.next); i, position = int(c.nodes[i].next), position+1 {
			c.enter(step{position: position})
			c.onePlatform(i)
			c.leave()
		}
	default:
		c.invalid(`must be "all" or an array of platforms`)
	}
	if c.push.Platforms == 0 {
		return false
	}
	if c.push.Platforms == All {
		c.out = append(c.out, `"all"`...)
		return true
	}
	before := byte('[')
	for p := range c.push.Platforms.Each {
		c.out = append(c.out, before, '"')
		c.out = append(c.out, p.String()...)
		c.out = append(c.out, '"')
		before = ','
	}
	c.out = append(c.out, ']')
	return true
}

func (c *checker) onePlatform(at int) {
	if c.nodes[at].kind != kindString {
		c.invalid("must be a string")
		return
	}
	name := c.bytes(at)
	if string(name) == "all" {
		c.push.Platforms = All
		return
	}
	p, ok := audience.ParsePlatform(string(name))
	if !ok {
		c.invalid("must be a known platform")
		return
	}
	c.push.Platforms = c.push.Platforms.With(p)
}

func (c *checker) options(at int) bool {
	present, ok := c.object(optionsShape, at)
	return ok && !present.empty()
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendInt(dst, int64(d/time.Second), 10)
}
