package payload

import "math"

var iosShape = sorted(
	field{"alert", (*checker).iosAlert},
	field{"sound", (*checker).iosSound},
	field{"badge", (*checker).badge},
	field{"content-available", boolean},
	field{"mutable-content", boolean},
	field{"category", anyText},
	field{"thread-id", anyText},
	field{"interruption-level", oneOf("active", "critical", "passive", "time-sensitive")},
	field{"extras", freeObject},
)

var iosAlertShape = sorted(
	field{"title", anyText},
	field{"subtitle", anyText},
	field{"body", anyText},
	field{"launch-image", anyText},
	field{"action-loc-key", anyText},
	field{"title-loc-key", anyText},
	field{"title-loc-args", textList},
	field{"subtitle-loc-key", anyText},
	field{"subtitle-loc-args", textList},
	field{"loc-key", anyText},
	field{"loc-args", textList},
)

var iosSoundShape = sorted(
	field{"critical", integer(0, 1)},
	field{"name", anyText},
	field{"volume", anyNumber},
)

var liveActivityShape = newShape(field{"ios", (*checker).liveActivityIOS})

var liveActivityIOSShape = sorted(
	field{"event", (*checker).liveEvent},
	field{"content-state", givenObject},
	field{"attributes-type", filledText},
	field{"attributes", freeObject},
	field{"alert", objectOf(liveAlertShape)},
	field{"dismissal-date", integer(0, math.MaxInt64)},
	field{"stale-date", integer(0, math.MaxInt64)},
	field{"relevance-score", integer(1, 100)},
	field{"apns-priority", integerOf(5, 10)},
)

var liveAlertShape = sorted(
	field{"title", anyText},
	field{"body", anyText},
	field{"sound", anyText},
	field{"alternate_title", anyText},
	field{"alternate_body", anyText},
)

func (c *checker) ios(at int) bool {
	_, ok := c.content(iosShape, at)
	return ok
}

// iosAlert reads a string or the object of APNs; an empty object counts as absent.
func (c *checker) iosAlert(at int) bool {
	switch n := &c.nodes[at]; {
	case n.kind == kindString:
		return anyText(c, at)
	case n.kind == kindObject || n.emptyArray():
		return objectOf(iosAlertShape)(c, at)
	}
	c.invalid("must be a string or an object")
	return false
}

// iosSound reads the name of a sound or an object that describes one.
func (c *checker) iosSound(at int) bool {
	switch n := &c.nodes[at]; {
	case n.kind == kindString:
		return anyText(c, at)
	case n.kind == kindObject || n.emptyArray():
		return objectOf(iosSoundShape)(c, at)
	}
	c.invalid("must be a string or an object")
	return false
}

// liveActivity reads an update of a live activity; an empty object counts as absent.
func (c *checker) liveActivity(at int) bool {
	start := len(c.out)
	present, ok := c.object(liveActivityShape, at)
	if !ok || c.nodes[at].empty {
		return false
	}
	if present.empty() {
		c.missing("ios")
	}
	c.facts.liveActivity = span{start, len(c.out)}
	return true
}

func (c *checker) liveActivityIOS(at int) bool {
	c.facts.liveStart = false
	present, ok := c.object(liveActivityIOSShape, at)
	if !ok {
		return false
	}
	for _, key := range []string{"event", "content-state"} {
		if !present.has(key) {
			c.missing(key)
		}
	}
	if c.facts.liveStart && !present.has("attributes-type") {
		c.missing("attributes-type")
	}
	c.facts.sentLive = c.sent(at)
	return true
}

func (c *checker) liveEvent(at int) bool {
	if !oneOf("start", "update", "end")(c, at) {
		return false
	}
	c.facts.liveStart = string(c.bytes(at)) == "start"
	return true
}
