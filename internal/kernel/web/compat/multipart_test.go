package compat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// plenty are limits that no test meets by accident.
var plenty = MultipartLimits{Body: 1 << 20, Part: 1 << 20, Parts: 100}

type gotPart struct{ name, file, kind, content string }

func (p gotPart) String() string {
	return fmt.Sprintf("%s|%s|%s|%.200q", p.name, p.file, p.kind, p.content)
}

// readForm reads a body with the given content type to the end.
func readForm(kind string, body io.Reader, limits MultipartLimits) (parts []gotPart, err error) {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.Header.Set("Content-Type", kind)
	err = Multipart(r, limits, func(p *Part) error {
		content, err := io.ReadAll(p)
		parts = append(parts, gotPart{p.Name, p.FileName, p.ContentType, string(content)})
		return err
	})
	return parts, err
}

const formX = "multipart/form-data; boundary=X"

func TestMultipartAsClientsSendIt(t *testing.T) {
	t.Parallel()
	ttl, file := gotPart{name: "ttl", content: "24"}, gotPart{"filename", "users.txt", "text/plain", "u1\r\nu2\r\n"}
	for name, c := range map[string]struct {
		kind, body string
		want       []gotPart
	}{
		"as it should be": {formX, "--X\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--X\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\n" +
			"Content-Type: text/plain\r\n\r\nu1\r\nu2\r\n\r\n--X--\r\n", []gotPart{ttl, file}},
		"curl": {"multipart/form-data; boundary=------------------------6fd6ff237027ae34",
			"--------------------------6fd6ff237027ae34\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\nContent-Type: text/plain\r\n\r\nu1\r\nu2\r\n\r\n" +
				"--------------------------6fd6ff237027ae34\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--------------------------6fd6ff237027ae34--\r\n", []gotPart{file, ttl}},
		"Python requests": {"multipart/form-data; boundary=4b9f4e2b6bd24c1e9d0a",
			"--4b9f4e2b6bd24c1e9d0a\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--4b9f4e2b6bd24c1e9d0a\r\n" +
				"Content-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\n\r\nu1\r\nu2\r\n\r\n--4b9f4e2b6bd24c1e9d0a--\r\n",
			[]gotPart{ttl, {"filename", "users.txt", "", "u1\r\nu2\r\n"}}},
		"older Python requests, a name in Chinese": {formX,
			"--X\r\nContent-Disposition: form-data; name=\"filename\"; filename*=utf-8''%E7%94%A8%E6%88%B7.txt\r\n\r\nu\r\n--X--\r\n", []gotPart{{"filename", "用户.txt", "", "u"}}},
		"jiguang-sdk-go: the body ends after the last part": {"multipart/form-data; boundary=b70f5a",
			"--b70f5a\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--b70f5a\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\n" +
				"Content-Type: application/octet-stream\r\n\r\nu1\r\nu2", []gotPart{ttl, {"filename", "users.txt", "application/octet-stream", "u1\r\nu2"}}},
		"jiguang-sdk-go: the same with an empty last line": {formX, "--X\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"a.txt\"\r\n\r\nu1\r\n", []gotPart{{"filename", "a.txt", "", "u1\r\n"}}},
		"jpush-client for Java: a line end comes first": {"multipart/form-data; boundary=---------------------------1700000000000",
			"\r\n-----------------------------1700000000000\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24" +
				"\r\n-----------------------------1700000000000\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\nContent-Type:text/plain\r\n\r\nu1\r\nu2\r\n" +
				"\r\n-----------------------------1700000000000--\r\n", []gotPart{ttl, file}},
		"jpush-client for Java: a quote in the file's name":     {formX, "\r\n--X\r\nContent-Disposition: form-data; name=\"a\"; filename=\"my \"best\" users.txt\"\r\n\r\nu\r\n--X--\r\n", []gotPart{{"a", `my "best" users.txt`, "", "u"}}},
		"jpush-client for Java: a file's name that is no UTF-8": {formX, "\r\n--X\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\xd3\xc3.txt\"\r\n\r\nu\r\n--X--\r\n", []gotPart{{"a", "\uFFFD.txt", "", "u"}}},
		"jiguang-sdk for Java":                                  {"multipart/form-data; charset=UTF-8; boundary=18c", "--18c\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n1\r\n--18c--\r\n", []gotPart{{"a", "", "text/plain; charset=UTF-8", "1"}}},
		"a broken parameter":                                    {"multipart/form-data; charset:utf-8; boundary=X", "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--X--", []gotPart{{name: "a", content: "1"}}},
		"the boundary is quoted":                                {`Multipart/Form-Data; Boundary="a b:c"`, "--a b:c\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--a b:c--", []gotPart{{name: "a", content: "1"}}},
		"and should be":                                         {`multipart/form-data; boundary=a/b:c=d`, "--a/b:c=d\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--a/b:c=d--", []gotPart{{name: "a", content: "1"}}},
		"lines end with LF":                                     {formX, "--X\nContent-Disposition: form-data; name=\"ttl\"\n\n24\n--X\nContent-Disposition: form-data; name=b\n\n1\r\n\n--X--\n", []gotPart{ttl, {name: "b", content: "1\r\n"}}},
		"LF, and the body ends":                                 {formX, "--X\nContent-Disposition: form-data; name=\"ttl\"\n\n24", []gotPart{ttl}},
		"blanks behind the boundary":                            {formX, "--X \t\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--X-- \r\n", []gotPart{ttl}},
		"names in any case, a folded line":                      {formX, "--X\r\nCONTENT-TYPE: text/plain\r\ncontent-disposition:form-data;\r\n\tNAME=\"a\";\r\n FileName=b.txt\r\n\r\n1\r\n--X--", []gotPart{{"a", "b.txt", "text/plain", "1"}}},
		"a preamble and an epilogue":                            {formX, "This is a message\r\n--XY\r\nin parts\n--X\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--X--\r\n--X\r\nmore", []gotPart{ttl}},
		"a long preamble":                                       {formX, strings.Repeat("y", 100_000) + "\r\n--X\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--X--\r\n", []gotPart{ttl}},
		"folders of two systems":                                {formX, "--X\r\nContent-Disposition: form-data; name=a; filename=\"C:\\fake/path\\b.txt\"\r\n\r\n1\r\n--X--", []gotPart{{"a", "b.txt", "", "1"}}},
		"escaped quotes":                                        {formX, "--X\r\nContent-Disposition: form-data; name=\"a\\\"b\"; filename=\"c;\\\\d\\\"; e.txt\"\r\n\r\n1\r\n--X--", []gotPart{{`a"b`, `d"; e.txt`, "", "1"}}},
		"a part without a header":                               {formX, "--X\r\n\r\n1\r\n--X--", []gotPart{{content: "1"}}},
		"empty parts":                                           {formX, "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--X\r\nContent-Disposition: form-data; name=b\r\n\r\n--X--", []gotPart{{name: "a"}, {name: "b"}}},
		"no parts":                                              {formX, "--X--\r\n", nil},
		"the body ends after a boundary":                        {formX, "--X\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--X", []gotPart{ttl}},
		"the body ends in the closing one":                      {formX, "--X\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--X-", []gotPart{ttl}},
		"the body ends after a boundary's line":                 {formX, "--X\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n24\r\n--X\r\n", []gotPart{ttl}},
		"what looks like a boundary":                            {formX, "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n--Xy\r\n--X-y\r\n--\r\n--\n--X--\r--X--\r\n --X\r\n--X--", []gotPart{{name: "a", content: "--Xy\r\n--X-y\r\n--\r\n--\n--X--\r--X--\r\n --X"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, body := range map[string]io.Reader{
				"whole": strings.NewReader(c.body), "byte by byte": iotest.OneByteReader(strings.NewReader(c.body)), "with its end": iotest.DataErrReader(strings.NewReader(c.body)),
			} {
				got, err := readForm(c.kind, body, plenty)
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%s:\ngot  %v, %v\nwant %v", how, got, err, c.want)
				}
			}
		})
	}
}

