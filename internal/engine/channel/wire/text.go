package wire

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

func clip(s string) string { return CutBytes(Printable(s), maxReason) }

// Printable is text of others as it can be stored and shown: valid UTF-8 without control characters. PostgreSQL takes no NUL, and what
// cannot be stored would be tried for ever.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// CutBytes is the longest beginning of s of at most n bytes that ends between characters.
func CutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// CutRunes is the beginning of s with at most n characters.
func CutRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// Fit is the longest beginning of s, between characters, with which a message is small enough. It reports whether there
// is one, be it empty. fits must not become false when the text gets shorter.
func Fit(s string, fits func(string) bool) (string, bool) {
	if fits(s) {
		return s, true
	}
	if !fits("") {
		return "", false
	}
	ends := make([]int, 0, len(s))
	for i := range s {
		ends = append(ends, i)
	}
	n := sort.Search(len(ends), func(i int) bool { return !fits(s[:ends[i]]) })
	return s[:ends[n-1]], true
}

// keptTitle is how much is left of a title that has to be cut, in bytes.
const keptTitle = 256

// ShortTitle is the message with less of its title, for one that stays too large however little there is of its text; nil if
// its texts must not be cut, or there is little to be had.
func (m *Message) ShortTitle() *Message {
	if !m.Truncate || len(m.Title) <= keptTitle {
		return nil
	}
	short := *m
	short.Title = CutBytes(m.Title, keptTitle)
	return &short
}
