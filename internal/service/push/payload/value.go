package payload

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// bytes is the content of a string node. It is valid until the next call.
func (c *checker) bytes(at int) []byte {
	n := &c.nodes[at]
	inside := c.src[n.start:n.end]
	if !n.escaped {
		return inside
	}
	c.text = appendDecoded(c.text[:0], inside)
	return c.text
}

func (c *checker) writeText(at int) {
	n := &c.nodes[at]
	if n.escaped {
		c.out = appendQuoted(c.out, c.bytes(at))
		return
	}
	c.out = append(c.out, c.src[n.start-1:n.end+1]...)
}

// sent is the size of a value as the client wrote it.
func (c *checker) sent(at int) int {
	n := &c.nodes[at]
	size := int(n.end - n.start)
	if n.kind == kindString {
		size += len(`""`)
	}
	return size
}

// stringAt checks that a node is a string and writes it.
func (c *checker) stringAt(at int) (text []byte, ok bool) {
	if c.nodes[at].kind != kindString {
		c.invalid("must be a string")
		return nil, false
	}
	c.writeText(at)
	return c.bytes(at), true
}

// anyText reads a string.
func anyText(c *checker, at int) bool {
	_, ok := c.stringAt(at)
	return ok
}

// textUpTo reads a string of at most limit bytes.
func textUpTo(limit int) reader {
	why := "must not be longer than " + strconv.Itoa(limit) + " bytes"
	return func(c *checker, at int) bool {
		text, ok := c.stringAt(at)
		if ok && len(text) > limit {
			c.invalid(why)
		}
		return ok
	}
}

// charactersUpTo reads a string of 1 to limit characters.
func charactersUpTo(limit int) reader {
	why := "must be of 1 to " + strconv.Itoa(limit) + " characters"
	return func(c *checker, at int) bool {
		text, ok := c.stringAt(at)
		if n := utf8.RuneCount(text); ok && (n == 0 || n > limit) {
			c.invalid(why)
		}
		return ok
	}
}

// filledText reads a string that is not empty.
func filledText(c *checker, at int) bool {
	text, ok := c.stringAt(at)
	if ok && len(text) == 0 {
		c.invalid("must not be empty")
	}
	return ok
}

// idText reads a string; a whole number does as well and becomes one.
func idText(c *checker, at int) bool {
	if c.nodes[at].kind != kindNumber {
		return anyText(c, at)
	}
	_, ok := c.digitsAt(at)
	return ok
}

// digitsAt reads a whole number and writes it as a string.
func (c *checker) digitsAt(at int) (text []byte, ok bool) {
	v, ok := c.wholeNumber(at)
	if !ok {
		c.invalid("must be a string")
		return nil, false
	}
	c.out = append(c.out, '"')
	mark := len(c.out)
	c.out = strconv.AppendInt(c.out, v, 10)
	c.out = append(c.out, '"')
	return c.out[mark : len(c.out)-1], true
}

// oneOf reads a string that is one of the given.
func oneOf(allowed ...string) reader {
	why := "must be one of " + strings.Join(allowed, ", ")
	return func(c *checker, at int) bool {
		text, ok := c.stringAt(at)
		if ok && !slices.Contains(allowed, string(text)) {
			c.invalid(why)
		}
		return ok
	}
}

// zeroOrOneText reads "0" or "1", also given as a number.
func zeroOrOneText(c *checker, at int) bool {
	mark := len(c.out)
	if !idText(c, at) {
		return false
	}
	if got := string(c.out[mark:]); got != `"0"` && got != `"1"` {
		c.invalid(`must be "0" or "1"`)
	}
	return true
}

// wholeNumber is the value of a number node without a fraction, or of a string of decimal digits.
func (c *checker) wholeNumber(at int) (v int64, ok bool) {
	n := &c.nodes[at]
	if n.kind != kindNumber && n.kind != kindString || n.escaped {
		return 0, false
	}
	digits := c.src[n.start:n.end]
	if n.kind == kindNumber {
		// Some clients keep every number as a floating point one.
		if whole, fraction, found := bytes.Cut(digits, []byte{'.'}); found && len(bytes.Trim(fraction, "0")) == 0 {
			digits = whole
		}
	} else if len(digits) > 0 && digits[0] == '+' {
		return 0, false
	}
	if len(digits) > len("-9223372036854775808") {
		return 0, false
	}
	v, err := strconv.ParseInt(string(digits), 10, 64)
	return v, err == nil
}

// integerAt reads a whole number within limits and writes it as a number.
func (c *checker) integerAt(at int, low, high int64) (v int64, ok bool) {
	v, ok = c.wholeNumber(at)
	switch {
	case !ok:
		c.invalid("must be an integer")
		return 0, false
	case v < low || v > high:
		c.invalid(outside(low, high))
		return 0, false
	}
	c.out = strconv.AppendInt(c.out, v, 10)
	return v, true
}

func outside(low, high int64) string {
	switch {
	case high == math.MaxInt64 && low == 1:
		return "must be positive"
	case high == math.MaxInt64:
		return "must not be less than " + strconv.FormatInt(low, 10)
	}
	return "must be from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10)
}

// integer reads a whole number from low to high.
func integer(low, high int64) reader {
	return func(c *checker, at int) bool {
		_, ok := c.integerAt(at, low, high)
		return ok
	}
}

// anyInteger reads a whole number of 64 bits.
var anyInteger = integer(math.MinInt64, math.MaxInt64)