func TestMultipartIsRefused(t *testing.T) {
	t.Parallel()
	const part = "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n0123456789\r\n"
	small := MultipartLimits{Body: 100, Part: 10, Parts: 2}
	for name, c := range map[string]struct {
		kind   string
		body   io.Reader
		limits MultipartLimits
		code   int
	}{
		"another content type":             {"application/json", strings.NewReader("{}"), plenty, 1003},
		"no content type":                  {"", strings.NewReader(part), plenty, 1003},
		"another multipart type":           {"multipart/mixed; boundary=X", strings.NewReader(part), plenty, 1003},
		"no boundary":                      {"multipart/form-data", strings.NewReader(part), plenty, 1003},
		"an empty boundary":                {`multipart/form-data; boundary=""`, strings.NewReader(part), plenty, 1003},
		"a long boundary":                  {"multipart/form-data; boundary=" + strings.Repeat("x", 257), strings.NewReader(part), plenty, 1003},
		"an empty body":                    {formX, strings.NewReader(""), plenty, 1003},
		"a body without the boundary":      {formX, strings.NewReader("--Y\r\n\r\n--Y--"), plenty, 1003},
		"JSON":                             {formX, strings.NewReader(`{"ttl":24}`), plenty, 1003},
		"a body that ends in a header":     {formX, strings.NewReader("--X\r\nContent-Disposition: form-data; na"), plenty, 1003},
		"a body that ends before a part":   {formX, strings.NewReader("--X\r\nContent-Disposition: form-data; name=a\r\n"), plenty, 1003},
		"a line without a colon":           {formX, strings.NewReader("--X\r\nContent-Disposition\r\n\r\n--X--"), plenty, 1003},
		"something behind a boundary":      {formX, strings.NewReader("--X y\r\n\r\n--X--"), plenty, 1003},
		"a long line behind a boundary":    {formX, strings.NewReader("--X " + strings.Repeat(" ", 20_000) + "\r\n\r\n--X--"), plenty, 1003},
		"a large header of one line":       {formX, strings.NewReader("--X\r\nA: " + strings.Repeat("y", maxPartHeader) + "\r\n\r\n--X--"), plenty, 1003},
		"a header without an end":          {formX, strings.NewReader("--X\r\nA: " + strings.Repeat("y", 100_000)), plenty, 1003},
		"a large header of many lines":     {formX, strings.NewReader("--X\r\n" + strings.Repeat("A: b\r\n", 2000) + "\r\n--X--"), plenty, 1003},
		"too many parts":                   {formX, strings.NewReader(strings.Repeat("--X\r\n\r\n\r\n", 3) + "--X--"), small, 1003},
		"a large part":                     {formX, strings.NewReader(strings.Replace(part, "9", "9X", 1) + "--X--"), small, 1005},
		"a large last part":                {formX, strings.NewReader(strings.Replace(part, "9", "9X", 1)), small, 1005},
		"a large body":                     {formX, strings.NewReader(part + "--X--" + strings.Repeat(" ", 100)), MultipartLimits{Body: 50, Part: 10, Parts: 2}, 1005},
		"a large preamble":                 {formX, strings.NewReader(strings.Repeat("y\r\n", 50) + part), small, 1005},
		"a body beyond the server's limit": {formX, io.MultiReader(strings.NewReader(part), iotest.ErrReader(&http.MaxBytesError{Limit: 5})), plenty, 1005},
		"a body that was cut":              {formX, io.MultiReader(strings.NewReader(part), iotest.ErrReader(io.ErrUnexpectedEOF)), plenty, 1003},
		"a body that was cut in a header":  {formX, io.MultiReader(strings.NewReader("--X\r\nA: b"), iotest.ErrReader(io.ErrUnexpectedEOF)), plenty, 1003},
		"a body that was cut in a line":    {formX, io.MultiReader(strings.NewReader("--X "), iotest.ErrReader(io.ErrUnexpectedEOF)), plenty, 1003},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readForm(c.kind, c.body, c.limits)
			var e *Error
			if !errors.As(err, &e) || e.Code != c.code || e.HTTP != 400 {
				t.Errorf("%v, want code %d", err, c.code)
			}
		})
	}
	// Exactly the limits is allowed.
	body := part + part + "--X--"
	if got, err := readForm(formX, strings.NewReader(body), MultipartLimits{Body: int64(len(body)), Part: 10, Parts: 2}); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// A limit also holds for what the callback does not read.
