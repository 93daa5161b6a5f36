package legaltext

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Locale is the language of a text.
type Locale string

// Locales. Master is the one that prevails.
const (
	Chinese Locale = "zh"
	English Locale = "en"
	Master         = Chinese
)

// ParseLocale reads a language tag as browsers send it: "zh", "zh-CN", "en_US". ok is false for other languages.
func ParseLocale(tag string) (l Locale, ok bool) {
	first, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(tag), "_", "-"), "-")
	switch l := Locale(first); l {
	case Chinese, English:
		return l, true
	}
	return "", false
}

// Kind is what a document is for. It decides the set that the document belongs to and how specific it is.
type Kind string

// Kinds.
const (
	// Agreement is the user agreement: the general text that fills the gaps of all others.
	Agreement Kind = "agreement"
	// Rule is a supplement, annex or rule beside it, in the same set.
	Rule Kind = "rule"
	// Privacy is the privacy policy: a set of its own, accepted separately.
	Privacy Kind = "privacy"
	// ServiceTerm are the terms of one service, accepted before it is first enabled.
	ServiceTerm Kind = "service_term"
)

// Class is what kind of change a version is.
type Class string

// Classes, in ascending order of what they demand.
const (
	// Editorial changes nobody's rights: logged, binds by itself.
	Editorial Class = "editorial"
	// Commercial changes rights or duties: a banner, and after the notice period continued use accepts.
	Commercial Class = "commercial"
	// PersonalData changes purpose, method or kind of personal data: needs a click, purpose by purpose.
	PersonalData Class = "personal_data"
)

// Rank orders classes: 1 to 3, 0 for an unknown one.
func (c Class) Rank() int { return slices.Index([]Class{Editorial, Commercial, PersonalData}, c) + 1 }

// Bounds of a document.
const (
	// MaxBody is in bytes.
	MaxBody = 256 << 10
	// MaxTitle is in characters.
	MaxTitle = 120
	// MaxEntries bounds purposes, options and topics, each.
	MaxEntries = 64
	maxLabel   = 300
)

var (
	codePattern    = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	wordPattern    = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	versionPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.-]{0,31}$`)
	clausePattern  = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){0,3}$`)
	hashPattern    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Document is one text in one language.
type Document struct {
	// Code names the document for ever: lower-case words joined by "-", ≤ 48 bytes.
	Code   string
	Locale Locale
	// Version is the label that people see, unique for the code, e.g. "2026-03" or "1.2"; ≤ 32 bytes.
	Version string
	Title   string
	// Body is Markdown with "\n" line ends.
	Body string
	// Purposes need a consent of their own: code to what a person reads beside the box. The box is never ticked before.
	Purposes map[string]string
	// Options are on until the account objects: code to label.
	Options map[string]string

	// Only in the master:

	Kind Kind
	// Service is the code of the service that a ServiceTerm is for.
	Service string
	// Order is the place in the set, ascending; equal ones go by code.
	Order int
	Class Class
	// Topics are the questions that the document answers: topic to number of the clause.
	Topics map[string]string

	// Source is, in a translation, the hash of the master.
	Source string
}

// FieldError says what of a document is wrong.
type FieldError struct {
	// File is where, if it was read from one.
	File string
	// Field is the name of the field, "body" for the text.
	Field, Problem string
}

// Error makes FieldError an error.
func (e *FieldError) Error() string {
	if e.File != "" {
		return e.File + ": " + e.Field + ": " + e.Problem
	}
	return e.Field + ": " + e.Problem
}

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// Set is the code of the set that the document belongs to: "agreement", "privacy" or "service:<service>".
func (d *Document) Set() string {
	switch d.Kind {
	case Privacy:
		return "privacy"
	case ServiceTerm:
		return "service:" + d.Service
	default:
		return "agreement"
	}
}

// Normalize brings line ends and the end of the body into their one form.
func (d *Document) Normalize() {
	d.Body = strings.TrimPrefix(d.Body, "\uFEFF")
	d.Body = strings.ReplaceAll(d.Body, "\r\n", "\n")
	d.Body = strings.Trim(d.Body, "\n")
	if d.Body != "" {
		d.Body += "\n"
	}
	d.Title = strings.TrimSpace(d.Title)
}

// Check says what of the document, normalised before, is wrong: a *FieldError.
func (d *Document) Check() error {
	switch {
	case len(d.Code) > 48 || !codePattern.MatchString(d.Code):
		return wrong("code", "must be lower-case letters and digits in words joined by -, at most 48 bytes, not %.60q", d.Code)
	case d.Locale != Chinese && d.Locale != English:
		return wrong("locale", "must be zh or en, not %.20q", string(d.Locale))
	case !versionPattern.MatchString(d.Version):
		return wrong("version", "must be 1 to 32 letters, digits, points and hyphens, not %.40q", d.Version)
	case d.Title == "" || utf8.RuneCountInString(d.Title) > MaxTitle:
		return wrong("title", "must have 1 to %d characters", MaxTitle)
	case strings.TrimSpace(d.Body) == "":
		return wrong("body", "is empty")
	case len(d.Body) > MaxBody:
		return wrong("body", "has %d bytes, at most %d are taken", len(d.Body), MaxBody)
	}
	for _, f := range []struct{ field, text string }{{"title", d.Title}, {"body", d.Body}} {
		if err := checkCharacters(f.field, f.text); err != nil {
			return err
		}
	}
	if strings.Contains(d.Title, "\n") {
		return wrong("title", "must be one line")
	}
	for _, m := range []struct {
		field string
		list  map[string]string
	}{{"purposes", d.Purposes}, {"options", d.Options}} {
		if err := checkLabels(m.field, m.list); err != nil {
			return err
		}
	}
	for code := range d.Purposes {
		if _, both := d.Options[code]; both {
			return wrong("options", "%s is a purpose already", code)
		}
	}
	if d.Locale == Master {
		return d.checkMaster()
	}
	return d.checkTranslation()
}

