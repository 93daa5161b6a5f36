// Package schema checks decoded JSON against what the documents of a vendor say of its fields: for simulators. Numbers are
// json.Number. A field that is null counts as absent; one that is not documented is a problem, also where a vendor would
// overlook it: a field that is spelled wrong has no effect, which is what a simulator is there to show.
package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is what is wrong with a field.
type Problem struct {
	// Path from the top: message.android.ttl, or inbox[1].
	Path string
	// Want says what would be right: "TYPE_STRING".
	Want  string
	Value any
	// Unknown: the object at Path has no field of the name Value.
	Unknown bool
}

// Check says what is wrong with a value, nil if nothing is.
type Check func(path string, v any) *Problem

func wrong(path, want string, v any) *Problem { return &Problem{Path: path, Want: want, Value: v} }

// Any value is right.
func Any(string, any) *Problem { return nil }

// String is any text.
func String(path string, v any) *Problem {
	if _, ok := v.(string); !ok {
		return wrong(path, "TYPE_STRING", v)
	}
	return nil
}

// Bool is true or false.
func Bool(path string, v any) *Problem {
	if _, ok := v.(bool); !ok {
		return wrong(path, "TYPE_BOOL", v)
	}
	return nil
}

// Map is an object with any fields.
func Map(path string, v any) *Problem {
	if _, ok := v.(map[string]any); !ok {
		return wrong(path, "TYPE_MAP", v)
	}
	return nil
}

// Texts is an object whose values are text.
func Texts(path string, v any) *Problem {
	object, ok := v.(map[string]any)
	if !ok {
		return wrong(path, "TYPE_MAP", v)
	}
	for key, value := range object {
		if p := String(path+"."+key, value); p != nil {
			return p
		}
	}
	return nil
}

// Int is a whole number in a range.
func Int(low, high int64) Check {
	return func(path string, v any) *Problem {
		n, ok := v.(json.Number)
		if i, err := n.Int64(); !ok || err != nil || i < low || i > high {
			return wrong(path, fmt.Sprintf("TYPE_INT %d to %d", low, high), v)
		}
		return nil
	}
}

// Like is a text of a form; want names it.
func Like(re *regexp.Regexp, want string) Check {
	return func(path string, v any) *Problem {
		if s, ok := v.(string); !ok || !re.MatchString(s) {
			return wrong(path, want, v)
		}
		return nil
	}
}

// AtMost is a text of at most n characters.
func AtMost(n int) Check {
	return func(path string, v any) *Problem {
		if s, ok := v.(string); !ok || utf8.RuneCountInString(s) > n {
			return wrong(path, fmt.Sprintf("TYPE_STRING of at most %d characters", n), v)
		}
		return nil
	}
}

// HTTPS is an address.
func HTTPS(path string, v any) *Problem {
	if s, ok := v.(string); !ok || !strings.HasPrefix(s, "https://") {
		return wrong(path, "an https address", v)
	}
	return nil
}

// One of some texts.
func One(names ...string) Check {
	return func(path string, v any) *Problem {
		if s, ok := v.(string); !ok || !slices.Contains(names, s) {
			return wrong(path, "TYPE_ENUM", v)
		}
		return nil
	}
}

// List of at most n values.
func List(n int, each Check) Check {
	return func(path string, v any) *Problem {
		list, ok := v.([]any)
		if !ok || len(list) > n {
			return wrong(path, fmt.Sprintf("TYPE_LIST of at most %d", n), v)
		}
		for i, item := range list {
			if p := each(fmt.Sprintf("%s[%d]", path, i), item); p != nil {
				return p
			}
		}
		return nil
	}
}

// Fields are those of an object. A name that ends with ! is mandatory.
type Fields map[string]Check

// Object has some fields and no others.
func Object(fields Fields) Check {
	known := make(map[string]Check, len(fields))
	var mandatory []string
	for name, c := range fields {
		bare := strings.TrimSuffix(name, "!")
		known[bare] = c
		if bare != name {
			mandatory = append(mandatory, bare)
		}
	}
	slices.Sort(mandatory)
	return func(path string, v any) *Problem {
		o, ok := v.(map[string]any)
		if !ok {
			return wrong(path, "TYPE_MESSAGE", v)
		}
		at := func(name string) string {
			if path == "" {
				return name
			}
			return path + "." + name
		}
		for name, value := range o {
			c := known[name]
			if c == nil {
				return &Problem{Path: path, Value: name, Unknown: true}
			}
			if value == nil {
				continue
			}
			if p := c(at(name), value); p != nil {
				return p
			}
		}
		for _, name := range mandatory {
			if o[name] == nil || o[name] == "" {
				return wrong(at(name), "a value, which is mandatory", nil)
			}
		}
		return nil
	}
}

// Decode reads JSON with its numbers as they are.
func Decode(body []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}
