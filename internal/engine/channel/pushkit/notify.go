package pushkit

import (
	"hash/fnv"

	"borealis/internal/engine/channel/wire"
)

// NotifyID is the number of a notification on the screen, made of the id of its message: 0 to 2³¹−1. One with the same number takes
// its place.
func NotifyID(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() & (1<<31 - 1))
}

// Place is the id of the message whose place on the screen a message takes: its own, or that of the one it replaces.
func Place(m *wire.Message) string {
	if m.Replaces != "" {
		return m.Replaces
	}
	return m.ID
}

// Head is the first character of a text and the rest: a text of a notification is never cut to nothing.
func Head(s string) (first, rest string) {
	first = wire.CutRunes(s, 1)
	return first, s[len(first):]
}
