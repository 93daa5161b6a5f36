package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/service/push/payload"
)

const (
	// maxRendered is the largest rendered push in bytes, beside the audience and options of its element.
	maxRendered = 64 << 10
	// maxVariableBytes is the longest name of a variable.
	maxVariableBytes = 64
)

// content is a template ready to be rendered.
type content struct {
	members []member // of the push, without options; by name
	options []member // by name
}

// member of an object: its name, and its value as pieces of JSON text and variables.
type member struct {
	name   string
	pieces []piece
}

// piece is JSON text or, if name is not empty, a variable between the quotes of a string.
type piece struct {
	text string
	name string
}

// missingError: a variable has no value.
type missingError struct{ name string }

// Error names the variable.
func (e *missingError) Error() string {
	return fmt.Sprintf("keys: the template needs a value for %q", e.name)
}

// errTooLarge: the rendered push is larger than maxRendered.
var errTooLarge = fmt.Errorf("the push must not be larger than %d bytes", maxRendered)

// compile reads a push object with variables. The error is for people.
func compile(push []byte) (*content, error) {
	if !utf8.Valid(push) {
		return nil, errors.New("must be valid UTF-8")
	}
	all, err := object(push)
	if err != nil {
		return nil, err
	}
	for _, name := range [...]string{"audience", "cid"} {
		if _, ok := all[name]; ok {
			return nil, fmt.Errorf("must not have %s, which each call gives", name)
		}
	}
	options, err := object(all["options"])
	if err != nil {
		return nil, fmt.Errorf("options %w", err)
	}
	delete(all, "options")
	c := &content{}
	if c.members, err = members(all); err != nil {
		return nil, err
	}
	c.options, err = members(options)
	return c, err
}

// object reads the members of a JSON object. Nothing, null and an empty array have none.
func object(raw []byte) (map[string]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []json.RawMessage
	if raw[0] == '[' && json.Unmarshal(raw, &list) == nil && len(list) == 0 {
		return nil, nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, errors.New("must be a JSON object")
	}
	return m, nil
}

func members(object map[string]json.RawMessage) ([]member, error) {
	var out []member
	for _, name := range slices.Sorted(maps.Keys(object)) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, object[name]); err != nil {
			return nil, errors.New("must be valid JSON")
		}
		out = append(out, member{name: name, pieces: cut(compact.String())})
	}
	return out, nil
}

// cut divides compact JSON at the variables in its string values. A string before a colon is a key.
func cut(text string) []piece {
	var (
		out  []piece
		from int // of the text that is in no piece yet
	)
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		end := i + stringEnd(text[i:])
		if end < len(text) && text[end] == ':' {
			i = end
			continue
		}
		if parts := variables(decoded(text[i:end])); parts != nil {
			out = append(out, piece{text: text[from : i+1]})
			out = append(out, parts...)
			from = end - 1
		}
		i = end - 1
	}
	return append(out, piece{text: text[from:]})
}

// stringEnd is the length of the JSON string at the start of text, quotes included.
func stringEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// decoded is what a JSON string means.
func decoded(quoted string) string {
	if !strings.Contains(quoted, `\`) {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if json.Unmarshal([]byte(quoted), &s) != nil {
		return "" // it was valid before
	}
	return s
}

// variables divides a text at its variables; nil: it has none.
func variables(text string) []piece {
	var (
		out  []piece
		from int
	)
	literal := func(to int) {
		if to > from {
			out = append(out, piece{text: string(payload.AppendEscaped(nil, text[from:to]))})
		}
	}
	found := false
	for i := 0; i < len(text); {
		at := strings.Index(text[i:], "{{")
		if at < 0 {
			break
		}
		i += at
		name, n := variable(text[i:])
		if n == 0 {
			i++
			continue
		}
		literal(i)
		out, found = append(out, piece{name: name}), true
		i += n
		from = i
	}
	if !found {
		return nil
	}
	literal(len(text))
	return out
}

// variable reads {{name}} at the start of text; n is its length, 0 if there is none.
func variable(text string) (name string, n int) {
	// Not further than a name with spaces can reach, or many open braces would each search the whole text.
	inner, _, closed := strings.Cut(text[2:min(len(text), 2+2*maxVariableBytes)], "}}")
	name = strings.Trim(inner, " ")
	if !closed || name == "" || len(name) > maxVariableBytes || strings.ContainsFunc(name, func(r rune) bool { return !nameRune(r) }) {
		return "", 0
	}
	return name, 2 + len(inner) + 2
}

func nameRune(r rune) bool {
	return r == '_' || r == '.' || r == '-' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// names are the variables, sorted, each once.
func (c *content) names() []string {
	var out []string
	for _, list := range [...][]member{c.members, c.options} {
		for _, m := range list {
			for _, p := range m.pieces {
				if p.name != "" {
					out = append(out, p.name)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// render makes a push object: the template filled with values, the audience if it is not empty, and the template's
// options under those of the element, both of which are valid JSON. The error is a *missingError or errTooLarge.
func (c *content) render(values map[string]string, audience json.RawMessage, options map[string]json.RawMessage) ([]byte, error) {
	w := writer{values: values, out: make([]byte, 0, 512+len(audience))}
	w.open()
	if len(audience) > 0 {
		w.key("audience")
		w.given(audience)
	}
	for _, m := range c.members {
		w.key(m.name)
		w.pieces(m.pieces)
	}
	if len(c.options)+len(options) > 0 {
		w.key("options")
		w.open()
		for _, m := range c.options {
			if _, replaced := options[m.name]; !replaced {
				w.key(m.name)
				w.pieces(m.pieces)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(options)) {
			w.key(name)
			w.given(options[name])
		}
		w.out = append(w.out, '}')
	}
	w.out = append(w.out, '}')
	return w.out, w.err
}

// writer writes one push object. After an error it writes nothing more of the template.
type writer struct {
	values map[string]string
	out    []byte
	free   int // bytes of out that do not count
	first  bool
	err    error
}

func (w *writer) open() { w.out, w.first = append(w.out, '{'), true }

func (w *writer) key(name string) {
	if !w.first {
		w.out = append(w.out, ',')
	}
	w.first = false
	w.out = append(payload.AppendEscaped(append(w.out, '"'), strings.ToValidUTF8(name, "\uFFFD")), '"', ':')
}

// given writes JSON of the call, which the body's limit bounds.
func (w *writer) given(raw json.RawMessage) {
	w.out = append(w.out, raw...)
	w.free += len(raw)
}

func (w *writer) pieces(list []piece) {
	for _, p := range list {
		if w.err != nil {
			return
		}
		if p.name == "" {
			w.out = append(w.out, p.text...)
		} else if value, ok := w.values[p.name]; ok {
			w.out = payload.AppendEscaped(w.out, strings.ToValidUTF8(value, "\uFFFD"))
		} else {
			w.err = &missingError{p.name}
		}
		if len(w.out)-w.free > maxRendered {
			w.err = errTooLarge
		}
	}
}
