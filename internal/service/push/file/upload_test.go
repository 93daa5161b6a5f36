package file

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// Unmodified bytes of real clients.
func TestFormsOfRealClients(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		for name, c := range map[string]struct{ kind, body string }{
			"curl": {"multipart/form-data; boundary=------------------------6fd6ff237027ae34",
				"--------------------------6fd6ff237027ae34\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\nContent-Type: text/plain\r\n\r\nu1\nu2\n\r\n" +
					"--------------------------6fd6ff237027ae34\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n720\r\n--------------------------6fd6ff237027ae34--\r\n"},
			"Python requests": {"multipart/form-data; boundary=9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11",
				"--9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n720\r\n--9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11\r\n" +
					"Content-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\n\r\nu1\nu2\n\r\n--9ad5c6bb1b9a4c4e9f6a3d0e0a5f7c11--\r\n"},
			"jiguang-sdk-go": {"multipart/form-data; boundary=f2bb9de4b63cc50c0b9dd8fe1dbf1a6fcf2d5b8db0e4f6ad0a1a4a5a6b1c",
				"--f2bb9de4b63cc50c0b9dd8fe1dbf1a6fcf2d5b8db0e4f6ad0a1a4a5a6b1c\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n720\r\n" +
					"--f2bb9de4b63cc50c0b9dd8fe1dbf1a6fcf2d5b8db0e4f6ad0a1a4a5a6b1c\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\n" +
					"Content-Type: application/octet-stream\r\n\r\nu1\nu2\n"},
			"jpush-client for Java": {"multipart/form-data; boundary=---------------------------1800000000123",
				"\r\n-----------------------------1800000000123\r\nContent-Disposition: form-data; name=\"ttl\"\r\n\r\n720\r\n-----------------------------1800000000123\r\n" +
					"Content-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\nContent-Type:text/plain\r\n\r\nu1\nu2\n\r\n-----------------------------1800000000123--\r\n"},
			"jiguang-sdk for Java": {"multipart/form-data; charset=UTF-8; boundary=192f6a0c2b1",
				"--192f6a0c2b1\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"users.txt\"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nu1\nu2\n\r\n" +
					"--192f6a0c2b1\r\nContent-Disposition: form-data; name=\"ttl\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n720\r\n--192f6a0c2b1--\r\n"},
		} {
			id := r.idOf(r.call(asApp, "POST", "/v3/files/alias", c.kind, strings.NewReader(c.body)))
			want := answer{200, `{"type":"alias","file_id":"` + id + `","file_name":"users.txt","create_time":"2027-02-28 10:00:00","expire_time":"2027-03-30 10:00:00"}`}
			if a := r.call(asApp, "GET", "/v3/files/"+id, "", nil); a != want {
				t.Errorf("%s: %+v", name, a)
			}
			if _, got, err := r.lines(Owner{App: 1}, id); err != nil || !slices.Equal(got, []string{"u1", "u2"}) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	})
}