func TestMultipartSkipsWhatIsNotRead(t *testing.T) {
	t.Parallel()
	body := "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n" + strings.Repeat("y", 50_000) + "\r\n--X\r\nContent-Disposition: form-data; name=b\r\n\r\n1\r\n--X--\r\nepilogue"
	in := strings.NewReader(body)
	r := httptest.NewRequest(http.MethodPost, "/", in)
	r.Header.Set("Content-Type", formX)
	var names []string
	each := func(p *Part) error { names = append(names, p.Name); return nil }
	if err := Multipart(r, plenty, each); err != nil || !slices.Equal(names, []string{"a", "b"}) || in.Len() > 0 {
		t.Errorf("%v, %v, %d bytes left", names, err, in.Len())
	}
	in.Reset(body)
	var e *Error
	if err := Multipart(r, MultipartLimits{Body: 1 << 20, Part: 49_999, Parts: 2}, each); !errors.As(err, &e) || e.Code != 1005 {
		t.Errorf("a part beyond its limit: %v", err)
	}
	// The callback's error comes back as it is, and the client can send the rest.
	in.Reset(body)
	mine := errors.New("mine")
	if err := Multipart(r, plenty, func(*Part) error { return mine }); err != mine || in.Len() > 0 { //nolint:errorlint // as it is
		t.Errorf("%v, %d bytes left", err, in.Len())
	}
	// An endless body ends the reading at the limit.
	endless := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(body[:100]), zeros{}))
	endless.Header.Set("Content-Type", formX)
	if err := Multipart(endless, plenty, func(*Part) error { return mine }); err != mine { //nolint:errorlint // as it is
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTextOfAPart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ content, want string }{{"24", "24"}, {" 24\r\n", "24"}, {"", ""}, {"12345", "12345"}, {"123456", "error"}} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("--X\r\nContent-Disposition: form-data; name=ttl\r\n\r\n"+c.content+"\r\n--X--"))
		r.Header.Set("Content-Type", formX)
		got := ""
		err := Multipart(r, plenty, func(p *Part) (err error) { got, err = p.Text(5); return err })
		var e *Error
		if errors.As(err, &e) && e.Code == 1003 {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%q: %q, %v", c.content, got, err)
		}
	}
}

