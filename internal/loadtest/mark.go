package loadtest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// mark is what a message of a load test carries: which one it is and when it was sent.
type mark struct {
	round, seq uint32
	at         time.Time
}

const (
	markPrefix = "bx:"
	// markLen is the length of a written mark.
	markLen = len(markPrefix) + 2*16
)

// text is the mark, padded to n bytes if it is shorter.
func (m mark) text(n int) string {
	var b [16]byte
	binary.BigEndian.PutUint32(b[0:], m.round)
	binary.BigEndian.PutUint32(b[4:], m.seq)
	binary.BigEndian.PutUint64(b[8:], uint64(m.at.UnixNano()))
	return markPrefix + hex.EncodeToString(b[:]) + strings.Repeat("x", max(n-markLen, 0))
}

// parseMark finds the mark in a payload; false: there is none.
func parseMark(payload []byte) (mark, bool) {
	_, rest, found := bytes.Cut(payload, []byte(markPrefix))
	if !found || len(rest) < 32 {
		return mark{}, false
	}
	var b [16]byte
	if _, err := hex.Decode(b[:], rest[:32]); err != nil {
		return mark{}, false
	}
	return mark{
		round: binary.BigEndian.Uint32(b[0:]), seq: binary.BigEndian.Uint32(b[4:]),
		at: time.Unix(0, int64(binary.BigEndian.Uint64(b[8:]))),
	}, true
}
