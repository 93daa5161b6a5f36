package image

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

// Unmodified forms of real clients, around a real picture.
func TestFormsOfRealClients(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		png := pngOf(t, 40)
		for name, c := range map[string]struct{ kind, before, after string }{
			"curl": {"multipart/form-data; boundary=------------------------6fd6ff237027ae34",
				"--------------------------6fd6ff237027ae34\r\nContent-Disposition: form-data; name=\"image_type\"\r\n\r\n2\r\n--------------------------6fd6ff237027ae34\r\n" +
					"Content-Disposition: form-data; name=\"oppo_file\"; filename=\"i.png\"\r\nContent-Type: image/png\r\n\r\n", "\r\n--------------------------6fd6ff237027ae34--\r\n"},
			"Python requests": {"multipart/form-data; boundary=9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11",
				"--9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11\r\nContent-Disposition: form-data; name=\"image_type\"\r\n\r\n2\r\n--9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11\r\n" +
					"Content-Disposition: form-data; name=\"oppo_file\"; filename=\"i.png\"\r\n\r\n", "\r\n--9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11--\r\n"},
			"jiguang-sdk-go": {"multipart/form-data; boundary=f2bb9de4b63cc50c0b9dd8fe1dbf1a6fcf2d5b8db0e4f6ad0a1a4a5a6b1c",
				"--f2bb9de4b63cc50c0b9dd8fe1dbf1a6fcf2d5b8db0e4f6ad0a1a4a5a6b1c\r\nContent-Disposition: form-data; name=\"image_type\"\r\n\r\n2\r\n" +
					"--f2bb9de4b63cc50c0b9dd8fe1dbf1a6fcf2d5b8db0e4f6ad0a1a4a5a6b1c\r\nContent-Disposition: form-data; name=\"oppo_file\"; filename=\"i.png\"\r\n" +
					"Content-Type: application/octet-stream\r\n\r\n", ""},
			"jpush-client for Java": {"multipart/form-data; boundary=---------------------------1800000000123",
				"\r\n-----------------------------1800000000123\r\nContent-Disposition: form-data; name=\"image_type\"\r\n\r\n2\r\n-----------------------------1800000000123\r\n" +
					"Content-Disposition: form-data; name=\"oppo_file\"; filename=\"i.png\"\r\nContent-Type:image/png\r\n\r\n", "\r\n-----------------------------1800000000123--\r\n"},
		} {
			mediaID, got := r.members(r.call("app", "POST", "/v3/images/byfiles", c.kind, strings.NewReader(c.before+png+c.after)))
			if w := r.get(got["oppo_image_url"]); len(got) != 1 || w.Body.String() != png {
				t.Errorf("%s: %v, %d bytes of %d", name, got, w.Body.Len(), len(png))
			}
			same, got := r.members(r.call("app", "PUT", "/v3/images/byfiles/"+mediaID, c.kind, strings.NewReader(c.before+png+c.after)))
			if w := r.get(got["oppo_image_url"]); same != mediaID || w.Body.String() != png {
				t.Errorf("%s, change: %v, %d bytes of %d", name, got, w.Body.Len(), len(png))
			}
		}
	})
}

