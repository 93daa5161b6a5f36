package fcm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"borealis/test/sim/schema"
)

var (
	duration  = schema.Like(regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,9})?s$`), "type.googleapis.com/google.protobuf.Duration")
	label     = schema.Like(regexp.MustCompile(`^[a-zA-Z0-9\-_.~%]{1,50}$`), "TYPE_STRING")
	colour    = schema.Like(regexp.MustCompile(`^#[0-9a-fA-F]{6}$`), "TYPE_STRING")
	timestamp = schema.Like(regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$`), "type.googleapis.com/google.protobuf.Timestamp")
)

// explain says what is wrong in Google's words.
func explain(p *schema.Problem) string {
	if p.Unknown {
		return fmt.Sprintf("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", p.Value, p.Path)
	}
	text, _ := json.Marshal(p.Value)
	return fmt.Sprintf("Invalid value at '%s' (%s), %s", p.Path, p.Want, text)
}

// one of some names. Google takes them in lower case too.
func one(names ...string) schema.Check {
	exact := schema.One(names...)
	return func(path string, v any) *schema.Problem {
		if s, ok := v.(string); ok {
			v = strings.ToUpper(s)
		}
		return exact(path, v)
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

var request = schema.Object(schema.Fields{
	"validate_only": schema.Bool,
	"message": schema.Object(schema.Fields{
		"name": schema.String, "data": schema.Texts, "token": schema.String, "topic": schema.String, "condition": schema.String,
		"notification": schema.Object(schema.Fields{"title": schema.String, "body": schema.String, "image": schema.String}),
		"android":      android, "webpush": schema.Any, "apns": schema.Any,
		"fcm_options": schema.Object(schema.Fields{"analytics_label": label}),
	}),
})

var android = schema.Object(schema.Fields{
	"collapse_key": schema.String, "priority": one("NORMAL", "HIGH"), "ttl": duration,
	"restricted_package_name": schema.String, "data": schema.Texts, "direct_boot_ok": schema.Bool,
	"bandwidth_constrained_ok": schema.Bool, "restricted_satellite_ok": schema.Bool,
	"fcm_options": schema.Object(schema.Fields{"analytics_label": label}),
	"notification": schema.Object(schema.Fields{
		"title": schema.String, "body": schema.String, "icon": schema.String, "color": colour, "sound": schema.String, "tag": schema.String,
		"click_action": schema.String, "body_loc_key": schema.String, "body_loc_args": schema.List(100, schema.String), "title_loc_key": schema.String,
		"title_loc_args": schema.List(100, schema.String), "channel_id": schema.String, "ticker": schema.String, "sticky": schema.Bool,
		"event_time": timestamp, "local_only": schema.Bool,
		"notification_priority": one("PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX"),
		"default_sound":         schema.Bool, "default_vibrate_timings": schema.Bool, "default_light_settings": schema.Bool,
		"vibrate_timings": schema.List(100, duration),
		"visibility":      one("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"), "notification_count": schema.Int(0, 1<<31-1),
		"light_settings": schema.Any, "image": schema.String, "bypass_proxy_notification": schema.Bool,
		"proxy": one("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
	}),
})
