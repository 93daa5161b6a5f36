// Package contact checks and normalises what people are called and reached by: names, e-mail addresses, mobile numbers. It
// does no I/O; that an address is really somebody's is proved with a code, elsewhere.
package contact

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Bounds.
const (
	// MaxName is the longest name, in characters.
	MaxName     = 50
	maxEmail    = 254
	maxLocal    = 64
	maxMobile   = 32
	homeCountry = "CN"
)

// Name returns a person's or an organisation's name in NFC with single spaces. Letters, marks and digits of every script,
// spaces and . · ・ ' ’ - , & ( ) may be in it. What cannot be seen (zero-width characters, direction marks) may not: it makes two
// names look the same.
func Name(s string) (string, error) {
	if len(s) > 16*MaxName || !utf8.ValidString(s) {
		return "", errors.New("must be plain text of at most 50 characters")
	}
	s = strings.Join(strings.Fields(norm.NFC.String(s)), " ")
	letters := 0
	for _, r := range s {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			letters++
		case unicode.IsMark(r), strings.ContainsRune(" .·・•'’-,&()（）", r):
		default:
			return "", fmt.Errorf("must not contain the character %U", r)
		}
	}
	switch n := utf8.RuneCountInString(s); {
	case letters == 0:
		return "", errors.New("must not be empty")
	case n > MaxName:
		return "", fmt.Errorf("has %d characters, at most %d are allowed", n, MaxName)
	}
	return s, nil
}

// Email returns an address with its domain in ASCII and lower case, as it is written to. Tags after a plus stay: they are
// part of the address. Two addresses are the same mailbox if EmailKey of them is equal.
func Email(s string) (string, error) {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > maxEmail {
		return "", errors.New("must be an e-mail address such as name@example.com")
	}
	local, domain := s[:at], s[at+1:]
	if len(local) > maxLocal || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", errors.New("has a part before the @ that no mail server takes")
	}
	for _, r := range local {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r) {
			return "", fmt.Errorf("must not contain %U before the @", r)
		}
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || !strings.Contains(ascii, ".") || len(local)+1+len(ascii) > maxEmail {
		return "", errors.New("has a domain that does not exist")
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 {
			return "", errors.New("has a domain that does not exist")
		}
	}
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", errors.New("must have a domain, not a number, after the @")
	}
	return local + "@" + strings.ToLower(ascii), nil
}

// EmailKey is what a normalised address is compared by: no mail server in use tells capitals apart.
func EmailKey(email string) string { return strings.ToLower(email) }

// Mobile returns a mobile number in the form +8613800138000. A number without a country is Chinese. Numbers that cannot be
// mobile are refused; those of virtual carriers are mobile numbers like others.
func Mobile(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxMobile {
		return "", errors.New("must be a mobile number")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && !strings.ContainsRune("+ -().", r) }) {
		return "", errors.New("must be a mobile number: digits, with + and the country before them outside of China")
	}
	n, err := phonenumbers.Parse(s, homeCountry)
	if err != nil {
		return "", errors.New("must be a mobile number")
	}
	switch kind := phonenumbers.GetNumberType(n); {
	case !phonenumbers.IsValidNumber(n):
		return "", errors.New("is no number of that country")
	case kind != phonenumbers.MOBILE && kind != phonenumbers.FIXED_LINE_OR_MOBILE:
		return "", errors.New("is not the number of a mobile phone")
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// MaskEmail shows of a normalised address what its owner recognises: "z***@example.com".
func MaskEmail(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return ""
	}
	return email[:1] + "***" + email[at:]
}

// MaskMobile shows of a normalised number its country or first digits and the last four: "+86*******8000".
func MaskMobile(mobile string) string {
	if len(mobile) < 8 {
		return ""
	}
	return mobile[:3] + strings.Repeat("*", len(mobile)-7) + mobile[len(mobile)-4:]
}
