package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"borealis/internal/kernel/web/compat"
)

const (
	// maxElements is how many pushes one call makes, and how many registration ids or aliases it names in all.
	maxElements = 1000
	// maxTraceBytes is the longest trace_id.
	maxTraceBytes = 255
)

// Codes of the vendor's push API.
const (
	codeInternal = 1000
	codeMissing  = 1002
	codeInvalid  = 1003
	codeSize     = 1005
)

// call is the body of a template push, and of a scheduled one.
type call struct {
	id string
	// name and trigger are of a scheduled one.
	name     string
	trigger  json.RawMessage
	elements []element
}

// element is one push of a call.
type element struct {
	audience json.RawMessage // nil: none
	keys     map[string]string
	options  map[string]json.RawMessage
	trace    string
}

func invalid(format string, args ...any) *compat.Error {
	return compat.Errorf(http.StatusBadRequest, codeInvalid, format, args...)
}

func missing(what string) *compat.Error {
	return compat.Errorf(http.StatusBadRequest, codeMissing, "%s is required", what)
}

// parseCall reads a body and checks the rules that hold for the call as a whole.
func parseCall(body []byte, scheduled bool) (*call, error) {
	if !utf8.Valid(body) {
		return nil, invalid("body must be valid UTF-8")
	}
	top, err := object(body)
	if err != nil {
		return nil, invalid("body %s", err)
	}
	c := &call{}
	if c.id, err = requiredText(top, "id"); err != nil {
		return nil, err
	}
	if scheduled {
		if c.name, err = requiredText(top, "schedule_name"); err != nil {
			return nil, err
		}
		if c.trigger = top["trigger"]; absent(c.trigger) {
			return nil, missing("trigger")
		}
	}
	if absent(top["params"]) {
		return nil, missing("params")
	}
	var list []json.RawMessage
	if json.Unmarshal(top["params"], &list) != nil {
		return nil, invalid("params must be an array")
	}
	if len(list) == 0 {
		return nil, missing("params")
	}
	if len(list) > maxElements {
		return nil, invalid("params must not have more than %d elements", maxElements)
	}
	c.elements = make([]element, len(list))
	var rule rule
	for i, raw := range list {
		where := fmt.Sprintf("params[%d]", i)
		if err := c.elements[i].read(where, raw); err != nil {
			return nil, err
		}
		if err := rule.add(where, &c.elements[i], len(list)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (e *element) read(where string, raw json.RawMessage) error {
	m, err := object(raw)
	if err != nil {
		return invalid("%s %s", where, err)
	}
	if e.audience = m["audience"]; absent(e.audience) {
		e.audience = nil
	}
	keys, err := object(m["keys"])
	if err != nil {
		return invalid("%s.keys %s", where, err)
	}
	e.keys = make(map[string]string, len(keys))
	for name, raw := range keys {
		value, ok := text(raw)
		if !ok {
			return invalid("%s.keys: values must be strings", where)
		}
		if value != nil {
			e.keys[name] = *value
		}
	}
	if e.options, err = object(m["options"]); err != nil {
		return invalid("%s.options %s", where, err)
	}
	if e.trace, err = optionalText(where+".trace_id", m["trace_id"]); err != nil {
		return err
	}
	if len(e.trace) > maxTraceBytes {
		return invalid("%s.trace_id must not be longer than %d bytes", where, maxTraceBytes)
	}
	fence, err := object(m["geofence"])
	if err != nil {
		return invalid("%s.geofence %s", where, err)
	}
	if len(fence) > 0 { // a push has it among its options
		if e.options == nil {
			e.options = make(map[string]json.RawMessage, 1)
		}
		e.options["geofence"] = m["geofence"]
	}
	return nil
}

// rule is what has been seen of the elements of a call.
type rule struct {
	kind  string
	named int // registration ids or aliases
}

// broad are the kinds of audience that only the single element of a call may have. The vendor names all but abtest, whose
// groups are as large as segments.
var broad = []string{"all", "tag", "segment", "abtest", "file", "geofence"}

// add checks an element against those before; of is how many there are in all.
func (r *rule) add(where string, e *element, of int) error {
	kind, named, err := kindOf(e.audience)
	if err != nil {
		return invalid("%s.audience %s", where, err)
	}
	_, fenced := e.options["geofence"]
	fenced = fenced && !absent(e.options["geofence"])
	switch {
	case kind == "" && !fenced:
		return missing(where + ".audience")
	case kind == "":
		kind = "geofence"
	}
	if r.kind == "" {
		r.kind = kind
	}
	if r.named += named; r.named > maxElements {
		return invalid("params must not name more than %d registration ids or aliases in all", maxElements)
	}
	switch {
	case kind != r.kind:
		return invalid("%s.audience has %s where the elements before have %s: one call has audiences of one kind", where, kind, r.kind)
	case of > 1 && fenced:
		return invalid("%s: a call with a geofence must not have more than one element", where)
	case of > 1 && slices.Contains(broad, kind):
		return invalid("%s.audience: a call with the audience %s must not have more than one element", where, kind)
	}
	return nil
}

// kindOf tells which kind of audience it is, "" for none, and how many registration ids or aliases it names. What is wrong
// in other ways is for the push parser.
func kindOf(raw json.RawMessage) (kind string, named int, err error) {
	if s, ok := text(raw); ok && s != nil {
		if *s != "all" {
			return "", 0, errors.New(`must be "all" or an object`)
		}
		return "all", 0, nil
	}
	audience, err := object(raw)
	if err != nil {
		return "", 0, errors.New(`must be "all" or an object`)
	}
	var kinds []string
	for _, key := range [...]string{"tag", "tag_and", "tag_not", "alias", "registration_id", "segment", "abtest", "live_activity_id", "file"} {
		var list []json.RawMessage
		value := audience[key]
		if absent(value) || json.Unmarshal(value, &list) == nil && len(list) == 0 {
			continue
		}
		switch key {
		case "tag_and", "tag_not":
			key = "tag"
		case "alias", "registration_id":
			named += len(list)
		}
		kinds = append(kinds, key)
	}
	switch kinds = slices.Compact(kinds); len(kinds) {
	case 0:
		return "", 0, nil
	case 1:
		return kinds[0], named, nil
	}
	return "", 0, fmt.Errorf("must not mix %s", strings.Join(kinds, " and "))
}

// absent: null is no value.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(bytes.TrimSpace(raw)) == "null" }

// text is a string, or the digits or truth value that some clients send in place of one. It is nil if absent, and not ok
// if it is anything else.
func text(raw json.RawMessage) (value *string, ok bool) {
	raw = bytes.TrimSpace(raw)
	if absent(raw) {
		return nil, true
	}
	var s string
	switch raw[0] {
	case '"':
		ok = json.Unmarshal(raw, &s) == nil
	case '{', '[':
	default:
		s, ok = string(raw), true
	}
	return &s, ok
}

func optionalText(where string, raw json.RawMessage) (string, error) {
	s, ok := text(raw)
	switch {
	case !ok:
		return "", invalid("%s must be a string", where)
	case s == nil:
		return "", nil
	}
	return *s, nil
}

func requiredText(m map[string]json.RawMessage, name string) (string, error) {
	s, err := optionalText(name, m[name])
	if err == nil && s == "" {
		err = missing(name)
	}
	return s, err
}
