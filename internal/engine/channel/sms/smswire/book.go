package smswire

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"borealis/internal/engine/channel/wire"
)

const (
	// maxEntries bounds the templates and the signatures of an app each, maxText a text of theirs in bytes.
	maxEntries = 1000
	maxText    = 256
	// maxParameters bounds the parameters of a message, maxValue one of them in bytes.
	maxParameters = 50
	maxValue      = 1000
)

// Entries are the fields of credentials that every provider has: {"templates": {"1": "SMS_123"}, "signs": {"0": "Default"}}. A template may also be
// an object with the names of its parameters in their order: {"id": "1110", "parameters": ["code", "minutes"]}.
type Entries struct {
	Templates map[string]json.RawMessage `json:"templates"`
	Signs     map[string]string          `json:"signs"`
}

// Template is a template at a provider.
type Template struct {
	ID string `json:"id"`
	// Parameters are the names in their order; nil: not said.
	Parameters []string `json:"parameters"`
}

// Book maps an app's numbers to a provider's templates and signatures. It is never changed.
type Book struct {
	templates map[int64]Template
	signs     map[int64]string
	// SignNeeded: the provider takes no message without a signature.
	signNeeded bool
}

// NewBook checks the entries. There must be a template; if the provider needs signatures, there must be a default one. The error is a
// *wire.FieldError.
func NewBook(e Entries, signNeeded bool) (Book, error) {
	b := Book{templates: make(map[int64]Template, len(e.Templates)), signs: make(map[int64]string, len(e.Signs)), signNeeded: signNeeded}
	if len(e.Templates) == 0 || len(e.Templates) > maxEntries {
		return b, &wire.FieldError{Field: "templates", Reason: "must have 1 to 1000 entries"}
	}
	if len(e.Signs) > maxEntries {
		return b, &wire.FieldError{Field: "signs", Reason: "must have at most 1000 entries"}
	}
	for key, raw := range e.Templates {
		id, ok := number(key)
		var t Template
		if json.Unmarshal(raw, &t.ID) != nil && wire.ReadFields(raw, &t) != nil {
			ok = false
		}
		if !ok || id == 0 || !short(t.ID) || len(t.Parameters) > maxParameters || slices.ContainsFunc(t.Parameters, func(p string) bool { return !short(p) }) {
			return b, &wire.FieldError{Field: "templates", Reason: `must be like {"1": "id"} or {"1": {"id": "id", "parameters": ["first", "second"]}}`}
		}
		b.templates[id] = t
	}
	for key, sign := range e.Signs {
		id, ok := number(key)
		if !ok || !short(sign) {
			return b, &wire.FieldError{Field: "signs", Reason: `must be like {"0": "default", "1": "another"}`}
		}
		b.signs[id] = sign
	}
	if signNeeded && b.signs[0] == "" {
		return b, &wire.FieldError{Field: "signs", Reason: `must have a default under "0"`}
	}
	return b, nil
}

func number(key string) (int64, bool) {
	n, err := strconv.ParseInt(key, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == key
}

func short(text string) bool { return text != "" && len(text) <= maxText }

// Template is the template of a message, and Sign its signature, "" if there is none.
func (b *Book) Template(m *Message) Template { return b.templates[m.Template] }

// Sign is the signature of a message, "" if there is none.
func (b *Book) Sign(m *Message) string { return b.signs[m.Sign] }

// Check says whether the app has what a message names.
func (b *Book) Check(m *Message) error {
	t, known := b.templates[m.Template]
	if !known {
		return &wire.FieldError{Field: "temp_id", Reason: "the app has no such template"}
	}
	if _, known := b.signs[m.Sign]; !known && (m.Sign != 0 || b.signNeeded) {
		return &wire.FieldError{Field: "signid", Reason: "the app has no such signature"}
	}
	if len(m.Parameters) > maxParameters {
		return &wire.FieldError{Field: "temp_para", Reason: "has more than 50 parameters"}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Parameters)) {
		if len(m.Parameters[name]) > maxValue || len(name) > maxText {
			return &wire.FieldError{Field: "temp_para", Reason: "has a parameter of more than 1000 bytes"}
		}
	}
	for _, name := range t.Parameters {
		if _, there := m.Parameters[name]; !there {
			return &wire.FieldError{Field: "temp_para", Reason: "lacks the parameter " + name}
		}
	}
	if Mobile(m.Mobile) != m.Mobile || m.Mobile == "" {
		return &wire.FieldError{Field: "mobile", Reason: "must be a number with + and country"}
	}
	return nil
}

// Refuse is the outcome of what Check says: a number that is none is Invalid, all else Rejected.
func Refuse(err error) wire.Outcome {
	o := wire.NewOutcome(wire.Rejected, "", err.Error())
	if field, ok := err.(*wire.FieldError); ok { //nolint:errorlint // Check returns nothing else
		o = wire.NewOutcome(wire.Rejected, field.Field, field.Reason)
		if field.Field == "mobile" {
			o.Status = wire.Invalid
		}
	}
	return o
}
