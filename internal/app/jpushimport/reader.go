package jpushimport

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Format of a file.
type Format string

// Formats. Auto looks at the first line.
const (
	Auto  Format = "auto"
	CSV   Format = "csv"
	JSONL Format = "jsonl"
)

// maxLine is the longest line in bytes: a device with 1,000 tags of 40 bytes is a sixth of it.
const maxLine = 256 << 10

// Reader reads devices from a file. It holds one line at a time.
type Reader struct {
	in     *bufio.Reader
	format Format
	header []string // of CSV
	line   int      // number of the line read last, from 1
}

// NewReader looks at the beginning of a file; the error is that of the file, or of its header.
func NewReader(in io.Reader, format Format) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, maxLine), format: format}
	if mark, err := r.in.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = r.in.Discard(len(mark))
	}
	if r.format == Auto {
		r.format = CSV
		if first, _ := r.in.Peek(1024); bytes.HasPrefix(bytes.TrimLeft(first, " \t\r\n"), []byte("{")) {
			r.format = JSONL
		}
	}
	if r.format != CSV {
		return r, nil
	}
	for {
		text, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty: a header row with registration_id is needed")
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if r.header, err = fields(text); err != nil {
			return nil, &LineError{r.line, err.Error()}
		}
		return r, r.checkHeader()
	}
}

func (r *Reader) checkHeader() error {
	seen := map[string]bool{}
	for i, name := range r.header {
		name = strings.ToLower(strings.TrimSpace(name))
		if !known(name) {
			return &LineError{r.line, "the header row: " + unknownColumn(name).Error()}
		}
		if seen[name] {
			return &LineError{r.line, fmt.Sprintf("the header row has %s twice", name)}
		}
		seen[name], r.header[i] = true, name
	}
	if !seen["registration_id"] {
		return &LineError{r.line, "the header row has no registration_id"}
	}
	return nil
}

// Next reads the next device that is not on an empty line, and its line's number. A *LineError is about one line, after which Next may be called again;
// io.EOF is the end, another error that of the file.
func (r *Reader) Next() (Device, int, error) {
	for {
		text, err := r.next()
		if err != nil {
			return Device{}, r.line, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var d Device
		if !utf8.Valid(text) {
			err = errors.New("is not valid UTF-8")
		} else if r.format == CSV {
			d, err = r.parseCSV(text)
		} else {
			d, err = parseJSON(text)
		}
		if err != nil {
			return Device{}, r.line, &LineError{r.line, err.Error()}
		}
		return d, r.line, nil
	}
}

func (r *Reader) parseCSV(text []byte) (Device, error) {
	var d Device
	values, err := fields(text)
	if err != nil {
		return d, err
	}
	if len(values) != len(r.header) {
		return d, fmt.Errorf("has %d columns, the header row has %d", len(values), len(r.header))
	}
	for i, name := range r.header {
		d.set(name, values[i])
	}
	return d, d.check()
}

// fields splits one line of CSV. Values with line breaks do not exist here, so a quote that is not closed costs one line and not the file.
func fields(line []byte) ([]string, error) {
	if bytes.IndexByte(line, '"') < 0 { // as nearly always
		return strings.Split(string(line), ","), nil
	}
	c := csv.NewReader(bytes.NewReader(line))
	values, err := c.Read()
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, bad.Err
	}
	return values, err
}

// next is the next line, without its end; it is valid until the next call.
func (r *Reader) next() ([]byte, error) {
	text, err := r.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		r.line++
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, &LineError{r.line, fmt.Sprintf("is longer than %d bytes", maxLine)}
	case errors.Is(err, io.EOF) && len(text) > 0:
	case err != nil:
		return nil, err
	}
	r.line++
	return bytes.TrimRight(text, "\r\n"), nil
}
