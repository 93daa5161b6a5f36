package wording

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Kinds of placeholders.
const (
	KindText   = "text"   // one line of at most 200 bytes; links in it are made unfit
	KindLong   = "long"   // lines of at most 4,000 bytes; links in it are made unfit
	KindDate   = "date"   // 2026-11-25
	KindTime   = "time"   // 2026-11-25 23:59
	KindNumber = "number" // digits with a sign and a fraction: counts and amounts
	KindURL    = "url"    // https, to one of the operator's hosts
	KindCode   = "code"   // a one-time code of 4 to 8 digits; in security notices only
)

const (
	maxTextValue = 200
	maxLongValue = 4000
)

// Placeholder is a name in a template, {{name}}, that a value takes the place of.
type Placeholder struct {
	// Name is 1 to 40 of a–z, 0–9 and _, beginning with a letter.
	Name string `json:"name"`
	// Kind is one of the kinds above.
	Kind string `json:"kind"`
}

var (
	placeholderPattern = regexp.MustCompile(`\{\{([a-z][a-z0-9_]{0,39})\}\}`)
	placeholderName    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	numberPattern      = regexp.MustCompile(`^-?\d{1,15}(?:\.\d{1,6})?$`)
	codePattern        = regexp.MustCompile(`^\d{4,8}$`)
)

func lintPlaceholders(t *Texts, list []Placeholder, security bool) []Problem {
	var out []Problem
	bad := func(rule, where, what string) { out = append(out, Problem{rule, where, what}) }
	if len(list) > MaxPlaceholders {
		bad(RulePlaceholder, "placeholders", fmt.Sprintf("more than %d", MaxPlaceholders))
	}
	declared := map[string]bool{}
	for _, p := range list {
		switch {
		case !placeholderName.MatchString(p.Name):
			bad(RulePlaceholder, "placeholders", "a name is 1 to 40 of a-z, 0-9 and _, beginning with a letter")
		case declared[p.Name]:
			bad(RulePlaceholder, "placeholders", p.Name+" is declared twice")
		case !slices.Contains([]string{KindText, KindLong, KindDate, KindTime, KindNumber, KindURL, KindCode}, p.Kind):
			bad(RulePlaceholder, "placeholders", p.Name+" has a kind that does not exist")
		case p.Kind == KindCode && !security:
			bad(RuleSecret, "placeholders", p.Name+": one-time codes are for security notices only")
		case secretName.MatchString(p.Name):
			bad(RuleSecret, "placeholders", p.Name+" sounds like a secret, which no notice may carry")
		}
		declared[p.Name] = true
	}
	used := map[string]map[string]bool{}
	for _, f := range t.fields() {
		language, _, _ := strings.Cut(f.name, ".")
		if used[language] == nil {
			used[language] = map[string]bool{}
		}
		for _, m := range placeholderPattern.FindAllStringSubmatch(f.text, -1) {
			used[language][m[1]] = true
			if !declared[m[1]] {
				bad(RulePlaceholder, f.name, m[1]+" is not declared")
			}
		}
		if rest := placeholderPattern.ReplaceAllString(f.text, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
			bad(RulePlaceholder, f.name, "braces that are no placeholder: it is written {{name}}")
		}
	}
	for _, p := range list {
		if used["zh"][p.Name] != used["en"][p.Name] {
			bad(RulePlaceholder, "placeholders", p.Name+" is used in one language only")
		} else if !used["zh"][p.Name] {
			bad(RulePlaceholder, "placeholders", p.Name+" is not used")
		}
	}
	return out
}

// Render puts values, one for each placeholder and no others, into a template's texts and checks the result. The error is an
// *InvalidError.
func (r Rules) Render(t *Texts, list []Placeholder, values map[string]string) (Texts, error) {
	ready := make([]string, 0, 2*len(list))
	for name := range values {
		if !slices.ContainsFunc(list, func(p Placeholder) bool { return p.Name == name }) {
			return Texts{}, &InvalidError{"values", "the template has no placeholder " + clip(name)}
		}
	}
	security := false
	for _, p := range list {
		value, given := values[p.Name]
		if !given {
			return Texts{}, &InvalidError{"values." + p.Name, "is missing"}
		}
		value, err := r.value(p, value)
		if err != nil {
			return Texts{}, err
		}
		security = security || p.Kind == KindCode
		ready = append(ready, "{{"+p.Name+"}}", value)
	}
	put := strings.NewReplacer(ready...) // one pass: braces in a value stay what they are
	fill := func(t Text) Text {
		return Text{Title: put.Replace(t.Title), Body: put.Replace(t.Body), Short: put.Replace(t.Short)}
	}
	out := Texts{ZH: fill(t.ZH), EN: fill(t.EN)}
	for _, p := range r.Lint(&out, nil, security) {
		// Languages were checked in the template; values may be in either.
		if p.Rule != RuleLanguage && p.Rule != RulePlaceholder {
			return Texts{}, &InvalidError{p.Where, p.What}
		}
	}
	return out, nil
}

// value checks a value of a placeholder and returns it as it is put in.
func (r Rules) value(p Placeholder, v string) (string, error) {
	wrong := func(reason string) (string, error) { return "", &InvalidError{"values." + p.Name, reason} }
	switch {
	case v == "":
		return wrong("must not be empty")
	case !utf8.ValidString(v):
		return wrong("must be UTF-8")
	case strings.Contains(v, "{{") || strings.Contains(v, "}}"):
		return wrong("must not contain double braces")
	case strings.ContainsFunc(v, func(c rune) bool { return hidden(c) && (c != '\n' || p.Kind != KindLong) }):
		return wrong("has control characters or characters that cannot be seen")
	}
	switch p.Kind {
	case KindText, KindLong:
		limit := maxTextValue
		if p.Kind == KindLong {
			limit = maxLongValue
		}
		if len(v) > limit {
			return wrong(fmt.Sprintf("has more than %d bytes", limit))
		}
		if asksPassword(v) {
			return wrong("nobody is ever asked for a password or a code")
		}
		// "<b>" as the name of an app is no reason to keep a notice back either.
		return strings.NewReplacer("<", "‹", ">", "›", "](", "] (", "&", "＆").Replace(r.defang(v)), nil
	case KindDate:
		if _, err := time.Parse(time.DateOnly, v); err != nil {
			return wrong("must be a date such as 2026-11-25")
		}
	case KindTime:
		if _, err := time.Parse("2006-01-02 15:04", v); err != nil {
			return wrong("must be a time such as 2026-11-25 23:59")
		}
	case KindNumber:
		if !numberPattern.MatchString(v) {
			return wrong("must be a number")
		}
	case KindURL:
		if !r.ownURL(v) || placeholderPattern.MatchString(v) {
			return wrong("must begin with https:// and lead to one of the operator's own hosts")
		}
	case KindCode:
		if !codePattern.MatchString(v) {
			return wrong("must be 4 to 8 digits")
		}
	}
	return v, nil
}

func clip(s string) string {
	if len(s) > 60 {
		s = s[:60]
	}
	return fmt.Sprintf("%q", s)
}
