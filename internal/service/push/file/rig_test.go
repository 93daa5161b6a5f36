package file

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web"
	"borealis/internal/kernel/web/compat"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// The callers of the tests.
const (
	asApp       = "app"       // in Asia/Shanghai
	asOther     = "other"     // in UTC
	asDeveloper = "developer" // number 1, as the app: they must not be mixed up
	asPowerless = "powerless"
)

// rig serves the file API over everything real below it.
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
	r := &rig{t: t, fake: fake, Service: New(Deps{DB: d, Blobs: blob.New(d, fake, log), Clock: fake, Log: log, Zone: time.UTC})}
	utc := gate.DefaultSettings()
	if err := utc.Set("zone", "UTC"); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	r.CompatRoutes(func(pattern string, app gate.Handler, developer gate.DeveloperHandler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			switch as, _, _ := q.BasicAuth(); as {
			case asApp:
				app(w, q, &gate.App{ID: 1, Settings: gate.DefaultSettings()})
			case asOther:
				app(w, q, &gate.App{ID: 2, Settings: utc})
			case asDeveloper:
				developer(w, q, &gate.Developer{ID: 1, Files: true})
			case asPowerless:
				developer(w, q, &gate.Developer{ID: 2})
			}
		})
	})
	mux.Handle("/v3/", compat.Fallback(mux))
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

func (r *rig) call(as, method, path, contentType string, body io.Reader) answer {
	r.t.Helper()
	q := httptest.NewRequest(method, path, body)
	q.SetBasicAuth(as, "secret")
	if contentType != "" {
		q.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	if kind := w.Header().Get("Content-Type"); kind != "application/json; charset=utf-8" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		r.t.Errorf("%s %s: headers %v", method, path, w.Header())
	}
	return answer{w.Code, w.Body.String()}
}

// upload sends a well-formed form; an empty ttl is left out.
func (r *rig) upload(as, kind, name, content, ttl string) answer {
	r.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if ttl != "" {
		_ = w.WriteField("ttl", ttl)
	}
	part, _ := w.CreateFormFile("filename", name)
	_, _ = io.WriteString(part, content)
	_ = w.Close()
	return r.call(as, http.MethodPost, "/v3/files/"+kind, w.FormDataContentType(), &body)
}

func (r *rig) mustUpload(as, content, ttl string) (id string) {
	r.t.Helper()
	return r.idOf(r.upload(as, "alias", "users.txt", content, ttl))
}

// idOf reads the answer to an upload, which has nothing but the id.
func (r *rig) idOf(a answer) string {
	r.t.Helper()
	var got map[string]string
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || len(got) != 1 || got["file_id"] == "" {
		r.t.Fatalf("upload: %d %s", a.status, a.body)
	}
	return got["file_id"]
}

func (r *rig) lines(o Owner, id string) (kind string, got []string, err error) {
	kind, lines, err := r.Lines(context.Background(), o, id)
	if err != nil {
		return "", nil, err
	}
	err = lines(func(s string) error { got = append(got, s); return nil })
	return kind, got, err
}

// rows counts what is stored of files and of bytes.
func (r *rig) rows() (files, blobs, chunks int) {
	r.t.Helper()
	err := r.DB.QueryRow(context.Background(), `select (select count(*) from push_file), (select count(*) from blob_blob), (select count(*) from blob_chunk)`).
		Scan(&files, &blobs, &chunks)
	if err != nil {
		r.t.Fatal(err)
	}
	return files, blobs, chunks
}

func (r *rig) wantNothing(what string) {
	r.t.Helper()
	if f, b, c := r.rows(); f+b+c > 0 {
		r.t.Errorf("%s: %d files, %d blobs and %d chunks are stored", what, f, b, c)
	}
}
