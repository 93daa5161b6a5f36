package payload

import "bytes"

// cursor walks the members of an object in canonical form. On any other text it stops early rather than panic.
type cursor struct {
	rest       []byte
	key, value []byte
}

// membersOf starts a walk. Nothing, or what is no object, has no members.
func membersOf(object []byte) cursor {
	if len(object) < 2 || object[0] != '{' {
		return cursor{}
	}
	return cursor{rest: object[1 : len(object)-1]}
}

// next moves to the next member: key is its name as written, without quotes, value its JSON.
func (c *cursor) next() bool {
	if len(c.rest) == 0 {
		return false
	}
	if c.rest[0] == ',' {
		c.rest = c.rest[1:]
	}
	n := textEnd(c.rest)
	if n < 2 || n >= len(c.rest) || c.rest[n] != ':' {
		return false
	}
	c.key, c.rest = c.rest[1:n-1], c.rest[n+1:]
	n = valueEnd(c.rest)
	if n == 0 {
		return false
	}
	c.value, c.rest = c.rest[:n:n], c.rest[n:]
	return true
}

// textEnd is the length of the string at the start of src, quotes included, 0 if there is none.
func textEnd(src []byte) int {
	if len(src) == 0 || src[0] != '"' {
		return 0
	}
	for i := 1; i < len(src); {
		n := bytes.IndexByte(src[i:], '"')
		if n < 0 {
			return 0
		}
		end, slashes := i+n, 0
		for src[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1
		}
		i = end + 1
	}
	return 0
}

// valueEnd is the length of the value at the start of src, 0 if there is none.
func valueEnd(src []byte) int {
	depth := 0
	for i := 0; i < len(src); {
		switch src[i] {
		case '"':
			n := textEnd(src[i:])
			if n == 0 {
				return 0
			}
			i += n
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1 + min(depth, 0)
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	if depth > 0 {
		return 0
	}
	return len(src)
}
