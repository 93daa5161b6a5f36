// Package wording is what the texts of notices, announcements and incidents must be like, and how templates become texts. It has no
// state and no tables.
//
// A text is plain: a title of one line, a body of lines, perhaps a short form for text messages; each in Chinese and in English, and the
// Chinese one prevails. Programs that show it may make links of addresses and nothing else.
//
// The linter (Rules.Lint) finds what must never leave the house: links to hosts that are not the operator's, requests for a password in
// either language, secrets, a language that is missing, placeholders nobody knows. It reads templates when they are written, and the
// finished texts again when they are sent (Render), because a value may bring in what a template did not have. It is a net under
// reviewers, not a replacement of them: who writes "p@ssw0rd" gets past it.
package wording

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of texts, in bytes.
const (
	MaxTitle = 200
	MaxBody  = 20_000
	MaxShort = 600
	// MaxPlaceholders of a template.
	MaxPlaceholders = 30
)

// InvalidError is a value that cannot be taken. Reason says why and what would be right.
type InvalidError struct{ Field, Reason string }

// Error makes *InvalidError an error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// Text is what is said in one language.
type Text struct {
	// Title is one line of at most MaxTitle bytes, Body at most MaxBody bytes.
	Title string `json:"title"`
	Body  string `json:"body"`
	// Short is the form for text messages, at most MaxShort bytes; empty: there is none.
	Short string `json:"short,omitempty"`
}

// Texts are both languages.
type Texts struct {
	ZH Text `json:"zh"`
	EN Text `json:"en"`
}

// Problem is something that the linter found.
type Problem struct {
	// Rule is one of the rules below.
	Rule string `json:"rule"`
	// Where it is: "zh.title", "en.body" …, or "placeholders".
	Where string `json:"where"`
	// What says it in words for the author.
	What string `json:"what"`
}

// Rules of the linter.
const (
	RuleLanguage    = "language"    // a language is missing or not itself
	RuleLink        = "link"        // a link that does not lead to a host of the operator (AG-DEF-01)
	RulePassword    = "password"    // somebody is asked for a password (AG-SEC-01)
	RuleSecret      = "secret"      // a secret, or a placeholder for one
	RulePersonal    = "personal"    // a number of a telephone or an identity card in full
	RulePlaceholder = "placeholder" // not declared, not used, misspelt
	RuleForm        = "form"        // length, control characters, markup
)

// Error is the first of some problems as an error; nil if there are none.
func Error(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &InvalidError{Field: problems[0].Where, Reason: problems[0].What}
}

// Rules is what the linter knows of the installation.
type Rules struct {
	// Hosts are the operator's own: "console.example.com", or "*.example.com" for all below it. Addresses of e-mail may be at them too.
	Hosts []string
}

// field is a text with its name.
type field struct{ name, text string }

func (t *Texts) fields() []field {
	return []field{
		{"zh.title", t.ZH.Title}, {"zh.body", t.ZH.Body}, {"zh.short", t.ZH.Short},
		{"en.title", t.EN.Title}, {"en.body", t.EN.Body}, {"en.short", t.EN.Short},
	}
}

// Lint checks finished texts, or those of a template with its placeholders. security says that the class may carry one-time codes.
func (r Rules) Lint(t *Texts, placeholders []Placeholder, security bool) []Problem {
	var out []Problem
	out = append(out, languages(t)...)
	out = append(out, lintPlaceholders(t, placeholders, security)...)
	for _, f := range t.fields() {
		out = append(out, form(f)...)
		out = append(out, r.links(f)...)
		if asksPassword(f.text) {
			out = append(out, Problem{RulePassword, f.name, "nobody is ever asked for a password or a code"})
		}
		if what := secretIn(f.text); what != "" {
			out = append(out, Problem{RuleSecret, f.name, "contains " + what})
		}
		if personal(f.text) {
			out = append(out, Problem{RulePersonal, f.name, "contains a number like one of a mobile telephone or an identity card; mask it"})
		}
	}
	return out
}

func languages(t *Texts) []Problem {
	var out []Problem
	for _, f := range []field{{"zh.title", t.ZH.Title}, {"zh.body", t.ZH.Body}} {
		if han, _ := letters(f.text); han == 0 {
			out = append(out, Problem{RuleLanguage, f.name, "there is no Chinese text"})
		}
	}
	for _, f := range []field{{"en.title", t.EN.Title}, {"en.body", t.EN.Body}} {
		if han, latin := letters(f.text); latin == 0 || han*2 > latin {
			out = append(out, Problem{RuleLanguage, f.name, "there is no English text"})
		}
	}
	if (t.ZH.Short == "") != (t.EN.Short == "") {
		out = append(out, Problem{RuleLanguage, "en.short", "the short form must be there in both languages or in none"})
	}
	return out
}

// letters counts Chinese characters and Latin letters outside of placeholders.
func letters(s string) (han, latin int) {
	for _, r := range placeholderPattern.ReplaceAllString(s, "") {
		switch {
		case unicode.Is(unicode.Han, r):
			han++
		case r < utf8.RuneSelf && unicode.IsLetter(r):
			latin++
		}
	}
	return han, latin
}

var markupPattern = regexp.MustCompile(`<[/!A-Za-z]|\]\(|&[a-z#0-9]{2,8};`)

func form(f field) []Problem {
	limit, lines := MaxBody, true
	switch {
	case strings.HasSuffix(f.name, "title"):
		limit, lines = MaxTitle, false
	case strings.HasSuffix(f.name, "short"):
		limit, lines = MaxShort, false
	}
	bad := func(what string) []Problem { return []Problem{{RuleForm, f.name, what}} }
	switch {
	case len(f.text) > limit:
		return bad(fmt.Sprintf("has more than %d bytes", limit))
	case !utf8.ValidString(f.text):
		return bad("must be UTF-8")
	case strings.ContainsFunc(f.text, func(r rune) bool { return hidden(r) && (!lines || r != '\n') }):
		return bad("has control characters or characters that cannot be seen")
	case markupPattern.MatchString(f.text):
		return bad("must be plain text without markup")
	}
	return nil
}

// hidden: control characters, and those that are not seen but change what is: zero width, direction, line separators.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == '\u115f' || r == '\u3164' || r == utf8.RuneError
}

// own tells whether a host is the operator's.
func (r Rules) own(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(r.Hosts, func(h string) bool {
		h = strings.ToLower(h)
		if rest, wild := strings.CutPrefix(h, "*"); wild {
			return strings.HasSuffix(host, rest) && len(host) > len(rest)
		}
		return host == h
	})
}