func TestEveryErrorLeavesNothing(t *testing.T) {
	t.Parallel()
	const x = "multipart/form-data; boundary=X"
	part := func(disposition, content string) string {
		return "--X\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n"
	}
	good := part(`name="filename"; filename="u.txt"`, "u1")
	big := strings.Repeat(strings.Repeat("y", 199)+"\n", 3000) // more than one chunk
	named := func(name string) io.Reader {
		return strings.NewReader(part(`name="filename"; filename="`+name+`"`, "u1") + "--X--")
	}
	content := func(s string) io.Reader {
		return strings.NewReader(part(`name="filename"; filename="u.txt"`, s) + "--X--")
	}
	ttl := func(s string) io.Reader { return strings.NewReader(good + part(`name="ttl"`, s) + "--X--") }
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		for name, c := range map[string]struct {
			path, kind   string
			body         io.Reader
			status, code int
		}{
			"another type":                      {"/v3/files/tag", x, content("u1"), 400, 1003},
			"another type in capitals":          {"/v3/files/Alias", x, content("u1"), 400, 1003},
			"no type":                           {"/v3/files", x, content("u1"), 405, 1001},
			"JSON":                              {"/v3/files/alias", "application/json", strings.NewReader(`{"filename":"u.txt"}`), 400, 1003},
			"no body":                           {"/v3/files/alias", x, nil, 400, 1003},
			"no boundary":                       {"/v3/files/alias", "multipart/form-data", content("u1"), 400, 1003},
			"no file":                           {"/v3/files/alias", x, strings.NewReader(part(`name="ttl"`, "24") + "--X--"), 400, 1002},
			"no parts":                          {"/v3/files/alias", x, strings.NewReader("--X--"), 400, 1002},
			"the file under another name":       {"/v3/files/alias", x, strings.NewReader(part(`name="file"; filename="u.txt"`, "u1") + "--X--"), 400, 1002},
			"a field that is no file":           {"/v3/files/alias", x, strings.NewReader(part(`name="filename"`, "u.txt") + "--X--"), 400, 1003},
			"two files":                         {"/v3/files/alias", x, strings.NewReader(strings.Replace(good, "u1", big, 1) + good + "--X--"), 400, 1003},
			"two times to live":                 {"/v3/files/alias", x, strings.NewReader(good + part(`name="ttl"`, "24") + part(`name="ttl"`, "24") + "--X--"), 400, 1003},
			"no text file":                      {"/v3/files/alias", x, named("u.csv"), 400, 1003},
			"a name without an ending":          {"/v3/files/alias", x, named("users"), 400, 1003},
			"a long name":                       {"/v3/files/alias", x, named(strings.Repeat("y", 252) + ".txt"), 400, 1003},
			"a zero byte in the name":           {"/v3/files/alias", x, named("a\x00.txt"), 400, 1003},
			"a time to live of 0":               {"/v3/files/alias", x, ttl("0"), 400, 1003},
			"a time to live of 721":             {"/v3/files/alias", x, ttl("721"), 400, 1003},
			"a negative time to live":           {"/v3/files/alias", x, ttl("-1"), 400, 1003},
			"a time to live in words":           {"/v3/files/alias", x, ttl("a day"), 400, 1003},
			"a broken time to live":             {"/v3/files/alias", x, ttl("1.5"), 400, 1003},
			"an empty time to live":             {"/v3/files/alias", x, ttl(""), 400, 1003},
			"a long time to live":               {"/v3/files/alias", x, ttl(strings.Repeat("1", 100)), 400, 1003},
			"a bad ttl after a large file":      {"/v3/files/alias", x, strings.NewReader(part(`name="filename"; filename="u.txt"`, big) + part(`name="ttl"`, "x") + "--X--"), 400, 1003},
			"an empty file":                     {"/v3/files/alias", x, content(""), 400, 1003},
			"a file of blanks":                  {"/v3/files/alias", x, content("\uFEFF \r\n\t\n\u3000"), 400, 1003},
			"a file that is no UTF-8":           {"/v3/files/alias", x, content(big + "\xff\n"), 400, 1003},
			"UTF-8 that is cut at the end":      {"/v3/files/alias", x, content(big + "\xe7\x94"), 400, 1003},
			"UTF-16":                            {"/v3/files/alias", x, content("\xff\xfeu\x001\x00"), 400, 1003},
			"a long line":                       {"/v3/files/alias", x, content(big + strings.Repeat("y", 256)), 400, 1003},
			"a long line of blanks":             {"/v3/files/alias", x, content(strings.Repeat(" ", 256) + "\nu1"), 400, 1003},
			"too many lines":                    {"/v3/files/alias", x, content(strings.Repeat("u\n", MaxLines+1)), 400, 1003},
			"a large file":                      {"/v3/files/alias", x, content(strings.Repeat("0123456789abcdef\n", MaxBytes/17+1)), 400, 1005},
			"a body that is never done":         {"/v3/files/alias", x, io.LimitReader(io.MultiReader(strings.NewReader("--X\r\n\r\n"), zeros{}), 1<<40), 400, 1005},
			"a file that is never done":         {"/v3/files/alias", x, io.MultiReader(strings.NewReader(strings.TrimSuffix(good, "\r\n")), zeros{}), 400, 1003}, // one line
			"a connection that broke":           {"/v3/files/alias", x, io.MultiReader(strings.NewReader(part(`name="filename"; filename="u.txt"`, big)), iotest.ErrReader(io.ErrUnexpectedEOF)), 400, 1003},
			"too many parts":                    {"/v3/files/alias", x, strings.NewReader(good + strings.Repeat(part("name=a", ""), maxParts) + "--X--"), 400, 1003},
			"a malformed part after a good one": {"/v3/files/alias", x, strings.NewReader(strings.Replace(good, "u1", big, 1) + "--X\r\nnonsense\r\n\r\n--X--"), 400, 1003},
		} {
			a := r.call(asApp, "POST", c.path, c.kind, c.body)
			if a.status != c.status || a.code() != c.code {
				t.Errorf("%s: %d %s, want %d %d", name, a.status, a.body, c.status, c.code)
			}
			r.wantNothing(name)
		}
		for _, method := range []string{"POST", "GET", "DELETE"} {
			a := r.call(asPowerless, method, "/v3/files/alias", x, content("u1"))
			if a.status != 403 || a.code() != 1105 {
				t.Errorf("%s by a developer without permission: %+v", method, a)
			}
		}
		r.wantNothing("a developer without permission")
		for _, id := range []string{"x", "%00", "%ff", "0192f6a0-c2b1-7000-8000-000000000000", strings.Repeat("y", 5000)} {
			if a := r.call(asApp, "GET", "/v3/files/"+id, "", nil); a.status != 400 || a.code() != 1003 {
				t.Errorf("get %.50s: %+v", id, a)
			}
			if a := r.call(asApp, "DELETE", "/v3/files/"+id, "", nil); a != (answer{200, `{}`}) {
				t.Errorf("delete %.50s: %+v", id, a)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUploadsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		owner := Owner{App: 1}
		for range ownerUploads {
			if !r.slots.take(owner) {
				t.Fatal("no slot")
			}
		}
		if a := r.upload(asApp, "alias", "u.txt", "x", ""); a.status != 429 || a.code() != 2002 {
			t.Errorf("one more: %+v", a)
		}
		r.wantNothing("one more")
		r.mustUpload(asOther, "x", "")
		r.slots.give(owner)
		r.mustUpload(asApp, "x", "")
		r.mustUpload(asApp, "x", "") // the slot was given back
		for i := 3; r.slots.take(Owner{App: int64(i)}); i++ {
			if i > maxUploads+3 {
				t.Fatal("no bound")
			}
		}
		if a := r.upload(asOther, "alias", "u.txt", "x", ""); a.status != 429 {
			t.Errorf("one more on a busy node: %+v", a)
		}
	})
}

// A client that reads the answer only after it has sent all it has gets the answer, also when it is refused.
func TestARefusedClientGetsItsAnswerOnARealSocket(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	srv := httptest.NewServer(r.handler)
	defer srv.Close()
	content := strings.Repeat("0123456789abcdef\n", (MaxBytes+1000)/17)
	body := "--X\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"u.txt\"\r\n\r\n" + content + "\r\n--X--\r\n"
	for path, want := range map[string]string{"/v3/files/alias": `"code":1005`, "/v3/files/tag": `"code":1003`} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic YXBwOng=\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: %d\r\n\r\n%s",
			path, len(body), body)
		if err != nil {
			t.Errorf("%s: send: %v", path, err)
		}
		if got, err := io.ReadAll(conn); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
}