func TestEveryErrorOfURLsLeavesNothing(t *testing.T) {
	t.Parallel()
	const ok = `"image_url":"https://a.example/1"`
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mediaID, _ := r.members(r.json("POST", "", `{"image_type":1,"image_url":"https://a.example/1"}`))
		before := r.rows()
		check := func(name, method, path, body string, code int) {
			t.Helper()
			if a := r.json(method, path, body); a.status != 400 || a.code() != code {
				t.Errorf("%s: %d %s, want %d", name, a.status, a.body, code)
			}
			if after := r.rows(); after != before {
				t.Errorf("%s: rows %v, want %v", name, after, before)
			}
		}
		for name, c := range map[string]struct {
			body string
			code int
		}{
			"no body":             {"", 1002},
			"null":                {"null", 1002},
			"no type":             {`{` + ok + `}`, 1002},
			"null as type":        {`{"image_type":null,` + ok + `}`, 1002},
			"no address":          {`{"image_type":1}`, 1002},
			"empty addresses":     {`{"image_type":1,"image_url":"","fcm_image_url":" "}`, 1002},
			"type 0":              {`{"image_type":0,` + ok + `}`, 1003},
			"type 4":              {`{"image_type":4,` + ok + `}`, 1003},
			"type in words":       {`{"image_type":"big",` + ok + `}`, 1003},
			"a list as type":      {`{"image_type":[1],` + ok + `}`, 1003},
			"a fraction as type":  {`{"image_type":1.5,` + ok + `}`, 1003},
			"a number as address": {`{"image_type":1,"image_url":5}`, 1003},
			"a list as address":   {`{"image_type":1,"oppo_image_url":["https://a.example/1"]}`, 1003},
			"another scheme":      {`{"image_type":1,"image_url":"ftp://a.example/1"}`, 1003},
			"a script":            {`{"image_type":1,"jiguang_image_url":"javascript:alert(1)"}`, 1003},
			"no host":             {`{"image_type":1,"image_url":"https:///1"}`, 1003},
			"a zero byte":         {`{"image_type":1,"image_url":"https://a.example/\u0000"}`, 1003},
			"a long address":      {`{"image_type":1,"image_url":"https://a.example/` + strings.Repeat("y", maxURLBytes) + `"}`, 1003},
			"an array":            {`[1]`, 1003},
			"a string":            {`"x"`, 1003},
			"broken JSON":         {`{"image_type":1,`, 1003},
			"broken UTF-8":        {"{\"image_type\":1,\"image_url\":\"\xff\"}", 1003},
			"a large body":        {`{"image_type":1,` + ok + `,"x":"` + strings.Repeat("y", maxBody) + `"}`, 1005},
		} {
			check(name, "POST", "", c.body, c.code)
		}
		for name, c := range map[string]struct {
			path, body string
			code       int
		}{
			"no body":                 {mediaID, "", 1002},
			"no vendor":               {mediaID, `{` + ok + `,"image_type":1}`, 1002},
			"another scheme":          {mediaID, `{"fcm_image_url":"file:///etc/passwd"}`, 1003},
			"a large body":            {mediaID, `{"x":"` + strings.Repeat("y", maxBody) + `"}`, 1005},
			"an unknown id":           {"jgmedia-1-0192f6a0-c2b1-7000-8000-000000000000", `{"fcm_image_url":"x"}`, 1003},
			"something that is no id": {"x", `{"fcm_image_url":"x"}`, 1003},
			"a zero byte":             {"%00", `{"fcm_image_url":"x"}`, 1003},
			"broken UTF-8 as id":      {"%ff", `{"fcm_image_url":"x"}`, 1003},
		} {
			check("change, "+name, "PUT", "/"+c.path, c.body, c.code)
		}
		r.wantURL(1, mediaID, "fcm", "https://a.example/1")
	})
}

func TestEveryErrorOfFilesLeavesNothing(t *testing.T) {
	t.Parallel()
	const x = "multipart/form-data; boundary=X"
	part := func(disposition, content string) string {
		return "--X\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n"
	}
	png := pngOf(t, 300) // more than one chunk
	kind := part("name=image_type", "2")
	oppo := func(content string) string { return part("name=oppo_file; filename=i.png", content) }
	noise := strings.Repeat("\x01", MaxFileBytes)
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mediaID, got := r.members(r.form("POST", "", field{"image_type", "2"}, field{"oppo_file", pngOf(t, 10)}))
		url := got["oppo_image_url"]
		before := r.rows()
		for name, c := range map[string]struct {
			kind string
			body string
			code int
			post bool // an error only where image_type counts
		}{
			"JSON":                     {"application/json", `{"image_type":1}`, 1003, false},
			"no body":                  {x, "", 1003, false},
			"no type":                  {x, oppo(png) + "--X--", 1002, true},
			"an empty type":            {x, oppo(png) + part("name=image_type", "") + "--X--", 1002, true},
			"type 0":                   {x, oppo(png) + part("name=image_type", "0") + "--X--", 1003, true},
			"type in words":            {x, oppo(png) + part("name=image_type", "big") + "--X--", 1003, true},
			"no file":                  {x, kind + "--X--", 1002, false},
			"another vendor's file":    {x, kind + part("name=huawei_file; filename=i.png", png) + "--X--", 1002, false},
			"two types":                {x, kind + oppo(png) + kind + "--X--", 1003, false},
			"a long type":              {x, oppo(png) + part("name=image_type", strings.Repeat("1", 50)) + "--X--", 1003, false},
			"a file twice":             {x, kind + oppo(png) + oppo(png) + "--X--", 1003, false},
			"an empty file":            {x, kind + oppo("") + "--X--", 1003, false},
			"no picture":               {x, kind + oppo("<html><script>") + "--X--", 1003, false},
			"the beginning of one":     {x, kind + oppo(png[:20]) + "--X--", 1003, false},
			"GIF":                      {x, kind + oppo(gifOf(t, 10)) + "--X--", 1003, false},
			"SVG":                      {x, kind + oppo(`<svg xmlns="http://www.w3.org/2000/svg"/>`) + "--X--", 1003, false},
			"one good, one bad":        {x, kind + oppo(png) + part("name=xiaomi_file; filename=i.png", "x") + "--X--", 1003, false},
			"a large picture":          {x, kind + oppo(png+noise) + "--X--", 1005, false},
			"one good, one large":      {x, kind + oppo(png) + part("name=xiaomi_file; filename=i.png", png+noise) + "--X--", 1005, false},
			"something large":          {x, kind + oppo(png) + part("name=x", noise+"x") + "--X--", 1005, false},
			"a large header":           {x, kind + oppo("\xff\xd8"+strings.Repeat("\xff\xe1\xff\xff"+strings.Repeat("y", 65533), 20)) + "--X--", 1005, false},
			"a body that is too large": {x, kind + oppo(png) + "--X--" + strings.Repeat(noise, 4), 1005, false},
			"too many parts":           {x, kind + oppo(png) + strings.Repeat(part("name=x", ""), maxParts) + "--X--", 1003, false},
			"a malformed part":         {x, kind + oppo(png) + "--X\r\nnonsense\r\n\r\n--X--", 1003, false},
		} {
			calls := []string{"POST /v3/images/byfiles"}
			if !c.post {
				calls = append(calls, "PUT /v3/images/byfiles/"+mediaID)
			}
			for _, call := range calls {
				method, path, _ := strings.Cut(call, " ")
				if a := r.call("app", method, path, c.kind, strings.NewReader(c.body)); a.status != 400 || a.code() != c.code {
					t.Errorf("%s, %s: %d %s, want %d", method, name, a.status, a.body, c.code)
				}
				if after := r.rows(); after != before {
					t.Fatalf("%s, %s: rows %v, want %v", method, name, after, before)
				}
			}
		}
		for _, id := range []string{"jgmedia-1-0192f6a0-c2b1-7000-8000-000000000000", "x", "%00", "%ff"} {
			if a := r.call("app", "PUT", "/v3/images/byfiles/"+id, x, strings.NewReader(oppo(png)+"--X--")); a.status != 400 || a.code() != 1003 {
				t.Errorf("id %s: %+v", id, a)
			}
		}
		a := r.call("app", "POST", "/v3/images/byfiles", x, io.MultiReader(strings.NewReader(kind+oppo(png)), iotest.ErrReader(io.ErrUnexpectedEOF)))
		if a.status != 400 || a.code() != 1003 {
			t.Errorf("a connection that broke: %+v", a)
		}
		if after := r.rows(); after != before {
			t.Errorf("rows %v, want %v", after, before)
		}
		if w := r.get(url); w.Code != 200 {
			t.Errorf("the picture from before: %d", w.Code)
		}
	})
}

