package payload

import (
	"fmt"
	"unicode/utf8"
)

// MaxBody is the largest body Parse looks at, in bytes. The largest legitimate push (1,000 aliases and 1,000
// registration ids, every character escaped) is a fifth of it.
const MaxBody = 1 << 20

const (
	maxDepth = 32
	maxNodes = 1 << 16
)

type kind uint8

const (
	kindNull kind = iota
	kindFalse
	kindTrue
	kindNumber
	kindString
	kindArray
	kindObject
)

// node is one JSON value of the body, or one key. The children of an array follow it; the children of an object follow
// it as key, value, key, value.
type node struct {
	// start and end delimit the value in the body: brackets included, the quotes of a string left out.
	start, end uint32
	// next is the index of the first node that is no part of this value.
	next uint32
	kind kind
	// escaped says that a string holds at least one backslash.
	escaped bool
	// empty says that an array or object has no children.
	empty bool
}

// emptyArray says that a node is `[]`, which PHP clients send for an empty object.
func (n node) emptyArray() bool { return n.kind == kindArray && n.empty }

// syntaxError is a fault of the JSON text itself.
type syntaxError struct {
	at   int
	what string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.what, e.at) }

// scanner cuts JSON text into nodes. It accepts exactly RFC 8259 minus what cannot be stored or passed on: invalid
// UTF-8, U+0000 and half surrogate pairs.
type scanner struct {
	src   []byte
	pos   int
	nodes []node
}

// scan returns the nodes of the single JSON value in src; the root is node 0.
func scan(src []byte) ([]node, error) {
	if !utf8.Valid(src) {
		return nil, &syntaxError{firstInvalid(src), "invalid UTF-8"}
	}
	s := scanner{src: src, nodes: make([]node, 0, min(len(src)/6+8, maxNodes))}
	s.space()
	if err := s.value(1); err != nil {
		return nil, err
	}
	s.space()
	if s.pos < len(src) {
		return nil, s.fault("unexpected text after the object")
	}
	return s.nodes, nil
}

func firstInvalid(src []byte) int {
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(src)
}

func (s *scanner) fault(what string) error {
	if s.pos >= len(s.src) {
		what = "unexpected end of the text"
	}
	return &syntaxError{s.pos, what}
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return
		}
	}
}

// peek is the next byte, or 0 at the end (which no valid JSON text contains).
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) value(depth int) error {
	if depth > maxDepth {
		return s.fault("nested too deeply")
	}
	if len(s.nodes) >= maxNodes {
		return s.fault("too many values")
	}
	switch b := s.peek(); {
	case b == '"':
		return s.text()
	case b == '{':
		return s.object(depth)
	case b == '[':
		return s.array(depth)
	case b == '-' || '0' <= b && b <= '9':
		return s.number()
	case b == 't':
		return s.word("true", kindTrue)
	case b == 'f':
		return s.word("false", kindFalse)
	case b == 'n':
		return s.word("null", kindNull)
	}
	return s.fault("unexpected character")
}

func (s *scanner) word(word string, k kind) error {
	if len(s.src)-s.pos < len(word) || string(s.src[s.pos:s.pos+len(word)]) != word {
		return s.fault("unexpected character")
	}
	s.leaf(k, s.pos, s.pos+len(word))
	s.pos += len(word)
	return nil
}

func (s *scanner) leaf(k kind, start, end int) {
	s.nodes = append(s.nodes, node{start: uint32(start), end: uint32(end), next: uint32(len(s.nodes) + 1), kind: k})
}

func (s *scanner) open(k kind) (index int) {
	s.nodes = append(s.nodes, node{start: uint32(s.pos), kind: k})
	s.pos++
	s.space()
	return len(s.nodes) - 1
}

func (s *scanner) close(index int) {
	s.pos++
	n := &s.nodes[index]
	n.end, n.next = uint32(s.pos), uint32(len(s.nodes))
	n.empty = len(s.nodes) == index+1
}

func (s *scanner) object(depth int) error {
	index := s.open(kindObject)
	if s.peek() == '}' {
		s.close(index)
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.fault("expected a key")
		}
		if err := s.text(); err != nil {
			return err
		}
		s.space()
		if s.peek() != ':' {
			return s.fault("expected a colon")
		}
		s.pos++
		s.space()
		if err := s.value(depth + 1); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			s.close(index)
			return nil
		default:
			return s.fault("expected a comma or the end of the object")
		}
	}
}

func (s *scanner) array(depth int) error {
	index := s.open(kindArray)
	if s.peek() == ']' {
		s.close(index)
		return nil
	}
	for {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case ']':
			s.close(index)
			return nil
		default:
			return s.fault("expected a comma or the end of the array")
		}
	}
}

func (s *scanner) digits() bool {
	start := s.pos
	for '0' <= s.peek() && s.peek() <= '9' {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) number() error {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fault("malformed number")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fault("malformed number")
		}
	}
	if b := s.peek(); b == 'e' || b == 'E' {
		s.pos++
		if b := s.peek(); b == '+' || b == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fault("malformed number")
		}
	}
	s.leaf(kindNumber, start, s.pos)
	return nil
}

func (s *scanner) text() error {
	s.pos++
	start, escaped := s.pos, false
	for s.pos < len(s.src) {
		switch b := s.src[s.pos]; {
		case b == '"':
			s.leaf(kindString, start, s.pos)
			s.nodes[len(s.nodes)-1].escaped = escaped
			s.pos++
			return nil
		case b == '\\':
			escaped = true
			_, n, why := unescape(s.src[s.pos:])
			if n == 0 {
				return s.fault(why)
			}
			s.pos += n
		case b < 0x20:
			return s.fault("unescaped control character")
		default:
			s.pos++
		}
	}
	return s.fault("unterminated string")
}
