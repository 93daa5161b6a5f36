package compat

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Part is one part of a multipart body. It is valid until the function that got it returns.
type Part struct {
	// Name of the form's field; empty if the part has none.
	Name string
	// FileName as the client named it, without folders, valid UTF-8; empty for a field that is no file.
	FileName string
	// ContentType as the client sent it; empty if it did not.
	ContentType string

	form *form
	size int64 // content seen so far
	err  error // sticky
}

// Read reads the content. Errors are io.EOF and *Error.
func (p *Part) Read(b []byte) (int, error) {
	if p.err != nil || len(b) == 0 {
		return 0, p.err
	}
	n, err := p.form.content()
	switch {
	case err != nil:
	case n == 0:
		err = io.EOF
	default:
		n = min(n, len(b))
		err = p.form.count(n)
	}
	if err != nil {
		p.err = err
		return 0, err
	}
	p.form.atStart = false
	return p.form.in.Read(b[:n]) // from its buffer
}

// Text reads the whole content of a short field, without surrounding blanks. Longer than limit bytes is 1003.
func (p *Part) Text(limit int) (string, error) {
	text, err := io.ReadAll(io.LimitReader(p, int64(limit)+1))
	if err != nil {
		return "", err
	}
	if len(text) > limit {
		return "", Errorf(http.StatusBadRequest, 1003, "%s must not be longer than %d bytes", p.Name, limit)
	}
	return strings.TrimSpace(string(text)), nil
}

// field takes over a field of the header.
func (p *Part) field(name, value string) {
	switch strings.ToLower(name) {
	case "content-type":
		p.ContentType = value
	case "content-disposition":
		_, params := headerParams(value)
		p.Name = strings.ToValidUTF8(params["name"], "�")
		file := params["filename"]
		if extended, ok := extendedValue(params["filename*"]); ok {
			file = extended
		}
		p.FileName = strings.ToValidUTF8(file[strings.LastIndexAny(file, `/\`)+1:], "�")
	}
}

// extendedValue decodes a value in the form of RFC 8187: UTF-8'en'%e2%82%ac.
func extendedValue(s string) (string, bool) {
	charset, rest, _ := strings.Cut(s, "'")
	_, encoded, ok := strings.Cut(rest, "'")
	if !ok || !strings.EqualFold(charset, "utf-8") {
		return "", false
	}
	text, err := url.PathUnescape(encoded)
	return text, err == nil && utf8.ValidString(text)
}

// headerParams splits a header like `form-data; name="a"; filename="b.txt"`, as clients write it: values may be quoted or
// not, quotes and backslashes inside may be escaped or not, parameters without a value are ignored. Names of parameters
// become lower case, the first one of a name counts.
func headerParams(header string) (value string, params map[string]string) {
	value, rest, _ := strings.Cut(header, ";")
	params = make(map[string]string)
	for rest != "" {
		end := strings.IndexAny(rest, "=;")
		if end < 0 {
			break
		}
		name := strings.ToLower(strings.TrimSpace(rest[:end]))
		sign := rest[end]
		rest = rest[end+1:]
		if sign == ';' {
			continue
		}
		var text string
		if rest = strings.TrimLeft(rest, " \t"); strings.HasPrefix(rest, `"`) {
			text, rest = quoted(rest[1:])
		} else {
			text, rest, _ = strings.Cut(rest, ";")
			text = strings.TrimSpace(text)
		}
		if _, known := params[name]; !known {
			params[name] = text
		}
	}
	return strings.TrimSpace(value), params
}

// quoted reads to the closing quote and the semicolon after it. A quote that is followed by anything else is part of the
// text: there are clients that do not escape it.
func quoted(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		case s[i] == '"':
			after := strings.TrimLeft(s[i+1:], " \t")
			if after == "" || after[0] == ';' {
				return b.String(), strings.TrimPrefix(after, ";")
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
