package jpushimport

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// read is all devices of a text, as "line: device", and its errors.
func read(t *testing.T, text string, format Format) (out []string) {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), format)
	if err != nil {
		return []string{err.Error()}
	}
	for {
		d, line, err := r.Next()
		var bad *LineError
		switch {
		case errors.Is(err, io.EOF):
			return out
		case errors.As(err, &bad):
			if bad.Line != line {
				t.Errorf("line %d reports line %d", line, bad.Line)
			}
			out = append(out, err.Error())
		case err != nil:
			t.Fatal(err)
		default:
			out = append(out, fmt.Sprintf("%d: %s %s %s %s %s", line, d.RegistrationID, d.Platform, d.Alias, strings.Join(d.Tags, "|"), d.Mobile))
		}
	}
}

func TestFilesAreRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct {
		format Format
		text   string
		want   []string
	}{
		"all columns": {Auto, "registration_id,platform,alias,tags,mobile\r\na1,android,u1,x;y ; ,138\r\n\r\na2,,,,\n", []string{"2: a1 android u1 x|y 138", "4: a2    "}},
		"other order": {Auto, "\ufeffTags, Registration_ID\n\"a,b;c\",r1", []string{"2: r1   a,b|c "}},
		"lines that are wrong": {Auto, "registration_id,platform\n,ios\na,plan9\nb\n\"c,ios\nd,ios\ne,iOS\n\xff,ios\n",
			[]string{"line 2: there is no registration_id", `line 3: platform: "plan9" is not one of android, ios, quickapp, hmos`,
				"line 4: has 1 columns, the header row has 2", `line 5: extraneous or missing " in quoted-field`, "6: d ios   ", "7: e iOS   ", "line 8: is not valid UTF-8"}},
		"a line that is too long": {Auto, "registration_id\na\n" + long + long + "\nb\n", []string{"2: a    ", "line 3: is longer than 262144 bytes", "4: b    "}},
		"too long at the end":     {Auto, "registration_id\n" + long + "x", []string{"line 2: is longer than 262144 bytes"}},
		"JSON": {Auto, "\n" + `{"registration_id":"a","tags":["x;y","z"],"mobile":138,"alias":null}` + "\n" + `{"registration_id":"b","tags":"x;y","platform":"hmos"}`,
			[]string{"2: a   x;y|z 138", "3: b hmos  x|y "}},
		"JSON that is wrong": {JSONL, "x\n{}\n[]\nnull\n{\"registration_id\":1}\n{\"registration_id\":\"a\",\"alais\":\"u\"}\n{\"registration_id\":\"a\",\"tags\":{}}",
			[]string{"line 1: is not a JSON object", "line 2: there is no registration_id", "line 3: is not a JSON object", "line 4: is not a JSON object",
				"line 5: registration_id is neither a text nor null", `line 6: "alais" is none of registration_id, platform, alias, tags, mobile`, "line 7: tags is neither a text nor null"}},
		"nothing":           {Auto, "", []string{"the file is empty: a header row with registration_id is needed"}},
		"no header":         {Auto, "\n1507bfd3f7c466c355c,ios\n", []string{`line 2: the header row: "1507bfd3f7c466c355c" is none of registration_id, platform, alias, tags, mobile`}},
		"no id":             {CSV, "alias,tags\n", []string{"line 1: the header row has no registration_id"}},
		"a column twice":    {CSV, "registration_id,alias,alias\n", []string{"line 1: the header row has alias twice"}},
		"a header too long": {CSV, long + "x", []string{"line 1: is longer than 262144 bytes"}},
	} {
		if got := read(t, c.text, c.format); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add("registration_id,tags\na,b;c\n", false)
	f.Add(`{"registration_id":"a"}`, true)
	f.Fuzz(func(t *testing.T, text string, json bool) {
		format := CSV
		if json {
			format = JSONL
		}
		r, err := NewReader(strings.NewReader(text), format)
		if err != nil {
			return
		}
		for last := 0; ; {
			d, line, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if line <= last || err == nil && d.RegistrationID == "" {
				t.Fatalf("line %d after %d: %+v, %v", line, last, d, err)
			}
			last = line
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := "registration_id,platform,alias,tags,mobile\n" + strings.Repeat("1507bfd3f7c466c355c,android,user1,vip;beta,13800000000\n", 10000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r, err := NewReader(strings.NewReader(text), Auto)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
