package fcm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// check says whether a value of decoded JSON may stand at a field, "" if so.
type check func(path string, v any) string

var (
	duration  = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,9})?s$`)
	label     = regexp.MustCompile(`^[a-zA-Z0-9\-_.~%]{1,50}$`)
	colour    = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	timestamp = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$`)
)

func wrong(path, kind string, v any) string {
	text, _ := json.Marshal(v)
	return fmt.Sprintf("Invalid value at '%s' (%s), %s", path, kind, text)
}

func isString(path string, v any) string {
	if _, ok := v.(string); !ok {
		return wrong(path, "TYPE_STRING", v)
	}
	return ""
}

func isBool(path string, v any) string {
	if _, ok := v.(bool); !ok {
		return wrong(path, "TYPE_BOOL", v)
	}
	return ""
}

func isCount(path string, v any) string {
	n, ok := v.(json.Number)
	if i, err := n.Int64(); !ok || err != nil || i < 0 || i > 1<<31-1 {
		return wrong(path, "TYPE_INT32", v)
	}
	return ""
}

func isAny(string, any) string { return "" }

func like(re *regexp.Regexp, kind string) check {
	return func(path string, v any) string {
		if s, ok := v.(string); !ok || !re.MatchString(s) {
			return wrong(path, kind, v)
		}
		return ""
	}
}

// one of some names. Google takes them in lower case too.
func one(names ...string) check {
	return func(path string, v any) string {
		if s, ok := v.(string); !ok || !slices.Contains(names, strings.ToUpper(s)) {
			return wrong(path, "TYPE_ENUM", v)
		}
		return ""
	}
}

func each(c check) check {
	return func(path string, v any) string {
		list, ok := v.([]any)
		if !ok {
			return wrong(path, "TYPE_LIST", v)
		}
		for i, item := range list {
			if problem := c(fmt.Sprintf("%s[%d]", path, i), item); problem != "" {
				return problem
			}
		}
		return ""
	}
}

// data is an object of texts.
func data(path string, v any) string {
	object, ok := v.(map[string]any)
	if !ok {
		return wrong(path, "TYPE_MAP", v)
	}
	for key, value := range object {
		if problem := isString(path+"."+key, value); problem != "" {
			return problem
		}
	}
	return ""
}

// object has some fields, under their names in snake_case or lowerCamelCase.
func object(fields map[string]check) check {
	return func(path string, v any) string {
		o, ok := v.(map[string]any)
		if !ok {
			return wrong(path, "TYPE_MESSAGE", v)
		}
		for key, value := range o {
			c := fields[key]
			if c == nil {
				return fmt.Sprintf("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", key, path)
			}
			if value == nil {
				continue // as if it were absent
			}
			at := key
			if path != "" {
				at = path + "." + key
			}
			if problem := c(at, value); problem != "" {
				return problem
			}
		}
		return ""
	}
}

// snake turns the names of fields into snake_case, except inside data, webpush and apns.
func snake(v any) any {
	o, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(o))
	for key, value := range o {
		var b strings.Builder
		for _, r := range key {
			if r >= 'A' && r <= 'Z' {
				b.WriteByte('_')
				r += 'a' - 'A'
			}
			b.WriteRune(r)
		}
		if name := b.String(); name == "data" || name == "webpush" || name == "apns" {
			out[name] = value
		} else {
			out[name] = snake(value)
		}
	}
	return out
}

var request = object(map[string]check{
	"validate_only": isBool,
	"message": object(map[string]check{
		"name": isString, "data": data, "token": isString, "topic": isString, "condition": isString,
		"notification": object(map[string]check{"title": isString, "body": isString, "image": isString}),
		"android":      android, "webpush": isAny, "apns": isAny,
		"fcm_options": object(map[string]check{"analytics_label": like(label, "TYPE_STRING")}),
	}),
})

var android = object(map[string]check{
	"collapse_key": isString, "priority": one("NORMAL", "HIGH"), "ttl": like(duration, "type.googleapis.com/google.protobuf.Duration"),
	"restricted_package_name": isString, "data": data, "direct_boot_ok": isBool,
	"bandwidth_constrained_ok": isBool, "restricted_satellite_ok": isBool,
	"fcm_options": object(map[string]check{"analytics_label": like(label, "TYPE_STRING")}),
	"notification": object(map[string]check{
		"title": isString, "body": isString, "icon": isString, "color": like(colour, "TYPE_STRING"), "sound": isString, "tag": isString,
		"click_action": isString, "body_loc_key": isString, "body_loc_args": each(isString), "title_loc_key": isString,
		"title_loc_args": each(isString), "channel_id": isString, "ticker": isString, "sticky": isBool,
		"event_time": like(timestamp, "type.googleapis.com/google.protobuf.Timestamp"), "local_only": isBool,
		"notification_priority": one("PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX"),
		"default_sound":         isBool, "default_vibrate_timings": isBool, "default_light_settings": isBool,
		"vibrate_timings": each(like(duration, "type.googleapis.com/google.protobuf.Duration")),
		"visibility":      one("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"), "notification_count": isCount,
		"light_settings": isAny, "image": isString, "bypass_proxy_notification": isBool,
		"proxy": one("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
	}),
})