// integerOf reads a whole number that is one of the given.
func integerOf(allowed ...int64) reader {
	names := make([]string, len(allowed))
	for i, v := range allowed {
		names[i] = strconv.FormatInt(v, 10)
	}
	why := "must be one of " + strings.Join(names, ", ")
	return func(c *checker, at int) bool {
		v, ok := c.integerAt(at, math.MinInt64, math.MaxInt64)
		if ok && !slices.Contains(allowed, v) {
			c.invalid(why)
		}
		return ok
	}
}

// booleanAt reads true or false, also given as a string or as 1 or 0, and writes it as a boolean.
func (c *checker) booleanAt(at int) (v, ok bool) {
	n := &c.nodes[at]
	switch text := string(c.src[n.start:n.end]); {
	case n.kind == kindTrue, n.kind == kindString && text == "true", n.kind == kindNumber && text == "1":
		v = true
	case n.kind == kindFalse, n.kind == kindString && text == "false", n.kind == kindNumber && text == "0":
	default:
		c.invalid("must be true or false")
		return false, false
	}
	c.out = strconv.AppendBool(c.out, v)
	return v, true
}

// boolean reads true or false.
func boolean(c *checker, at int) bool {
	_, ok := c.booleanAt(at)
	return ok
}

// moment reads a point in time without a zone.
func moment(c *checker, at int) bool {
	text, ok := c.stringAt(at)
	if ok {
		if _, err := time.Parse(time.DateTime, string(text)); err != nil || len(text) != len(time.DateTime) {
			c.invalid("must have the form yyyy-MM-dd HH:mm:ss")
		}
	}
	return ok
}

// textList reads an array of strings.
func textList(c *checker, at int) bool {
	return c.array(at, "strings", func(i int) { c.stringAt(i) })
}

// array reads an array, handing each element to read; false: it is none.
func (c *checker) array(at int, of string, read func(at int)) bool {
	n := c.nodes[at]
	if n.kind != kindArray {
		c.invalid("must be an array of " + of)
		return false
	}
	c.out = append(c.out, '[')
	for i, position := at+1, 0; i < int(n.next); i, position = int(c.nodes[i].next), position+1 {
		if position > 0 {
			c.out = append(c.out, ',')
		}
		c.enter(step{position: position})
		read(i)
		c.leave()
	}
	c.out = append(c.out, ']')
	return true
}

// freeObject reads an object of any content; an empty one counts as absent.
func freeObject(c *checker, at int) bool {
	return givenObject(c, at) && !c.nodes[at].empty
}

// givenObject reads an object of any content; an empty one counts as present.
func givenObject(c *checker, at int) bool {
	switch n := &c.nodes[at]; {
	case n.emptyArray():
		c.out = append(c.out, '{', '}')
	case n.kind == kindObject:
		c.writeValue(at)
	default:
		c.invalid("must be an object")
		return false
	}
	return true
}

// objectOf reads an object of a shape; an empty one counts as absent.
func objectOf(s *shape) reader {
	return func(c *checker, at int) bool {
		present, ok := c.object(s, at)
		return ok && !present.empty()
	}
}

// writeValue writes any value in canonical form: compact, strings with as few escapes as possible, the last of several
// equal keys.
func (c *checker) writeValue(at int) {
	switch n := c.nodes[at]; n.kind {
	case kindString:
		c.writeText(at)
	case kindArray:
		c.out = append(c.out, '[')
		for i := at + 1; i < int(n.next); i = int(c.nodes[i].next) {
			if i > at+1 {
				c.out = append(c.out, ',')
			}
			c.writeValue(i)
		}
		c.out = append(c.out, ']')
	case kindObject:
		c.writeObject(at)
	default:
		c.out = append(c.out, c.src[n.start:n.end]...)
	}
}

// fewMembers is up to how many members comparing every pair of keys is cheaper than a map.
const fewMembers = 12

func (c *checker) writeObject(at int) {
	end := int(c.nodes[at].next)
	count := 0
	for key := at + 1; key < end; key = int(c.nodes[key+1].next) {
		count++
	}
	var last map[string]int
	if count > fewMembers {
		last = make(map[string]int, count)
		for key := at + 1; key < end; key = int(c.nodes[key+1].next) {
			last[string(c.bytes(key))] = key
		}
	}
	c.out = append(c.out, '{')
	first := true
	for key := at + 1; key < end; key = int(c.nodes[key+1].next) {
		if last != nil && last[string(c.bytes(key))] != key || last == nil && c.repeated(key, end) {
			continue
		}
		if !first {
			c.out = append(c.out, ',')
		}
		first = false
		c.writeText(key)
		c.out = append(c.out, ':')
		c.writeValue(key + 1)
	}
	c.out = append(c.out, '}')
}

// repeated says whether a key occurs again further on in its object.
func (c *checker) repeated(key, end int) bool {
	for other := int(c.nodes[key+1].next); other < end; other = int(c.nodes[other+1].next) {
		if c.sameText(key, other) {
			return true
		}
	}
	return false
}

func (c *checker) sameText(a, b int) bool {
	x, y := &c.nodes[a], &c.nodes[b]
	if !x.escaped && !y.escaped {
		return bytes.Equal(c.src[x.start:x.end], c.src[y.start:y.end])
	}
	return string(c.bytes(a)) == string(c.bytes(b))
}
