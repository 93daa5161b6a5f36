package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A pattern is what a result must be: a Go value as JSON has it, where a function stands for a value that it accepts,
// and a member whose name ends with "?" may be missing.
type (
	object = map[string]any
	list   = []any
	test   = func(got any) error
)

// shape is how a library shows what it reads.
type shape struct {
	// typed: the library has classes for answers. A number may be a text there, zero may stand for null and for what
	// is missing, and what has no field is lost; hides are the names of the members lost in this way.
	typed bool
	hides []string
}

// match compares a result with a pattern.
func (s shape) match(want, got any) error {
	switch want := want.(type) {
	case test:
		return want(got)
	case object:
		return s.matchObject(want, got)
	case list:
		items, isList := got.([]any)
		if !isList || len(items) != len(want) {
			return fmt.Errorf("%v, want %d items", got, len(want))
		}
		for i := range want {
			if err := s.match(want[i], items[i]); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return nil
	case nil:
		if got == nil || s.typed && empty(got) {
			return nil
		}
	case string, bool:
		if got == want || s.typed && fmt.Sprint(got) == fmt.Sprint(want) {
			return nil
		}
	case int:
		if n, isNumber := got.(json.Number); (isNumber || s.typed) && fmt.Sprint(got) == fmt.Sprint(want) || isNumber && n.String() == fmt.Sprint(want) {
			return nil
		}
	default:
		return fmt.Errorf("a pattern of type %T", want)
	}
	return fmt.Errorf("%v (%T), want %v", got, got, want)
}

func (s shape) matchObject(want object, got any) error {
	members, isObject := got.(map[string]any)
	if !isObject {
		return fmt.Errorf("%v, want an object", got)
	}
	known := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		key, optional := strings.CutSuffix(name, "?")
		known[key] = true
		value, found := members[key]
		switch {
		case found || want[name] == nil && s.typed:
			if s.typed && optional && empty(value) {
				continue
			}
			if err := s.match(want[name], value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		case !optional && !slices.Contains(s.hides, key):
			return fmt.Errorf("%s is missing in %v", key, got)
		}
	}
	for key, value := range members {
		if !known[key] && (!s.typed || !empty(value)) {
			return fmt.Errorf("unexpected %s: %v", key, value)
		}
	}
	return nil
}

// empty are the values that fields of classes have from the start.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case json.Number:
		return v.String() == "0"
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	}
	return false
}

// matching is a text or number of this form.
func matching(form string) test {
	re := regexp.MustCompile("^(?:" + form + ")$")
	return func(got any) error {
		if text := fmt.Sprint(got); !re.MatchString(text) {
			return fmt.Errorf("%q, want %s", text, form)
		}
		return nil
	}
}

var (
	digits = matching("[1-9][0-9]*")
	uuid   = matching("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
	moment = matching("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
	day10  = matching("[0-9]{4}-[0-9]{2}-[0-9]{2}")
	key24  = matching("[A-Za-z0-9]{24}")
	some   = matching("(?s).+")
)

// count is a number, or null where there is nothing to count.
func count(got any) error {
	n, isNumber := got.(json.Number)
	if got == nil || isNumber && regexp.MustCompile("^[0-9]+$").MatchString(n.String()) {
		return nil
	}
	return fmt.Errorf("%v (%T), want a count or null", got, got)
}

// anything accepts every value.
func anything(any) error { return nil }

func TestMatch(t *testing.T) {
	t.Parallel()
	exact, typed := shape{}, shape{typed: true, hides: []string{"lost"}}
	number := func(n string) any { return json.Number(n) }
	for _, c := range []struct {
		s    shape
		want any
		got  any
		ok   bool
	}{
		{exact, "1", "1", true},
		{exact, "1", number("1"), false},
		{typed, "1", number("1"), true},
		{exact, 1, number("1"), true},
		{exact, 1, "1", false},
		{exact, nil, nil, true},
		{exact, nil, number("0"), false},
		{typed, nil, number("0"), true},
		{exact, object{"a": 1}, map[string]any{"a": number("1")}, true},
		{exact, object{"a": 1}, map[string]any{"a": number("1"), "b": nil}, false},
		{typed, object{"a": 1}, map[string]any{"a": number("1"), "b": nil}, true},
		{typed, object{"a": 1}, map[string]any{"a": number("1"), "b": "x"}, false},
		{exact, object{"a": 1, "b?": 2}, map[string]any{"a": number("1")}, true},
		{exact, object{"a": 1, "b?": 2}, map[string]any{"a": number("1"), "b": number("3")}, false},
		{typed, object{"a": 1, "lost": 2}, map[string]any{"a": number("1")}, true},
		{typed, object{"a": 1, "lost": 2}, map[string]any{"a": number("1"), "lost": number("3")}, false},
		{typed, object{"a": 1}, map[string]any{}, false},
		{exact, list{"a"}, []any{"a"}, true},
		{exact, list{"a"}, []any{"a", "b"}, false},
		{exact, list{}, nil, false},
		{exact, digits, "0", false},
		{exact, count, number("7"), true},
		{exact, count, "7", false},
	} {
		if err := c.s.match(c.want, c.got); (err == nil) != c.ok {
			t.Errorf("match(%v, %v) of %+v: %v", c.want, c.got, c.s, err)
		}
	}
	if errors.Is(exact.match(struct{}{}, nil), nil) {
		t.Error("a pattern of an unknown type matches")
	}
}
