package compat

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// MultipartLimits bound a multipart/form-data body. All of them must be set.
type MultipartLimits struct {
	// Body is the largest number of bytes of the whole.
	Body int64
	// Part is the largest number of bytes in the content of one part.
	Part int64
	// Parts is the largest number of parts.
	Parts int
}

const (
	// maxPartHeader bounds the header of a part in bytes.
	maxPartHeader = 8 << 10
	// maxBoundary bounds the boundary in bytes; RFC 2046 allows 70.
	maxBoundary = 256
	// multipartBuffer must hold a line of a header and a delimiter.
	multipartBuffer = 2 * maxPartHeader
)

// Multipart reads a multipart/form-data body as clients send it and calls each for every part, in order, with its
// content as a stream. What each leaves unread is skipped; its error ends the reading and is returned as it is. All
// other errors are *Error: 1005 for a body or part beyond its limit, 1003 for one that makes no sense.
//
// More is accepted than RFC 7578 allows: the end of the body ends the last part, when the closing delimiter is missing;
// anything may come before the first delimiter; lines may end with LF alone, if that of the first delimiter does; the
// boundary may be quoted or not; header names have any case, and none but Content-Disposition is needed.
//
// In the end the body has been read, up to its limit, whatever the outcome: a client that reads the answer only after
// it has sent everything gets to see it.
func Multipart(r *http.Request, limits MultipartLimits, each func(*Part) error) error {
	body := &bodyReader{body: r.Body, limit: limits.Body, left: limits.Body}
	defer body.drain()
	kind, params := headerParams(r.Header.Get("Content-Type"))
	boundary := params["boundary"]
	if !strings.EqualFold(kind, "multipart/form-data") || boundary == "" || len(boundary) > maxBoundary {
		return malformed("the content type must be multipart/form-data with a boundary")
	}
	// A delimiter stands at the beginning of a line. How lines end is known after the first one.
	f := &form{
		in: bufio.NewReaderSize(body, multipartBuffer), limits: limits, dashes: []byte("--" + boundary), delimiter: []byte("\n--" + boundary), atStart: true,
	}
	last, err := f.skip()
	for n := 0; err == nil && !last; n++ {
		var p *Part
		if p, err = f.header(); err != nil || p == nil {
			return err
		}
		if n == limits.Parts {
			return malformed("there are more than %d parts", limits.Parts)
		}
		if err = each(p); err == nil {
			last, err = f.skip()
		}
	}
	return err
}

func malformed(format string, args ...any) *Error {
	return Errorf(http.StatusBadRequest, 1003, "malformed multipart body: "+format, args...)
}

// bodyReader reads a body up to its limit. Its errors are io.EOF and *Error.
type bodyReader struct {
	body        io.Reader
	limit, left int64
	err         error // sticky
}

// Read is part of io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// One byte more than allowed is asked for, to tell "exactly the limit" from "more".
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	switch {
	case int64(n) > b.left:
		n, b.err = int(b.left), tooLarge(b.limit)
	case err == nil || errors.Is(err, io.EOF):
		b.err = err
	default:
		b.err = unreadable(err, b.limit)
	}
	b.left -= int64(n)
	return n, b.err
}

// Drain reads what is left of a body, at most limit bytes, before an answer that does not depend on it: a client that
// reads the answer only after it has sent everything gets to see it.
func Drain(r *http.Request, limit int64) { _, _ = io.CopyN(io.Discard, r.Body, limit) }

func (b *bodyReader) drain() { _, _ = io.Copy(io.Discard, b) }

// form is the state of reading one body.
type form struct {
	in     *bufio.Reader
	limits MultipartLimits
	// dashes are two of them and the boundary, delimiter has the line end before them too.
	dashes, delimiter []byte

	lines   bool // it is known how lines end
	atStart bool // nothing of the part was read yet, so a delimiter needs no line end before it
	eof     bool
	part    *Part // the one whose content comes next; nil before the first
}

// skip reads to the end of the part and the delimiter there. last: no part follows.
func (m *form) skip() (last bool, err error) {
	for {
		n, err := m.content()
		if err != nil {
			return false, err
		}
		if n == 0 {
			return m.next()
		}
		if err := m.count(n); err != nil {
			return false, err
		}
		_, _ = m.in.Discard(n) // they are buffered
		m.atStart = false
	}
}

