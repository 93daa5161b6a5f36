package push

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db/dbtest"
)

// upload puts a file up as the app and returns its id.
func (r *rig) upload(app *gate.App, kind string, lines ...string) string {
	r.t.Helper()
	mux := http.NewServeMux()
	r.CompatFileRoutes(func(pattern string, forApp gate.Handler, _ gate.DeveloperHandler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) { forApp(w, req, app) })
	})
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("filename", "list.txt")
	if err != nil {
		r.t.Fatal(err)
	}
	fmt.Fprint(part, strings.Join(lines, "\n"))
	if err := form.Close(); err != nil {
		r.t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/v3/files/"+kind, &body)
	req.Header.Set("Content-Type", form.FormDataContentType())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	var out struct {
		ID string `json:"file_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.ID == "" {
		r.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return out.ID
}

// A push reaches whom its file names, by alias or by registration id; another app cannot use the file.
func TestPushByFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, android5...)
	r.alias(app, all[1], "ann")
	other, _ := r.newApp(0, android5...)
	push := func(app *gate.App, id string) error {
		p, err := r.Parse(app, fmt.Appendf(nil, `{"platform":"all","audience":{"file":{"file_id":%q}},"notification":{"alert":"x"}}`, id))
		if err != nil {
			return err
		}
		_, err = r.acceptFile(context.Background(), app, p)
		return err
	}
	for kind, lines := range map[string][]string{
		"alias": {"ann", " nobody ", ""}, "registration_id": {all[1].rid, "ffffffffffffffffffff"},
	} {
		before := len(r.connect(app, all[1]))
		id := r.upload(app, kind, lines...)
		if err := push(app, id); err != nil {
			t.Fatal(err)
		}
		if got := r.connect(app, all[1]); len(got) != before+1 {
			t.Errorf("%s: the device is owed %v", kind, got)
		}
		if got := r.connect(app, all[0]); len(got) != 0 {
			t.Errorf("%s: another device is owed %v", kind, got)
		}
		wantCode(t, push(other, id), 1003)
	}
	wantCode(t, push(app, "unknown"), 1003)
	wantCode(t, push(app, r.upload(app, "alias", "nobody")), 1011)
	p, err := r.Parse(app, []byte(`{"platform":"all","audience":"all","notification":{"alert":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.acceptFile(context.Background(), app, p)
	wantCode(t, err, 1002)
}

// options.test_model: the list of test devices, and nobody while it is empty.
func TestPushToTestDevices(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, android5...)
	p, err := r.Parse(app, []byte(`{"platform":"all","audience":"all","notification":{"alert":"x"},"options":{"test_model":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Accept(context.Background(), app, p)
	wantCode(t, err, 1011)
	if err := r.testDevices.Add(context.Background(), app, all[3].rid, "qa"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Accept(context.Background(), app, p); err != nil {
		t.Fatal(err)
	}
	if len(r.connect(app, all[3])) != 1 || len(r.connect(app, all[0])) != 0 {
		t.Error("the push did not go to the test device alone")
	}
}
