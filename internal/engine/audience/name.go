package audience

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameBytes is the longest tag or alias, in bytes of UTF-8.
const MaxNameBytes = 40

var (
	errNameEmpty = errors.New("must not be empty")
	errNameLong  = fmt.Errorf("must not be longer than %d bytes", MaxNameBytes)
)

// CheckTag says why s is no tag: tags are 1 to 40 bytes of letters, digits, underscores, Chinese, Japanese or Korean
// characters and @ ! # $ & * + = . | ￥. The error's text is a predicate ("must not be empty").
func CheckTag(s string) error { return checkName(s) }

// CheckAlias says why s is no alias. The grammar is that of tags.
func CheckAlias(s string) error { return checkName(s) }

func checkName(s string) error {
	if s == "" {
		return errNameEmpty
	}
	if len(s) > MaxNameBytes {
		return errNameLong
	}
	if !utf8.ValidString(s) {
		return errors.New("must be valid UTF-8")
	}
	for _, r := range s {
		if !nameRune(r) {
			return fmt.Errorf("must not contain %q", r)
		}
	}
	return nil
}

func nameRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_@!#$&*+=.|", r)
	}
	return r == '￥' || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}
