package legaltext

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Finding is what a reader of the texts should look at before they are announced.
type Finding struct {
	Code   string
	Locale Locale
	// Line is in the body, from 1; 0 if the finding is about the whole.
	Line    int
	Problem string
}

// String is the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s.%s.md:%d: %s", f.Code, f.Locale, f.Line, f.Problem)
}

// required are the topics that a text of a kind has to answer to be complete.
var required = map[Kind][]string{
	Agreement:   {"formation", "amendment", "account", "fees", "liability", "termination", "notices", "law", "language"},
	Privacy:     {"controller", "purposes", "sharing", "retention", "security", "rights", "minors", "cross_border", "contact", "changes"},
	ServiceTerm: {"scope", "duties", "data"},
}

var (
	heading   = regexp.MustCompile(`^#{2,4}\s+([0-9]{1,3}(?:\.[0-9]{1,3}){0,3})[.\s、]`)
	paragraph = regexp.MustCompile(`^([0-9]{1,3}(?:\.[0-9]{1,3}){1,3})\s`)
	link      = regexp.MustCompile(`\]\(([^()\s]+)\)|\bhttps?://[^\s)>，。；]+`)
)

// Lint looks over a document and its translation. hosts are those that texts may link to; relative links and mail
// addresses are always fine.
func Lint(p Pair, hosts []string) []Finding {
	var found []Finding
	add := func(d *Document, line int, format string, args ...any) {
		found = append(found, Finding{Code: d.Code, Locale: d.Locale, Line: line, Problem: fmt.Sprintf(format, args...)})
	}
	for _, d := range []*Document{p.Master, p.Translation} {
		if d == nil {
			continue
		}
		for _, name := range Placeholders(d) {
			add(d, 0, "the placeholder {{%s}} is not filled", name)
		}
		lintLines(d, hosts, func(line int, format string, args ...any) { add(d, line, format, args...) })
		lintLanguage(d, func(format string, args ...any) { add(d, 0, format, args...) })
	}
	master := Clauses(p.Master.Body)
	for _, topic := range required[p.Master.Kind] {
		if p.Master.Topics[topic] == "" {
			add(p.Master, 0, "topic %s is not covered", topic)
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(p.Master.Topics)) {
		if clause := p.Master.Topics[topic]; !slices.Contains(master, clause) {
			add(p.Master, 0, "topic %s names clause %s, which does not exist", topic, clause)
		}
	}
	if p.Translation == nil {
		add(p.Master, 0, "there is no translation")
		return found
	}
	if err := Bound(p.Master, p.Translation); err != nil {
		add(p.Translation, 0, "%v", err)
	}
	if translated := Clauses(p.Translation.Body); !slices.Equal(master, translated) {
		add(p.Translation, 0, "clauses differ from the master's: %s", firstDifference(master, translated))
	}
	for _, m := range []struct {
		field          string
		master, theirs map[string]string
	}{{"purposes", p.Master.Purposes, p.Translation.Purposes}, {"options", p.Master.Options, p.Translation.Options}} {
		if a, b := slices.Sorted(maps.Keys(m.master)), slices.Sorted(maps.Keys(m.theirs)); !slices.Equal(a, b) {
			add(p.Translation, 0, "%s differ from the master's: %s", m.field, firstDifference(a, b))
		}
	}
	return found
}

// Clauses are the numbers of the clauses of a body, in order: of headings ("## 4. …") and numbered paragraphs ("4.2 …").
func Clauses(body string) []string {
	var list []string
	for line := range strings.SplitSeq(body, "\n") {
		if m := heading.FindStringSubmatch(line); m != nil {
			list = append(list, m[1])
		} else if m := paragraph.FindStringSubmatch(line); m != nil {
			list = append(list, m[1])
		}
	}
	return list
}

func firstDifference(a, b []string) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return b[i] + " is not in the master"
		case i >= len(b):
			return a[i] + " is missing"
		case a[i] != b[i]:
			return b[i] + " stands where the master has " + a[i]
		}
	}
	return ""
}

func lintLines(d *Document, hosts []string, add func(line int, format string, args ...any)) {
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSuffix(d.Body, "\n"), "\n") {
		if strings.TrimRight(line, " \t") != line {
			add(i+1, "ends with spaces")
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			target := m[1]
			if target == "" {
				target = m[0]
			}
			if problem := lintLink(target, hosts); problem != "" {
				add(i+1, "link to %s: %s", target, problem)
			}
		}
	}
	for _, clause := range Clauses(d.Body) {
		if seen[clause] {
			add(0, "clause %s is there twice", clause)
		}
		seen[clause] = true
	}
}

func lintLink(target string, hosts []string) string {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return "not an address"
	case u.Scheme == "mailto", u.Scheme == "" && u.Host == "":
		return ""
	case u.Scheme != "https":
		return "must be https"
	case !slices.Contains(hosts, u.Hostname()):
		return "not a host of this installation"
	}
	return ""
}

// lintLanguage compares the letters: a Chinese text is mostly Han, an English one has next to none.
func lintLanguage(d *Document, add func(format string, args ...any)) {
	han, letters := 0, 0
	for _, r := range d.Body {
		switch {
		case unicode.Is(unicode.Han, r):
			han++
			letters++
		case unicode.IsLetter(r):
			letters++
		}
	}
	switch {
	case d.Locale == Chinese && han*2 < letters:
		add("is marked as Chinese, but most letters are not")
	case d.Locale == English && han*20 > letters:
		add("is marked as English, but has %d Chinese characters", han)
	}
}
