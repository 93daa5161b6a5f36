package payload

import (
	"math"
	"time"
)

const (
	maxBigPushMinutes   = 1400
	maxTargetEvents     = 100
	maxOptionTextBytes  = 255
	maxCollapseIDBytes  = 64
	secondsFitADuration = int64(math.MaxInt64 / time.Second)
)

var optionsShape = openSorted(
	field{"sendno", (*checker).sendNo},
	field{"time_to_live", (*checker).timeToLive},
	field{"override_msg_id", func(c *checker, at int) (ok bool) {
		c.push.Options.OverrideID, ok = c.integerAt(at, 1, math.MaxInt64)
		return ok
	}},
	field{"apns_production", optionFlag(func(o *Options) *bool { return &o.APNsProduction })},
	field{"apns_collapse_id", optionText(maxCollapseIDBytes, func(o *Options) *string { return &o.APNsCollapseID })},
	field{"big_push_duration", optionNumber(0, maxBigPushMinutes, func(o *Options) *int { return &o.BigPushDuration })},
	field{"third_party_channel", (*checker).thirdPartyChannel},
	field{"classification", func(c *checker, at int) bool {
		c.facts.classified = true
		return optionNumber(0, 1, func(o *Options) *int { return &o.Classification })(c, at)
	}},
	field{"target_event", func(c *checker, at int) bool {
		return c.stringList(at, maxTargetEvents, false, checkEvent, &c.push.Options.TargetEvent)
	}},
	field{"test_message", optionFlag(func(o *Options) *bool { return &o.TestMessage })},
	field{"receipt_id", optionText(maxOptionTextBytes, func(o *Options) *string { return &o.ReceiptID })},
	field{"active_push", optionFlag(func(o *Options) *bool { return &o.ActivePush })},
	field{"need_backup", optionFlag(func(o *Options) *bool { return &o.NeedBackup })},
	field{"business_operation_code", optionText(maxOptionTextBytes, func(o *Options) *string { return &o.BusinessOperationCode })},
	field{"test_model", optionFlag(func(o *Options) *bool { return &o.TestModel })},
	field{"alternate_set", optionFlag(func(o *Options) *bool { return &o.AlternateSet })},
	field{"geofence", noted(freeObject, func(f *facts) *span { return &f.geofence })},
	field{"portal_extra", objectOf(portalExtraShape)},
	field{"notification_3rd_ver", (*checker).notification3rdVersion},
	field{"auto_truncation", optionFlag(func(o *Options) *bool { return &o.AutoTruncation })},
	field{"mkt_enable", optionFlag(func(o *Options) *bool { return &o.MktEnable })},
	field{"notification_switch_filter", optionFlag(func(o *Options) *bool { return &o.NotificationSwitchFilter })},
)

var portalExtraShape = openSorted(
	field{"task", optionText(maxOptionTextBytes, func(o *Options) *string { return &o.PortalTask })},
)

// optionDefaults are the options of a push that names none.
func optionDefaults(rules Rules) Options {
	return Options{TTL: rules.DefaultTTL, APNsProduction: true, AutoTruncation: true, Notification3rdVersion: 1}
}

func optionFlag(flag func(*Options) *bool) reader {
	return func(c *checker, at int) bool {
		v, ok := c.booleanAt(at)
		if ok {
			*flag(&c.push.Options) = v
		}
		return ok
	}
}

func optionNumber(low, high int64, number func(*Options) *int) reader {
	return func(c *checker, at int) bool {
		v, ok := c.integerAt(at, low, high)
		if ok {
			*number(&c.push.Options) = int(v)
		}
		return ok
	}
}

// optionText reads a string of at most limit bytes, or a whole number in its place.
func optionText(limit int, text func(*Options) *string) reader {
	check := textUpTo(limit)
	return func(c *checker, at int) bool {
		if c.nodes[at].kind == kindNumber {
			digits, ok := c.digitsAt(at)
			*text(&c.push.Options) = string(digits)
			return ok
		}
		if !check(c, at) {
			return false
		}
		*text(&c.push.Options) = string(c.bytes(at))
		return true
	}
}

// noted remembers where the canonical form of what read accepts lies.
func noted(read reader, where func(*facts) *span) reader {
	return func(c *checker, at int) bool {
		start := len(c.out)
		if !read(c, at) {
			return false
		}
		*where(&c.facts) = span{start, len(c.out)}
		return true
	}
}

func checkEvent(s string) error {
	switch {
	case s == "":
		return errEmpty
	case len(s) > maxOptionTextBytes:
		return errRefLong
	}
	return nil
}

func (c *checker) sendNo(at int) bool {
	v, ok := c.integerAt(at, math.MinInt64, math.MaxInt64)
	if ok && v == 0 {
		c.invalid("must not be 0")
	}
	c.push.Options.SendNo = v
	return ok
}

// timeToLive reads seconds. What is above the maximum is cut to it, in the canonical form as well.
func (c *checker) timeToLive(at int) bool {
	mark := len(c.out)
	seconds, ok := c.integerAt(at, 0, math.MaxInt64)
	if !ok {
		return false
	}
	ttl := c.rules.MaxTTL
	if seconds < secondsFitADuration {
		ttl = min(ttl, time.Duration(seconds)*time.Second)
	}
	c.push.Options.TTL = ttl
	c.out = appendSeconds(c.out[:mark], ttl)
	return true
}

func (c *checker) notification3rdVersion(at int) bool {
	if !oneOf("v1", "v2")(c, at) {
		return false
	}
	if string(c.bytes(at)) == "v2" {
		c.push.Options.Notification3rdVersion = 2
	}
	return true
}
