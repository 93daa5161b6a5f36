package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web"
	"borealis/internal/kernel/web/compat"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const base = "https://push.example.com"

// rig serves the image API and the uploaded pictures over everything real below them.
type rig struct {
	*Service
	t       *testing.T
	fake    *clock.Fake
	handler http.Handler
}

func newRig(t *testing.T, d *db.DB) *rig {
	t.Helper()
	for _, migrate := range []func(context.Context, *db.DB) error{blob.Migrate, Migrate} {
		if err := migrate(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	fake := clock.NewFake(time.Date(2027, 2, 28, 2, 0, 0, 0, time.UTC))
	r := &rig{t: t, fake: fake, Service: New(Deps{
		DB: d, Blobs: blob.New(d, fake, log), Clock: fake, Log: log, PublicURL: func(q *http.Request) string { return "https://" + q.Host },
	})}
	mux := http.NewServeMux()
	r.CompatRoutes(func(pattern string, h gate.Handler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			app := int64(1)
			if user, _, _ := q.BasicAuth(); user == "other" {
				app = 2
			}
			h(w, q, &gate.App{ID: app, Settings: gate.DefaultSettings()})
		})
	})
	mux.Handle("/v3/", compat.Fallback(mux))
	r.Routes(humago.New(mux, huma.DefaultConfig("test", "1")))
	r.handler = web.Stack{Log: log, Clock: fake}.Wrap(compat.Path(mux))
	return r
}

// answer is what a caller got.
type answer struct {
	status int
	body   string
}

func (a answer) code() int {
	var e struct {
		Error struct {
			Code    int
			Message string
		}
	}
	_ = json.Unmarshal([]byte(a.body), &e)
	if e.Error.Message == "" {
		return 0
	}
	return e.Error.Code
}

// members are those of an answer, but for the media id; a refusal fails the test.
func (r *rig) members(a answer) (mediaID string, members map[string]string) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(a.body), &members); err != nil || a.status != 200 || members["media_id"] == "" {
		r.t.Fatalf("%d %s", a.status, a.body)
	}
	mediaID = members["media_id"]
	delete(members, "media_id")
	return mediaID, members
}

func (r *rig) call(user, method, path, contentType string, body io.Reader) answer {
	r.t.Helper()
	q := httptest.NewRequest(method, base+path, body)
	q.SetBasicAuth(user, "secret")
	q.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	if kind := w.Header().Get("Content-Type"); kind != "application/json; charset=utf-8" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		r.t.Errorf("%s %s: headers %v", method, path, w.Header())
	}
	return answer{w.Code, w.Body.String()}
}

func (r *rig) json(method, path, body string) answer {
	r.t.Helper()
	return r.call("app", method, "/v3/images/byurls"+path, "application/json", strings.NewReader(body))
}

// field is a field of a form; a file if it ends with _file.
type field struct{ name, content string }

func (r *rig) form(method, path string, fields ...field) answer {
	r.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range fields {
		if !strings.HasSuffix(f.name, "_file") {
			_ = w.WriteField(f.name, f.content)
			continue
		}
		part, _ := w.CreateFormFile(f.name, "i.png")
		_, _ = io.WriteString(part, f.content)
	}
	_ = w.Close()
	return r.call("app", method, "/v3/images/byfiles"+path, w.FormDataContentType(), &body)
}

// get reads an address of an uploaded picture.
func (r *rig) get(url string) *httptest.ResponseRecorder {
	r.t.Helper()
	path, ours := strings.CutPrefix(url, base)
	if !ours {
		r.t.Fatalf("%q is not an address of this server", url)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, base+path, nil))
	return w
}

// rows counts what is stored of images, their pictures, and bytes.
func (r *rig) rows() (n [4]int) {
	r.t.Helper()
	err := r.DB.QueryRow(context.Background(), `select (select count(*) from push_image), (select count(*) from push_image_picture),
		(select count(*) from blob_blob), (select count(*) from blob_chunk)`).Scan(&n[0], &n[1], &n[2], &n[3])
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) wantURL(app int64, mediaID, vendor, want string) {
	r.t.Helper()
	if got, ok := r.URL(context.Background(), app, mediaID, vendor); got != want || ok != (want != "") {
		r.t.Errorf("%s of %s: %q, %t, want %q", vendor, mediaID, got, ok, want)
	}
}

// drawing is a picture that does not compress.
func drawing(side int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = byte(random.Uint32())
	}
	m.Set(0, 0, color.White)
	return m
}

func encoded(t *testing.T, side int, encode func(io.Writer, image.Image) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, drawing(side)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func pngOf(t *testing.T, side int) string {
	t.Helper()
	return encoded(t, side, png.Encode)
}

func jpegOf(t *testing.T, side int) string {
	t.Helper()
	return encoded(t, side, func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) })
}

func gifOf(t *testing.T, side int) string {
	t.Helper()
	return encoded(t, side, func(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) })
}
