package payload

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameBytes is the longest tag or alias, in bytes of UTF-8.
const MaxNameBytes = 40

// MaxRegistrationIDBytes is the longest text looked up as a registration id.
const MaxRegistrationIDBytes = 64

// MaxCIDBytes is the longest idempotency key accepted.
const MaxCIDBytes = 128

var (
	errEmpty    = errors.New("must not be empty")
	errNameLong = fmt.Errorf("must not be longer than %d bytes", MaxNameBytes)
)

// CheckTag says why s is no tag: tags are 1 to 40 bytes of letters, digits, underscores, Chinese, Japanese or Korean
// characters and @ ! # $ & * + = . | ￥. The error's text is a predicate ("must not be empty").
func CheckTag(s string) error { return checkName(s) }

// CheckAlias says why s is no alias. The grammar is that of tags.
func CheckAlias(s string) error { return checkName(s) }

func checkName(s string) error {
	switch {
	case s == "":
		return errEmpty
	case len(s) > MaxNameBytes:
		return errNameLong
	}
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if !nameByte(b) {
				return fmt.Errorf("must not contain %q", rune(b))
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !nameRune(r) {
			return fmt.Errorf("must not contain %q", r)
		}
		i += n
	}
	return nil
}

func nameByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("_@!#$&*+=.|", b) >= 0
}

func nameRune(r rune) bool {
	return 0x4E00 <= r && r <= 0x9FFF || r == '￥' ||
		unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

// NewCID is the idempotency key made of an AppKey and a UUID, as the cid endpoint hands it out.
func NewCID(appKey, uuid string) string { return appKey + "-" + uuid }

// ValidCID says whether cid may be used with the app: the AppKey, a dash and something more, at most MaxCIDBytes of
// visible ASCII in all. Keys that were never handed out are as good as those that were.
func ValidCID(appKey, cid string) bool {
	if len(cid) > MaxCIDBytes || len(cid) < len(appKey)+2 || cid[:len(appKey)] != appKey || cid[len(appKey)] != '-' {
		return false
	}
	for i := range len(cid) {
		if cid[i] <= ' ' || cid[i] > '~' {
			return false
		}
	}
	return true
}
