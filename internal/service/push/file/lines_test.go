package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

func TestFilesAtTheirLimits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		line := strings.Repeat("y", MaxLineBytes)
		lines := MaxBytes / (MaxLineBytes + 1)
		rest := MaxBytes - lines*(MaxLineBytes+1)
		full := strings.Repeat(line+"\n", lines) + strings.Repeat("z", rest)
		for name, content := range map[string]string{
			"the largest file": full, "long lines with CRLF": line + "\r\n" + line + "\r\n", "the most lines": strings.Repeat("\nu1\n", MaxLines),
		} {
			if a := r.upload(asApp, "alias", "u.txt", content, "1"); a.status != 200 {
				t.Errorf("%s: %+v", name, a)
			}
		}
		id := r.mustUpload(asApp, full, "")
		n := 0
		_, each, err := r.Lines(context.Background(), Owner{App: 1}, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := each(func(s string) error { n += len(s); return nil }); err != nil || n != MaxBytes-lines {
			t.Errorf("%d bytes of lines, %v", n, err)
		}
		stop := errors.New("enough")
		n = 0
		if err := each(func(string) error {
			if n++; n == 3 {
				return stop
			}
			return nil
		}); !errors.Is(err, stop) || n != 3 {
			t.Errorf("stopped with %v after %d", err, n)
		}
	})
}

func TestBlanksAreIgnored(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.mustUpload(asApp, "\uFEFF  u1 \r\n\r\n\tu2\u3000\n \n用户\n\n", "")
		if _, got, err := r.lines(Owner{App: 1}, id); err != nil || !slices.Equal(got, []string{"u1", "u2", "用户"}) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// What the checker lets through, in whatever pieces it comes, is what Lines makes of it.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"u1\nu2", "\uFEFFu1\r\n", "\xff", "\r\r\n\r", "用户\u3000\n\u0085x", strings.Repeat("y", 256), strings.Repeat("y", 255) + "\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := &checker{in: bytes.NewReader(data)}
		got, err := io.ReadAll(whole)
		pieces := &checker{in: iotest.OneByteReader(bytes.NewReader(data))}
		if _, err2 := io.ReadAll(pieces); fmt.Sprint(err) != fmt.Sprint(err2) || whole.lines != pieces.lines {
			t.Errorf("%q: %v and %d lines; in pieces %v and %d", data, err, whole.lines, err2, pieces.lines)
		}
		if err != nil {
			var e *compat.Error
			if !errors.As(err, &e) || e.Code != 1003 {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		n := int64(0)
		err = eachLine(bytes.NewReader(got), func(s string) error {
			n++
			if s == "" || len(s) > MaxLineBytes || s != strings.TrimSpace(s) {
				t.Errorf("line %q", s)
			}
			return nil
		})
		if err != nil || n != whole.lines || !bytes.Equal(got, data) {
			t.Errorf("%q: %d lines were checked, %d read, %v", data, whole.lines, n, err)
		}
	})
}
