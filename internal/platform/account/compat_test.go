package account_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/platform/account"
	"borealis/internal/platform/account/apns"
	"borealis/internal/platform/account/apns/apnstest"
)

// api is the admin API of a node as one developer calls it.
type api struct {
	*node
	t         *testing.T
	mux       *http.ServeMux
	developer *account.Developer
}

func newAPI(t *testing.T, d *db.DB) *api {
	t.Helper()
	a := &api{node: newNode(t, d, bustest.Open(t, "")), t: t, mux: http.NewServeMux()}
	a.CompatRoutes(func(pattern string, h gate.DeveloperHandler) {
		a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			developer, err := a.gate.AuthenticateDeveloper(a.developer.Key, a.developer.Secret)
			if err != nil {
				t.Error(err)
				return
			}
			h(w, r, developer)
		})
	})
	a.mux.Handle("/v1/", compat.Fallback(a.mux))
	a.developer = a.newDeveloper("one")
	return a
}

func (a *api) newDeveloper(name string) *account.Developer {
	a.t.Helper()
	d, err := a.CreateDeveloper(context.Background(), "tester", name)
	if err != nil {
		a.t.Fatal(err)
	}
	return d
}

// answer is any answer of the admin API.
type answer struct {
	status  int
	raw     string
	AppKey  string `json:"app_key"`
	Package string `json:"android_package"`
	New     bool   `json:"is_new_created"`
	Secret  string `json:"master_secret"`
	Success string `json:"success"`
	Error   struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (a *api) call(method, path, contentType string, body io.Reader) answer {
	a.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, path, body)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	compat.Path(a.mux).ServeHTTP(w, r)
	out := answer{status: w.Code, raw: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		a.t.Fatalf("%s %s: %s", method, path, w.Body)
	}
	return out
}

func (a *api) post(path, body string) answer {
	a.t.Helper()
	return a.call(http.MethodPost, path, "text/plain", strings.NewReader(body))
}

func (a *api) refused(what string, got answer, status, code int) {
	a.t.Helper()
	if got.status != status || got.Error.Code != code || got.Error.Message == "" || got.AppKey != "" || got.Success != "" {
		a.t.Errorf("%s: %d %s, want %d with code %d", what, got.status, got.raw, status, code)
	}
}

const courier = `{"app_name":"Courier","android_package":"com.example.courier","group_name":"logistics"}`

func TestCompatCreate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		a := newAPI(t, d)
		made := a.post("/v1/app/", courier)
		if made.status != http.StatusOK || len(made.AppKey) != 24 || len(made.Secret) != 24 || !made.New || made.Package != "com.example.courier" {
			t.Fatalf("made %s", made.raw)
		}
		if members := strings.Count(made.raw, ":"); members != 4 {
			t.Errorf("%d members in %s", members, made.raw)
		}
		app, err := a.gate.Authenticate(made.AppKey, made.Secret)
		if err != nil {
			t.Fatal(err)
		}
		again := a.post("/v1/app", `{"app_name":"Another","android_package":"com.example.courier","group_name":null}`)
		if again.New || again.AppKey != made.AppKey || again.Secret != made.Secret {
			t.Errorf("again %s", again.raw)
		}
		// The app joins a second group when it is asked for again with its name; once.
		for range 2 {
			if again = a.post("/v1/app", strings.ReplaceAll(courier, "logistics", "vans")); again.AppKey != made.AppKey {
				t.Errorf("again %s", again.raw)
			}
		}
		groups, err := a.Groups(context.Background())
		if err != nil || len(groups) != 2 || groups[0].Name != "logistics" || groups[1].Name != "vans" || groups[1].Revision != 1 {
			t.Fatalf("groups %+v, %v", groups, err)
		}
		for _, g := range groups {
			known, err := a.gate.AuthenticateGroup(g.Key, a.secretOf(g.Key))
			if err != nil || len(known.Apps) != 1 || known.Apps[0] != app.ID {
				t.Errorf("group %+v, %v", known, err)
			}
		}
		// A package is a developer's own.
		a.developer = a.newDeveloper("two")
		if other := a.post("/v1/app", courier); !other.New || other.AppKey == made.AppKey {
			t.Errorf("another developer's %s", other.raw)
		}
	})
}

func (a *api) secretOf(group string) string {
	a.t.Helper()
	g, err := a.Group(context.Background(), group)
	if err != nil {
		a.t.Fatal(err)
	}
	return g.MasterSecret
}