// What mime/multipart writes is read alike by mime/multipart and by us, also without the closing delimiter, behind a
// preamble, and with lines that end in LF.
func TestMultipartReadsWhatMimeMultipartReads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		boundary := rapid.StringMatching(`[a-zA-Z0-9_+\-]{1,40}`).Draw(t, "boundary")
		// Content that is likely to be mistaken: pieces of delimiters, line ends, dashes, and long runs.
		piece := rapid.OneOf(
			rapid.SampledFrom([]string{"\r", "\n", "\r\n", "-", "--", "\r\n-", "\r\n--", "\r\n--" + boundary[:len(boundary)-1], "\n--" + boundary + "x", " ", "\x00", "用户"}),
			rapid.String(),
			rapid.Map(rapid.IntRange(1, 40_000), func(n int) string { return strings.Repeat("y", n) }),
		)
		content := rapid.Map(rapid.SliceOfN(piece, 0, 6), func(s []string) string { return strings.Join(s, "") })
		name := rapid.StringMatching(`[a-zA-Z_;= "\\用户]{1,20}`)
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		if w.SetBoundary(boundary) != nil {
			t.Skip("not a boundary")
		}
		for range rapid.IntRange(1, 5).Draw(t, "parts") {
			c := content.Draw(t, "content")
			if strings.Contains("\n"+c, "\n--"+boundary) || strings.HasPrefix(c, "--"+boundary) {
				continue // the content would really be a delimiter in one of the forms below
			}
			h := textproto.MIMEHeader{}
			disposition := fmt.Sprintf(`form-data; name="%s"`, escape(name.Draw(t, "name")))
			if rapid.Bool().Draw(t, "is a file") {
				disposition += fmt.Sprintf(`; filename="%s"`, escape(strings.ReplaceAll(name.Draw(t, "file"), `\`, "")))
				h.Set("Content-Type", "text/plain")
			}
			h.Set("Content-Disposition", disposition)
			part, _ := w.CreatePart(h)
			_, _ = io.WriteString(part, c)
		}
		open := bytes.Clone(body.Bytes())
		_ = w.Close()
		kind := w.FormDataContentType()
		want := reference(t, boundary, body.Bytes())
		check := func(what string, body []byte, want []gotPart) {
			t.Helper()
			in := io.Reader(bytes.NewReader(body))
			if rapid.Bool().Draw(t, "halves") {
				in = iotest.HalfReader(in)
			}
			got, err := readForm(kind, in, plenty)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q\ngot  %v, %v\nwant %v", what, body, got, err, want)
			}
		}
		check("as written", body.Bytes(), want)
		check("behind a preamble", append([]byte("\r\n-\r\n--\r\n"), body.Bytes()...), want)
		if len(want) > 0 {
			check("without the closing delimiter", open, want)
		}
		lf := bytes.ReplaceAll(body.Bytes(), []byte("\r\n"), []byte("\n"))
		check("with LF", lf, reference(t, boundary, lf))
	})
}

func escape(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

// reference is what mime/multipart reads.
func reference(t *rapid.T, boundary string, body []byte) (parts []gotPart) {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatalf("mime/multipart: %v in %q", err, body)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, gotPart{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), string(content)})
	}
}

func FuzzMultipart(f *testing.F) {
	f.Add(formX, []byte("--X\r\nContent-Disposition: form-data; name=\"a\"; filename*=utf-8''%41\r\n\r\n1\r\n--X--"))
	f.Add(formX, []byte("\r\n--X\nA:b\n c\n\n--X\n\n--X-\n--X"))
	f.Add(`multipart/form-data; x; boundary="a\"b`, []byte("--a\"b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		limits := MultipartLimits{Body: 30_000, Part: 20_000, Parts: 5}
		got, err := readForm(kind, bytes.NewReader(body), limits)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code != 1003 && e.Code != 1005 {
				t.Fatalf("error %v", err)
			}
		}
		again, err2 := readForm(kind, iotest.OneByteReader(bytes.NewReader(body)), limits)
		if fmt.Sprint(err) != fmt.Sprint(err2) || err == nil && !slices.Equal(got, again) {
			t.Errorf("byte by byte: %v, %v; whole: %v, %v", again, err2, got, err)
		}
		total := 0
		for _, p := range got {
			total += len(p.content)
			if len(p.content) > 20_000 {
				t.Errorf("a part of %d bytes", len(p.content))
			}
		}
		if total > len(body) || len(got) > 5 {
			t.Errorf("%d parts with %d bytes in a body of %d", len(got), total, len(body))
		}
	})
}

func BenchmarkMultipart(b *testing.B) {
	body := "--X\r\nContent-Disposition: form-data; name=a; filename=a.txt\r\n\r\n" + strings.Repeat("1507bfd3f7c466c355c\r\n", 500_000) + "--X--\r\n"
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", formX)
		if err := Multipart(r, MultipartLimits{Body: 20 << 20, Part: 20 << 20, Parts: 1}, func(p *Part) error { _, err := io.Copy(io.Discard, p); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
