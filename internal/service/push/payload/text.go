package payload

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unescape reads the escape sequence at the start of src, which is a backslash. n is the number of bytes it takes
// (twelve for a surrogate pair), or 0 with the reason when it is malformed.
func unescape(src []byte) (r rune, n int, why string) {
	if len(src) < 2 {
		return 0, 0, "unterminated escape"
	}
	switch src[1] {
	case '"', '\\', '/':
		return rune(src[1]), 2, ""
	case 'b':
		return '\b', 2, ""
	case 'f':
		return '\f', 2, ""
	case 'n':
		return '\n', 2, ""
	case 'r':
		return '\r', 2, ""
	case 't':
		return '\t', 2, ""
	case 'u':
	default:
		return 0, 0, "unknown escape"
	}
	r, ok := hex4(src[2:])
	switch {
	case !ok:
		return 0, 0, "malformed \\u escape"
	case r == 0:
		return 0, 0, "U+0000 is not allowed"
	case !utf16.IsSurrogate(r):
		return r, 6, ""
	}
	if len(src) >= 12 && src[6] == '\\' && src[7] == 'u' {
		if low, ok := hex4(src[8:]); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, 12, ""
			}
		}
	}
	return 0, 0, "half of a surrogate pair"
}

func hex4(src []byte) (r rune, ok bool) {
	if len(src) < 4 {
		return 0, false
	}
	for _, b := range src[:4] {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b && b <= 'f':
			b -= 'a' - 10
		case 'A' <= b && b <= 'F':
			b -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(b)
	}
	return r, true
}

// appendDecoded appends what the inside of a scanned JSON string means.
func appendDecoded(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		if src[i] != '\\' {
			dst = append(dst, src[i])
			i++
			continue
		}
		r, n, _ := unescape(src[i:])
		if n == 0 { // cannot happen in scanned text; losing a byte is better than looping
			i++
			continue
		}
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst
}

// appendQuoted appends text as a JSON string with as few escapes as JSON allows. Text is valid UTF-8.
func appendQuoted[T string | []byte](dst []byte, text T) []byte {
	return append(AppendEscaped(append(dst, '"'), text), '"')
}

// AppendEscaped appends text as it stands between the quotes of a JSON string, with as few escapes as JSON allows. Text is
// valid UTF-8.
func AppendEscaped[T string | []byte](dst []byte, text T) []byte {
	const hex = "0123456789abcdef"
	for i := range len(text) {
		switch b := text[i]; {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b >= 0x20:
			dst = append(dst, b)
		case b == '\b':
			dst = append(dst, '\\', 'b')
		case b == '\f':
			dst = append(dst, '\\', 'f')
		case b == '\n':
			dst = append(dst, '\\', 'n')
		case b == '\r':
			dst = append(dst, '\\', 'r')
		case b == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
	}
	return dst
}