// An image that expires, or an app that is full, while its upload is being read.
func TestWhatIsRefusedAtTheEndLeavesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		mediaID, _ := r.members(r.form("POST", "", field{"image_type", "2"}, field{"oppo_file", pngOf(t, 10)}))
		before := r.rows()
		const x = "multipart/form-data; boundary=X"
		body := "--X\r\nContent-Disposition: form-data; name=image_type\r\n\r\n2\r\n--X\r\nContent-Disposition: form-data; name=oppo_file; filename=i.png\r\n\r\n" + pngOf(t, 300) + "\r\n--X--"
		late := func(act func()) io.Reader {
			return io.MultiReader(strings.NewReader(body), readerFunc(func([]byte) (int, error) { act(); return 0, io.EOF }))
		}
		if a := r.call("app", "POST", "/v3/images/byfiles", x, late(func() { r.MaxLive = 1 })); a.code() != 2005 {
			t.Errorf("%+v", a)
		}
		if after := r.rows(); after != before {
			t.Errorf("rows %v, want %v", after, before)
		}
		if a := r.call("app", "PUT", "/v3/images/byfiles/"+mediaID, x, late(func() { r.fake.Advance(Lifetime) })); a.code() != 1003 {
			t.Errorf("%+v", a)
		}
		if after := r.rows(); after != before {
			t.Errorf("rows %v, want %v", after, before)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func FuzzSniff(f *testing.F) {
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Add([]byte("\xff\xd8\xff\xe0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, err := sniff(strings.NewReader(string(data)), "oppo_file")
		var e *compat.Error
		if err == nil && kind != "image/png" && kind != "image/jpeg" || err != nil && (!errors.As(err, &e) || e.Code != 1003) {
			t.Errorf("%q, %v", kind, err)
		}
	})
}

// Whatever is in the body, it is refused with a known code or gives addresses that both engines store.
func FuzzURLs(f *testing.F) {
	for _, s := range []string{`{"image_type":1,"image_url":"https://a.example/1"}`, `{"image_type":"2","huawei_image_url":"/raw/x"}`, `[]`, `null`, `{"image_type":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		u, err := readURLs(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		var k kind
		if err == nil {
			k, err = parseKind(u.imageType)
		}
		if err != nil {
			var e *compat.Error
			if !errors.As(err, &e) || e.HTTP != 400 || e.Code < 1002 || e.Code > 1005 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		pictures, _ := u.assign(k)
		for _, p := range pictures {
			if p.url == "" || len(p.url) > maxURLBytes || !utf8.ValidString(p.url) || strings.ContainsRune(p.url, 0) {
				t.Errorf("%q: %q", body, p.url)
			}
		}
	})
}
