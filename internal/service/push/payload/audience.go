package payload

import (
	"errors"
	"fmt"

	"borealis/internal/engine/audience"
)

var (
	errEmpty   = errors.New("must not be empty")
	errIDLong  = fmt.Errorf("must not be longer than %d bytes", MaxRegistrationIDBytes)
	errRefLong = fmt.Errorf("must not be longer than %d bytes", maxReferenceBytes)
)

// maxReferenceBytes bounds the ids of segments, tests, files and live activities.
const maxReferenceBytes = 255

var audienceShape = sorted(
	field{"tag", names(20, audience.CheckTag, func(a *Audience) *[]string { return &a.Tag })},
	field{"tag_and", names(20, audience.CheckTag, func(a *Audience) *[]string { return &a.TagAnd })},
	field{"tag_not", names(20, audience.CheckTag, func(a *Audience) *[]string { return &a.TagNot })},
	field{"alias", names(1000, audience.CheckAlias, func(a *Audience) *[]string { return &a.Alias })},
	field{"registration_id", names(1000, checkRegistrationID, func(a *Audience) *[]string { return &a.RegistrationID })},
	field{"segment", references(func(a *Audience) *[]string { return &a.Segment })},
	field{"abtest", references(func(a *Audience) *[]string { return &a.ABTest })},
	field{"live_activity_id", func(c *checker, at int) bool { return c.reference(at, &c.push.Audience.LiveActivityID) }},
	field{"file", (*checker).audienceFile},
)

var audienceFileShape = newShape(
	field{"file_id", func(c *checker, at int) bool { return c.reference(at, &c.push.Audience.FileID) }},
)

// audience reads "all" or an object of conditions.
func (c *checker) audience(at int) bool {
	n := &c.nodes[at]
	if n.kind == kindString {
		if string(c.bytes(at)) != "all" {
			c.invalid(`must be "all" or an object`)
			return false
		}
		c.push.Audience.All = true
		c.writeText(at)
		return true
	}
	if n.kind != kindObject && !n.emptyArray() {
		c.invalid(`must be "all" or an object`)
		return false
	}
	// One copy serves every element: a list of 1,000 registration ids costs two allocations, not 1,000.
	c.strings, c.base = string(c.src[n.start:n.end]), n.start
	present, ok := c.object(audienceShape, at)
	switch {
	case !ok || present.empty():
		return false // what is required is checked when the whole push is known
	case present.bits&(present.bits-1) == 0:
	case present.has("live_activity_id"):
		c.invalid("must have no other condition beside live_activity_id")
	case present.has("file"):
		c.invalid("must have no other condition beside file")
	}
	return true
}

func (c *checker) audienceFile(at int) bool {
	present, ok := c.object(audienceFileShape, at)
	if ok && present.empty() {
		c.missing("file_id")
	}
	return ok
}

func checkRegistrationID(s string) error {
	switch {
	case s == "":
		return errEmpty
	case len(s) > MaxRegistrationIDBytes:
		return errIDLong
	}
	return nil
}

func checkReference(s string) error {
	switch {
	case s == "":
		return errEmpty
	case len(s) > maxReferenceBytes:
		return errRefLong
	}
	return nil
}

// names reads a list of strings that each pass a check; an empty list counts as absent.
func names(limit int, check func(string) error, list func(*Audience) *[]string) reader {
	return func(c *checker, at int) bool { return c.stringList(at, limit, false, check, list(&c.push.Audience)) }
}

// references reads a list of one id, which may be a number.
func references(list func(*Audience) *[]string) reader {
	return func(c *checker, at int) bool {
		return c.stringList(at, 1, true, checkReference, list(&c.push.Audience))
	}
}

// stringList reads a list of strings into list. The elements share the memory of checker.strings.
func (c *checker) stringList(at, limit int, numbers bool, check func(string) error, list *[]string) bool {
	n := c.nodes[at]
	if n.kind != kindArray {
		c.invalid("must be an array of strings")
		return false
	}
	if n.empty {
		return false
	}
	count := 0
	for i := at + 1; i < int(n.next); i = int(c.nodes[i].next) {
		count++
	}
	if count > limit && !c.kept {
		c.invalid(fmt.Sprintf("must not have more than %d elements", limit))
		return false
	}
	values := make([]string, 0, count)
	c.out = append(c.out, '[')
	for i := at + 1; i < int(n.next); i = int(c.nodes[i].next) {
		if len(values) > 0 {
			c.out = append(c.out, ',')
		}
		value, ok := c.element(i, numbers)
		why := "must be a string"
		if ok {
			if err := check(value); err != nil {
				ok, why = c.kept, err.Error()
			}
		}
		if !ok {
			c.enter(step{position: len(values)})
			c.invalid(why)
			c.leave()
			return false
		}
		values = append(values, value)
	}
	c.out = append(c.out, ']')
	*list = values
	return true
}

// element reads one string of a list and writes it.
func (c *checker) element(at int, numbers bool) (value string, ok bool) {
	switch n := c.nodes[at]; {
	case n.kind == kindString && !n.escaped && n.start >= c.base && int(n.end-c.base) <= len(c.strings):
		c.writeText(at)
		return c.strings[n.start-c.base : n.end-c.base], true
	case n.kind == kindString:
		c.writeText(at)
		return string(c.bytes(at)), true
	case n.kind == kindNumber && numbers:
		text, ok := c.digitsAt(at)
		return string(text), ok
	}
	return "", false
}

// reference reads an id, which may be a number.
func (c *checker) reference(at int, id *string) bool {
	value, ok := c.element(at, true)
	if !ok {
		c.invalid("must be a string")
		return false
	}
	if err := checkReference(value); err != nil && !c.kept {
		c.invalid(err.Error())
		return false
	}
	*id = value
	return true
}
