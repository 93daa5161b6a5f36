package payload

// With options.alternate_set the texts of a push are personalised copy, which the vendor fills in for each device from what
// it knows of its user; where it cannot, it takes the fallback. Nothing is filled in here, so a fallback that is given always
// stands in for its text. Raw keeps both, for a vendor that a push is passed on to.

// filled tells whether a JSON string, or nil, has something in it.
func filled(text []byte) bool { return len(text) > len(`""`) }

// orFallback is the text, or the fallback if both have something in them.
func orFallback(text, fallback []byte) []byte {
	if filled(text) && filled(fallback) {
		return fallback
	}
	return text
}

// fallBack puts the fallback in the place of the alert.
func (d *deviceContent) fallBack(fallback []byte) {
	if !filled(d.alert) || !filled(fallback) {
		return
	}
	d.alert = fallback
	if d.apple == nil {
		return
	}
	d.apple = rewrite(d.apple, func(key string, value []byte) []byte {
		switch key {
		case "body":
			return fallback
		case "loc-key", "loc-args": // they are stronger than body
			return nil
		}
		return value
	})
}

// liveWithFallback is the event of a live activity with the fallbacks in the place of its alert's texts.
func liveWithFallback(event []byte) []byte {
	return rewrite(event, func(key string, alert []byte) []byte {
		if key != "alert" {
			return alert
		}
		var title, body []byte
		for m := membersOf(alert); m.next(); {
			switch string(m.key) {
			case "alternate_title":
				title = m.value
			case "alternate_body":
				body = m.value
			}
		}
		return rewrite(alert, func(key string, value []byte) []byte {
			switch key {
			case "title":
				return orFallback(value, title)
			case "body":
				return orFallback(value, body)
			case "alternate_title", "alternate_body":
				return nil
			}
			return value
		})
	})
}

// rewrite is an object whose values are what change makes of them; nil leaves the member out.
func rewrite(object []byte, change func(key string, value []byte) []byte) []byte {
	out := append(make([]byte, 0, len(object)+64), '{')
	for m := membersOf(object); m.next(); {
		value := change(string(m.key), m.value)
		if value == nil {
			continue
		}
		out = appendOption(out, 1, string(m.key), value)
	}
	return append(out, '}')
}
