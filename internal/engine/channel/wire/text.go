package wire

import (
	"strings"
	"unicode/utf8"
)

func clip(s string) string { return CutBytes(strings.ToValidUTF8(s, "\uFFFD"), maxReason) }

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
