package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/kernel/web/compat"
)

// byteOrderMark stands at the beginning of text files that some editors write.
const byteOrderMark = '\uFEFF'

// Lines finds a file for a push. kind is KindAlias or KindRegistrationID; lines streams the lines without surrounding
// blanks, blank ones left out, and returns the first error of yield, or its own. Lines may repeat. Errors: *compat.Error
// 1003 for an id that is unknown, another owner's, or expired.
func (s *Service) Lines(ctx context.Context, owner Owner, fileID string) (kind string, lines func(yield func(string) error) error, err error) {
	f, err := s.find(ctx, owner, fileID)
	if err != nil {
		return "", nil, err
	}
	return f.kind, func(yield func(string) error) error {
		in, err := s.Blobs.Open(ctx, f.blob)
		if err != nil {
			return fmt.Errorf("file: lines: %w", err)
		}
		defer func() { _ = in.Close() }()
		return eachLine(in, yield)
	}, nil
}

func eachLine(in io.Reader, yield func(string) error) error {
	lines := bufio.NewScanner(in)
	for first := true; lines.Scan(); first = false {
		text := lines.Text()
		if first {
			text = strings.TrimPrefix(text, string(byteOrderMark))
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if err := yield(text); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("file: lines: %w", err)
	}
	return nil
}

// checker passes the content of a file on and fails, with *compat.Error, as soon as it cannot become a good one.
type checker struct {
	in io.Reader

	carry   [utf8.UTFMax]byte // beginning of a character
	carried int
	begun   bool // something was read
	length  int  // bytes of the line, without a carriage return at its end
	returns int  // carriage returns at the end of the line
	text    bool // there is something else than blanks in the line
	lines   int64
}

// Read is part of io.Reader.
func (c *checker) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if bad := c.check(p[:n]); bad != nil {
		return 0, bad
	}
	if errors.Is(err, io.EOF) {
		if bad := c.end(); bad != nil {
			return 0, bad
		}
	}
	return n, err
}

func (c *checker) check(data []byte) error {
	for _, b := range data {
		if c.carried == 0 && b < utf8.RuneSelf {
			if err := c.rune(rune(b), 1); err != nil {
				return err
			}
			continue
		}
		c.carry[c.carried] = b
		c.carried++
		if !utf8.FullRune(c.carry[:c.carried]) {
			continue
		}
		r, size := utf8.DecodeRune(c.carry[:c.carried])
		if r == utf8.RuneError && size <= 1 {
			return errNoUTF8()
		}
		c.carried = 0
		if err := c.rune(r, size); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) rune(r rune, size int) error {
	first := !c.begun
	c.begun = true
	switch r {
	case '\n':
		return c.endLine()
	case '\r':
		c.returns++
	default:
		c.length += c.returns + size
		c.returns = 0
		c.text = c.text || !unicode.IsSpace(r) && (r != byteOrderMark || !first)
	}
	// Carriage returns count unless they are the line's end.
	if c.length+max(c.returns-1, 0) > MaxLineBytes {
		return compat.Errorf(400, 1003, "a line of the file is longer than %d bytes", MaxLineBytes)
	}
	return nil
}

func (c *checker) endLine() error {
	if c.text {
		c.lines++
	}
	c.length, c.returns, c.text = 0, 0, false
	if c.lines > MaxLines {
		return compat.Errorf(400, 1003, "the file has more than %d lines", MaxLines)
	}
	return nil
}

func (c *checker) end() error {
	if c.carried > 0 {
		return errNoUTF8()
	}
	if err := c.endLine(); err != nil {
		return err
	}
	if c.lines == 0 {
		return compat.Errorf(400, 1003, "the file has no lines")
	}
	return nil
}

func errNoUTF8() *compat.Error { return compat.Errorf(400, 1003, "the file is not valid UTF-8") }