func (d *Document) checkMaster() error {
	switch {
	case !slices.Contains([]Kind{Agreement, Rule, Privacy, ServiceTerm}, d.Kind):
		return wrong("kind", "must be agreement, rule, privacy or service_term, not %.40q", string(d.Kind))
	case d.Class.Rank() == 0:
		return wrong("class", "must be editorial, commercial or personal_data, not %.40q", string(d.Class))
	case d.Source != "":
		return wrong("source", "belongs to translations; %s is the master", Master)
	case d.Order < 0 || d.Order > 9999:
		return wrong("order", "must be 0 to 9999, not %d", d.Order)
	case d.Kind == ServiceTerm && (len(d.Service) > 32 || !wordPattern.MatchString(d.Service)):
		return wrong("service", "must name the service in lower-case words joined by _, at most 32 bytes, not %.40q", d.Service)
	case d.Kind != ServiceTerm && d.Service != "":
		return wrong("service", "belongs to kind service_term only")
	case len(d.Topics) > MaxEntries:
		return wrong("topics", "has %d entries, at most %d are taken", len(d.Topics), MaxEntries)
	}
	for _, topic := range slices.Sorted(maps.Keys(d.Topics)) {
		if len(topic) > 48 || !wordPattern.MatchString(topic) {
			return wrong("topics", "%.60q must be lower-case words joined by _", topic)
		}
		if !clausePattern.MatchString(d.Topics[topic]) {
			return wrong("topics", "%s must give the number of a clause such as 4.2, not %.40q", topic, d.Topics[topic])
		}
	}
	return nil
}

func (d *Document) checkTranslation() error {
	switch {
	case d.Kind != "" || d.Service != "" || d.Class != "" || d.Order != 0 || len(d.Topics) > 0:
		return wrong("kind", "kind, service, class, order and topics stand in the master only")
	case d.Source != "" && !hashPattern.MatchString(d.Source):
		return wrong("source", "must be the hash of the master, 64 hexadecimal digits")
	}
	return nil
}

func checkLabels(field string, list map[string]string) error {
	if len(list) > MaxEntries {
		return wrong(field, "has %d entries, at most %d are taken", len(list), MaxEntries)
	}
	for _, code := range slices.Sorted(maps.Keys(list)) {
		label := list[code]
		if len(code) > 48 || !wordPattern.MatchString(code) {
			return wrong(field, "%.60q must be lower-case words joined by _, at most 48 bytes", code)
		}
		if strings.TrimSpace(label) == "" || utf8.RuneCountInString(label) > maxLabel || strings.Contains(label, "\n") {
			return wrong(field, "%s needs a label of one line and at most %d characters", code, maxLabel)
		}
		if err := checkCharacters(field, label); err != nil {
			return err
		}
	}
	return nil
}

// checkCharacters refuses what a reader would not see as it is hashed.
func checkCharacters(field, text string) error {
	if !utf8.ValidString(text) {
		return wrong(field, "is not UTF-8")
	}
	for i, r := range text {
		if invisible(r) {
			return wrong(field, "has the character U+%04X at byte %d, which a reader cannot see", r, i)
		}
	}
	return nil
}

func invisible(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xad, r == 0x61c, r == 0x180e, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return false
}

// Canonical is the one form of the document that is hashed and stored. Normalise and check it before.
func (d *Document) Canonical() string {
	var b strings.Builder
	line := func(name string, value any) {
		var text strings.Builder
		enc := json.NewEncoder(&text) // JSON is YAML, and maps come sorted
		enc.SetEscapeHTML(false)
		if err := enc.Encode(value); err != nil {
			panic("legaltext: " + err.Error()) // not of strings, numbers and maps of strings
		}
		b.WriteString(name + ": " + text.String())
	}
	b.WriteString("---\n")
	line("code", d.Code)
	line("locale", d.Locale)
	line("version", d.Version)
	line("title", d.Title)
	if d.Locale == Master {
		line("kind", d.Kind)
		if d.Service != "" {
			line("service", d.Service)
		}
		line("order", d.Order)
		line("class", d.Class)
	}
	for _, m := range []struct {
		name string
		list map[string]string
	}{{"purposes", d.Purposes}, {"options", d.Options}, {"topics", d.Topics}} {
		if len(m.list) > 0 {
			line(m.name, m.list)
		}
	}
	if d.Source != "" {
		line("source", d.Source)
	}
	b.WriteString("---\n")
	b.WriteString(d.Body)
	return b.String()
}

// Hash is the hash of the document: of its canonical form.
func (d *Document) Hash() string { return HashText(d.Canonical()) }

// HashText is the lower-case hex SHA-256 of text.
func HashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// FileName is <code>.<locale>.md.
func (d *Document) FileName() string { return d.Code + "." + string(d.Locale) + ".md" }