func TestCompatCreateRefusals(t *testing.T) {
	t.Parallel()
	a := newAPI(t, dbtest.SQLite(t))
	with := func(name, pkg, group any) string {
		text, _ := json.Marshal(map[string]any{"app_name": name, "android_package": pkg, "group_name": group})
		return string(text)
	}
	for what, c := range map[string]struct {
		body string
		code int
	}{
		"no body":            {"", 4002},
		"null":               {"null", 4002},
		"a list":             {"[]", 4002},
		"no package":         {`{"app_name":"x"}`, 4002},
		"no name":            {with(" ", "a.b", nil), 4002},
		"no JSON":            {"{", 4003},
		"a number":           {with(1, "a.b", nil), 4003},
		"not UTF-8":          {"{\"app_name\":\"\xff\",\"android_package\":\"a.b\"}", 4003},
		"one part":           {with("x", "courier", nil), 4003},
		"a digit first":      {with("x", "com.1example", nil), 4003},
		"an empty part":      {with("x", "com..example", nil), 4003},
		"long package":       {with("x", "a."+strings.Repeat("b", 300), nil), 4003},
		"long name":          {with(strings.Repeat("x", 101), "a.b", nil), 4003},
		"control characters": {with("a\nb", "a.b", nil), 4003},
		"long group":         {with("x", "a.b", strings.Repeat("x", 101)), 4003},
		"large":              {strings.Repeat(" ", 65<<10) + courier, 4003},
	} {
		a.refused(what, a.post("/v1/app", c.body), http.StatusBadRequest, c.code)
	}
	a.refused("another method", a.call(http.MethodGet, "/v1/app", "", nil), http.StatusMethodNotAllowed, 4001)
	apps, err := a.Apps(context.Background())
	groups, err2 := a.Groups(context.Background())
	if len(apps)+len(groups) != 0 || err != nil || err2 != nil {
		t.Errorf("stored: %v %v, %v", apps, groups, errors.Join(err, err2))
	}
}

func TestCompatDelete(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		a := newAPI(t, d)
		made := a.post("/v1/app", courier)
		path := "/v1/app/" + made.AppKey + "/delete"

		owner := a.developer
		a.developer = a.newDeveloper("two")
		a.refused("another's", a.post(path, ""), http.StatusUnauthorized, 4007)
		a.developer = owner
		a.refused("nobody's", a.post("/v1/app/nobody/delete", ""), http.StatusOK, 1013)
		if _, err := a.SetApp(ctx, "tester", made.AppKey, []account.Assignment{{Name: "state", Value: "suspended"}}); err != nil {
			t.Fatal(err)
		}
		a.refused("suspended", a.post(path, ""), http.StatusOK, 1015)
		if _, err := a.SetApp(ctx, "tester", made.AppKey, []account.Assignment{{Name: "state", Value: "enabled"}}); err != nil {
			t.Fatal(err)
		}
		if got := a.post(path, "[]"); got.status != http.StatusOK || got.raw != `{"success":"Synchronized success"}` {
			t.Errorf("deleted: %d %s", got.status, got.raw)
		}
		a.refused("deleted before", a.post(path, ""), http.StatusOK, 1013)
		if _, err := a.gate.Authenticate(made.AppKey, made.Secret); !errors.Is(err, gate.ErrUnknownApp) {
			t.Errorf("credentials of a deleted app: %v", err)
		}
		groups, err := a.Groups(ctx)
		if err != nil || len(groups) != 1 || len(groups[0].Apps) != 0 || len(a.gate.GroupByID(groups[0].ID).Apps) != 0 {
			t.Errorf("groups %+v, %v", groups, err)
		}
		// The package is free, and the vendor's old client deletes with DELETE.
		anew := a.post("/v1/app", courier)
		if !anew.New || anew.AppKey == made.AppKey {
			t.Errorf("anew %s", anew.raw)
		}
		if got := a.call(http.MethodDelete, "/v1/app/"+anew.AppKey+"/delete", "", nil); got.Success == "" {
			t.Errorf("deleted with DELETE: %s", got.raw)
		}
		rows, err := a.audit.List(ctx, d, "app/"+made.AppKey, 0, 10)
		if err != nil || rows[0].Action != "app.delete" || rows[0].Actor != "developer/"+owner.Key {
			t.Errorf("audit %+v, %v", rows, err)
		}
	})
}

