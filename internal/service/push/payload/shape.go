package payload

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"borealis/internal/kernel/web/compat"
)

// Codes of the vendor's table for the push family; all of them go with HTTP 400.
const (
	codeMissing    = 1002
	codeInvalid    = 1003
	codeSize       = 1005
	codeUnknownKey = 1009
	codeActivePush = 1035
)

// precedence orders the codes of refusals of one push: the vendor reports the first.
var precedence = []int{codeInvalid, codeMissing, codeUnknownKey, codeSize, codeActivePush}

// maxDropped bounds Push.Dropped.
const maxDropped = 16

// maxPath is deeper than any field of a shape lies; steps beyond it would only be missing in an error's text.
const maxPath = 8

// maxEchoBytes bounds how much of an unknown key an error repeats.
const maxEchoBytes = 64

// reader checks the value at a node, appends its canonical form to the checker's output and says whether it counts as
// present. What it appended is taken back if not. After a refusal the answer no longer matters.
type reader func(c *checker, at int) bool

// field is a member that an object may have.
type field struct {
	name string
	read reader
}

// shape is the table of the members an object may have, at most 64.
type shape struct {
	fields []field
	index  map[string]int
	// open drops unknown keys unless the rules are strict.
	open bool
}

// newShape makes a shape whose members are read and written in the order given.
func newShape(fields ...field) *shape {
	s := &shape{fields: fields, index: make(map[string]int, len(fields))}
	for i, f := range fields {
		s.index[f.name] = i
	}
	return s
}

// sorted makes a shape whose members are read and written by name, so that what two platforms have in common comes
// out alike.
func sorted(fields ...field) *shape {
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return newShape(fields...)
}

// openSorted is sorted for objects the vendor adds keys to every year.
func openSorted(fields ...field) *shape {
	s := sorted(fields...)
	s.open = true
	return s
}

// members is a set of the fields of one shape.
type members struct {
	shape *shape
	bits  uint64
}

func (m members) has(name string) bool {
	i, ok := m.shape.index[name]
	return ok && m.bits&(1<<i) != 0
}

func (m members) empty() bool { return m.bits == 0 }

// without is the set less these fields.
func (m members) without(names ...string) members {
	for _, name := range names {
		if i, ok := m.shape.index[name]; ok {
			m.bits &^= 1 << i
		}
	}
	return m
}

// span is a part of the canonical form.
type span struct{ start, end int }

func (s span) of(raw []byte) []byte {
	if s.end <= s.start || s.end > len(raw) {
		return nil
	}
	return raw[s.start:s.end:s.end]
}

// step is a part of the path to the value being read: a key, or a position when the key is empty.
type step struct {
	key      string
	position int
}

// checker reads one push object.
type checker struct {
	src   []byte
	nodes []node
	out   []byte
	push  *Push
	rules Rules
	// kept says that the text is a Raw of ours: limits are not checked again.
	kept bool

	path    [maxPath]step
	depth   int
	refusal *compat.Error
	rank    int

	text    []byte // decoded form of the last escaped string
	strings string // copy of the part of src that list elements are cut from
	base    uint32 // where strings begins in src

	facts facts
}

// object reads the object at a node along its shape and writes the canonical form. The last of several equal keys
// counts; null is absence; the members are read in the shape's order.
func (c *checker) object(s *shape, at int) (present members, ok bool) {
	n := &c.nodes[at]
	present.shape = s
	if n.kind != kindObject && !n.emptyArray() {
		c.invalid("must be an object")
		return present, false
	}
	var values [64]int32
	var given uint64
	if n.kind == kindObject {
		for key := at + 1; key < int(n.next); key = int(c.nodes[key+1].next) {
			i, known := s.index[string(c.bytes(key))]
			if !known {
				if c.nodes[key+1].kind != kindNull {
					c.unknown(s, string(c.bytes(key)))
				}
				continue
			}
			values[i] = int32(key + 1)
			given |= 1 << i
		}
	}
	c.out = append(c.out, '{')
	for rest := given; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		if c.nodes[values[i]].kind == kindNull {
			continue
		}
		mark := len(c.out)
		if present.bits != 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, '"')
		c.out = append(c.out, s.fields[i].name...)
		c.out = append(c.out, '"', ':')
		c.enter(step{key: s.fields[i].name})
		if s.fields[i].read(c, int(values[i])) {
			present.bits |= 1 << i
		} else {
			c.out = c.out[:mark]
		}
		c.leave()
	}
	c.out = append(c.out, '}')
	return present, true
}

func (c *checker) enter(s step) {
	if c.depth < len(c.path) {
		c.path[c.depth] = s
	}
	c.depth++
}

func (c *checker) leave() { c.depth-- }

func (c *checker) unknown(s *shape, key string) {
	switch {
	case c.kept:
	case !s.open || c.rules.StrictKeys:
		c.refuse(codeUnknownKey, key, "is not a supported key")
	case len(c.push.Dropped) < maxDropped:
		c.push.Dropped = append(c.push.Dropped, c.where(key))
	}
}

// invalid refuses the value being read; missing, a member that it lacks.
func (c *checker) invalid(why string) { c.refuse(codeInvalid, "", why) }
func (c *checker) missing(key string) { c.refuse(codeMissing, key, "is required") }
func (c *checker) tooLarge(key string, limit int) {
	c.refuse(codeSize, key, "must not be larger than "+strconv.Itoa(limit)+" bytes")
}

// refuse notes a fault of the value being read, or of its member key if that is not empty. Of several faults the first
// of the highest precedence is kept.
func (c *checker) refuse(code int, key, why string) {
	rank := slices.Index(precedence, code)
	if c.refusal != nil && c.rank <= rank {
		return
	}
	c.rank = rank
	c.refusal = compat.Errorf(400, code, "%s", forbidden.Replace(fmt.Sprintf("%s %s", c.where(key), why)))
}

// forbidden rewrites the words that some clients take for a success wherever they occur in an answer.
var forbidden = strings.NewReplacer("override_msg_id", "override id", "msg_id", "message id", "schedule_id", "schedule id")

// where is the path of the value being read, or of its member key if that is not empty.
func (c *checker) where(key string) string {
	var b strings.Builder
	for i := range min(c.depth, len(c.path)) {
		if c.path[i].key == "" {
			fmt.Fprintf(&b, "[%d]", c.path[i].position)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(c.path[i].key)
	}
	if key != "" {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		if len(key) > maxEchoBytes {
			key = strings.ToValidUTF8(key[:maxEchoBytes], "") + "…"
		}
		b.WriteString(key)
	}
	if b.Len() == 0 {
		return "body"
	}
	return b.String()
}