// count checks the limit of the part before n more bytes of it are used.
func (m *form) count(n int) error {
	if m.part == nil {
		return nil
	}
	if m.part.size += int64(n); m.part.size > m.limits.Part {
		return Errorf(http.StatusBadRequest, 1005, "part %q must not be larger than %d bytes", m.part.Name, m.limits.Part)
	}
	return nil
}

// content tells how many of the buffered bytes are content for sure; 0: a delimiter comes next, or the end of the body.
func (m *form) content() (int, error) {
	for {
		buf, _ := m.in.Peek(m.in.Buffered())
		n, enough := m.split(buf)
		if n > 0 || enough {
			return n, nil
		}
		_, err := m.in.Peek(len(buf) + 1) // fits: what is held back is shorter than a delimiter and two bytes
		switch {
		case errors.Is(err, io.EOF):
			m.eof = true
		case err != nil:
			return 0, err
		}
	}
}

// split looks for a delimiter: n bytes come before it, or before what may be the beginning of one. If n is 0, enough
// tells whether it is certain.
func (m *form) split(buf []byte) (n int, enough bool) {
	if m.atStart {
		if bytes.HasPrefix(buf, m.dashes) {
			if is, enough := m.delimits(buf[len(m.dashes):]); is || !enough {
				return 0, enough
			}
		} else if bytes.HasPrefix(m.dashes, buf) && !m.eof {
			return 0, false
		}
	}
	for from := 0; ; from++ {
		at := bytes.Index(buf[from:], m.delimiter)
		if at < 0 {
			break
		}
		from += at
		if is, enough := m.delimits(buf[from+len(m.delimiter):]); is || !enough {
			return from, enough
		}
	}
	if m.eof {
		return len(buf), true
	}
	for held := min(len(buf), len(m.delimiter)-1); held > 0; held-- {
		if bytes.HasPrefix(m.delimiter, buf[len(buf)-held:]) {
			return len(buf) - held, false
		}
	}
	return len(buf), false
}

// delimits tells by what follows a boundary whether it is one, and not the beginning of a longer word.
func (m *form) delimits(rest []byte) (is, enough bool) {
	switch {
	case len(rest) == 0, len(rest) == 1 && rest[0] == '-':
		return m.eof, m.eof
	case rest[0] == '-':
		return rest[1] == '-', true
	default:
		return strings.IndexByte(" \t\r\n", rest[0]) >= 0, true
	}
}

// next reads the delimiter that comes next. last: it is the closing one, or the body ended.
func (m *form) next() (last bool, err error) {
	skip := len(m.delimiter)
	if at, _ := m.in.Peek(len(m.dashes)); m.atStart && bytes.Equal(at, m.dashes) {
		skip = len(m.dashes)
	}
	if n, _ := m.in.Discard(skip); n == 0 {
		if m.part == nil {
			return false, malformed("the boundary of the content type is not in the body")
		}
		return true, nil
	}
	if dash, _ := m.in.Peek(2); string(dash) == "--" {
		return true, nil
	}
	line, err := m.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), err == nil && len(bytes.TrimSpace(line)) > 0:
		return false, malformed("something follows a boundary")
	case errors.Is(err, io.EOF):
		return true, nil
	case err != nil:
		return false, err
	}
	if !m.lines {
		m.lines = true
		if bytes.HasSuffix(line, []byte("\r\n")) {
			m.delimiter = append([]byte{'\r'}, m.delimiter...)
		}
	}
	m.atStart = true
	return false, nil
}

// header reads the header of a part; nil: the body ended instead.
func (m *form) header() (*Part, error) {
	m.part = &Part{form: m}
	var name, value string // of the field that may go on in the next line
	for size := 0; ; {
		line, err := m.in.ReadSlice('\n')
		if size += len(line); size > maxPartHeader {
			return nil, malformed("the header of a part is larger than %d bytes", maxPartHeader)
		}
		switch {
		case errors.Is(err, io.EOF) && size == 0:
			return nil, nil
		case errors.Is(err, io.EOF):
			return nil, malformed("it ends in the header of a part")
		case err != nil:
			return nil, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text != "" && (text[0] == ' ' || text[0] == '\t') {
			value += " " + strings.TrimSpace(text)
			continue
		}
		m.part.field(name, value)
		if text == "" {
			return m.part, nil
		}
		var ok bool
		if name, value, ok = strings.Cut(text, ":"); !ok {
			return nil, malformed("a line in the header of a part has no colon")
		}
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	}
}