// form is a multipart body; names ending in File are files.
func form(t *testing.T, fields map[string]string) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for name, value := range fields {
		create := w.CreateFormField
		if strings.HasSuffix(name, "File") {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "cert.p12") }
		}
		part, err := create(name)
		if err == nil {
			_, err = io.WriteString(part, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body
}

func TestCompatCertificate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		a := newAPI(t, d)
		made := a.post("/v1/app", courier)
		path := "/v1/app/" + made.AppKey + "/certificate"
		id := a.gate.App(made.AppKey).ID
		upload := func(fields map[string]string) answer {
			t.Helper()
			contentType, body := form(t, fields)
			return a.call(http.MethodPost, path, contentType, body)
		}
		options := apnstest.Options{Topic: "com.example.courier", NotAfter: start.Add(time.Hour)}
		dev, pro := string(apnstest.File(t, options, "x")), string(apnstest.File(t, options, ""))

		a.refused("no file", upload(map[string]string{"devCertificatePassword": "x", "proCertificateFile": ""}), http.StatusOK, 1014)
		a.refused("no form", a.post(path, "x"), http.StatusOK, 1014)
		a.refused("a wrong password", upload(map[string]string{"devCertificatePassword": "y", "devCertificateFile": dev}), http.StatusOK, 1012)
		a.refused("garbage", upload(map[string]string{"devCertificateFile": "x"}), http.StatusOK, 1012)
		a.refused("too large", upload(map[string]string{"devCertificateFile": strings.Repeat("x", 200<<10)}), http.StatusOK, 1012)
		many := map[string]string{}
		for i := range 20 {
			many[fmt.Sprint(i)] = "x"
		}
		a.refused("many parts", upload(many), http.StatusOK, 1012)
		expired := options
		expired.NotAfter = start
		both := map[string]string{"devCertificatePassword": "x", "devCertificateFile": dev}
		both["proCertificateFile"] = string(apnstest.File(t, expired, ""))
		a.refused("one of two expired", upload(both), http.StatusOK, 1012)
		if _, err := a.Certificate(ctx, id, apns.Development); !errors.Is(err, account.ErrNoCertificate) {
			t.Errorf("something was stored: %v", err)
		}

		both["proCertificateFile"] = pro
		if got := upload(both); got.raw != `{"success":"Synchronized success"}` {
			t.Fatalf("stored: %s", got.raw)
		}
		stored := make(map[apns.Environment]string)
		for _, e := range []apns.Environment{apns.Development, apns.Production} {
			c, err := a.Certificate(ctx, id, e)
			if err != nil {
				t.Fatal(err)
			}
			if c.Topic != "com.example.courier" || !c.NotAfter.Equal(options.NotAfter) || c.TLS.PrivateKey == nil {
				t.Errorf("%s: %+v", e, c)
			}
			stored[e] = c.Fingerprint
		}
		if stored[apns.Development] == stored[apns.Production] {
			t.Error("one certificate for both")
		}
		a.refused("both again", upload(both), http.StatusOK, 1010)
		both["proCertificateFile"] = string(apnstest.File(t, options, ""))
		if got := upload(both); got.Success == "" {
			t.Errorf("one of two is new: %s", got.raw)
		}
		if c, err := a.Certificate(ctx, id, apns.Production); err != nil || c.Fingerprint == stored[apns.Production] {
			t.Errorf("not replaced: %v", err)
		}
		// Only what can be told apart by its key is in the database.
		var sealed string
		if err := d.QueryRow(ctx, `select sealed from account_certificate where environment = 'development'`).Scan(&sealed); err != nil || strings.Contains(sealed, "PRIVATE") {
			t.Errorf("stored as %q, %v", sealed, err)
		}

		a.developer = a.newDeveloper("two")
		a.refused("another's", upload(both), http.StatusUnauthorized, 4007)
		path = "/v1/app/nobody/certificate"
		a.refused("nobody's", upload(both), http.StatusOK, 1013)
		if _, err := a.DeleteApp(ctx, "tester", made.AppKey); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Certificate(ctx, id, apns.Production); !errors.Is(err, account.ErrNoCertificate) {
			t.Errorf("certificate of a deleted app: %v", err)
		}
	})
}

// One public client begins its body with an empty line, another never sends the closing boundary.
func TestCompatCertificateAsClientsSendIt(t *testing.T) {
	t.Parallel()
	a := newAPI(t, dbtest.SQLite(t))
	made := a.post("/v1/app", courier)
	file := string(apnstest.File(t, apnstest.Options{Topic: "x.y", NotAfter: start.Add(time.Hour)}, ""))
	body := "\r\n--b\r\nContent-Disposition: form-data; name=\"devCertificatePassword\"\r\n\r\n\r\n--b\r\n" +
		"Content-Disposition: form-data; name=\"devCertificateFile\"; filename=\"a.p12\"\r\nContent-Type: application/octet-stream\r\n\r\n" + file
	got := a.call(http.MethodPost, "/v1/app/"+made.AppKey+"/certificate", "multipart/form-data; boundary=b", strings.NewReader(body))
	if got.Success == "" {
		t.Errorf("answer %s", got.raw)
	}
}
