package redline

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Op says what became of a part.
type Op string

// Ops. A line is Changed when it has parts of both texts.
const (
	Equal    Op = "equal"
	Inserted Op = "inserted"
	Deleted  Op = "deleted"
	Changed  Op = "changed"
)

// Span is a part of a line.
type Span struct {
	// Op is Equal, Inserted or Deleted.
	Op   Op     `json:"op"`
	Text string `json:"text"`
}

// Line is a line of one text, or a line of the old one and what became of it in the new one.
type Line struct {
	Op Op `json:"op"`
	// Old and New are the numbers of the line in the texts, from 1; 0 where it is not.
	Old int `json:"old,omitempty"`
	New int `json:"new,omitempty"`
	// Spans are the parts of the line in order.
	Spans []Span `json:"spans"`
}

const (
	maxEdits = 1200
	// minAlike is how much of the longer of two lines must be equal for them to be shown as one changed line: a third.
	minAlike = 3
)

// Compare tells how before became after. The texts are split at "\n"; what follows the last one is a line too.
func Compare(before, after string) []Line {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var (
		lines []Line
		i, j  int
	)
	for _, e := range edits(a, b) {
		switch e.op {
		case Equal:
			for range e.n {
				lines = append(lines, Line{Op: Equal, Old: i + 1, New: j + 1, Spans: []Span{{Equal, a[i]}}})
				i++
				j++
			}
		case Deleted: // with the insertions that stand in the same place
			lines = replace(lines, a[i:i+e.n], b[j:j+e.with], i, j)
			i += e.n
			j += e.with
		}
	}
	return lines
}

// Same says whether nothing differs.
func Same(lines []Line) bool {
	for _, l := range lines {
		if l.Op != Equal {
			return false
		}
	}
	return true
}

// replace shows lines gone as lines come, pair by pair where they are alike.
func replace(lines []Line, gone, come []string, i, j int) []Line {
	paired := min(len(gone), len(come))
	for k := range paired {
		if spans := words(gone[k], come[k]); spans != nil {
			lines = append(lines, Line{Op: Changed, Old: i + k + 1, New: j + k + 1, Spans: spans})
			continue
		}
		lines = append(lines, Line{Op: Deleted, Old: i + k + 1, Spans: []Span{{Deleted, gone[k]}}},
			Line{Op: Inserted, New: j + k + 1, Spans: []Span{{Inserted, come[k]}}})
	}
	for k := paired; k < len(gone); k++ {
		lines = append(lines, Line{Op: Deleted, Old: i + k + 1, Spans: []Span{{Deleted, gone[k]}}})
	}
	for k := paired; k < len(come); k++ {
		lines = append(lines, Line{Op: Inserted, New: j + k + 1, Spans: []Span{{Inserted, come[k]}}})
	}
	return lines
}

// words compares two lines; nil if they have little in common.
func words(before, after string) []Span {
	a, b := tokens(before), tokens(after)
	var (
		spans     []Span
		i, j      int
		alike, of int
	)
	of = max(len(before), len(after))
	for _, e := range edits(a, b) {
		if e.op == Equal {
			text := strings.Join(a[i:i+e.n], "")
			alike += len(text)
			spans = append(spans, Span{Equal, text})
			i += e.n
			j += e.n
			continue
		}
		if e.n > 0 {
			spans = append(spans, Span{Deleted, strings.Join(a[i:i+e.n], "")})
			i += e.n
		}
		if e.with > 0 {
			spans = append(spans, Span{Inserted, strings.Join(b[j:j+e.with], "")})
			j += e.with
		}
	}
	if alike*minAlike < of {
		return nil
	}
	return spans
}

// tokens are the words of a line, and everything else character by character.
func tokens(line string) []string {
	var list []string
	for len(line) > 0 {
		n := 0
		for n < len(line) {
			r, size := utf8.DecodeRuneInString(line[n:])
			if !inWord(r) {
				break
			}
			n += size
		}
		if n == 0 {
			_, n = utf8.DecodeRuneInString(line)
		}
		list = append(list, line[:n])
		line = line[n:]
	}
	return list
}

func inWord(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}
