package mqtt

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// cursor reads fields off a body. The first failure sticks and every later read returns zero, so a parser checks once.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.b = nil
}

func (c *cursor) byte() byte {
	if len(c.b) < 1 {
		c.fail(errTruncated)
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uint16() uint16 {
	if len(c.b) < 2 {
		c.fail(errTruncated)
		return 0
	}
	v := binary.BigEndian.Uint16(c.b)
	c.b = c.b[2:]
	return v
}

func (c *cursor) uint32() uint32 {
	if len(c.b) < 4 {
		c.fail(errTruncated)
		return 0
	}
	v := binary.BigEndian.Uint32(c.b)
	c.b = c.b[4:]
	return v
}

func (c *cursor) varint() uint32 {
	v, width, err := varint(c.b)
	switch {
	case err != nil:
		c.fail(err)
		return 0
	case width == 0:
		c.fail(errTruncated)
		return 0
	}
	c.b = c.b[width:]
	return v
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.fail(errTruncated)
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// binary reads two length bytes and that many bytes.
func (c *cursor) binary() []byte { return c.take(int(c.uint16())) }

// string is binary that must be UTF-8 without U+0000.
func (c *cursor) string() []byte {
	s := c.binary()
	if !utf8.Valid(s) || bytes.IndexByte(s, 0) >= 0 {
		c.fail(errUTF8)
		return nil
	}
	return s
}

func (c *cursor) packetID() uint16 {
	id := c.uint16()
	if id == 0 && c.err == nil {
		c.fail(errPacketID)
	}
	return id
}

// end is the error of the whole parse: the first failure, or bytes left over.
func (c *cursor) end() error {
	if c.err == nil && len(c.b) > 0 {
		return errTrailing
	}
	return c.err
}
