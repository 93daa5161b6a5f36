package template

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// decodeAnswer demands a status and reads the body.
func (r *rig) decodeAnswer(got string, status int, into any) {
	r.t.Helper()
	text, ok := strings.CutPrefix(got, fmt.Sprintf("%d ", status))
	if !ok {
		r.t.Fatalf("got %s, want %d", got, status)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) status(got string, status int, about string) {
	r.t.Helper()
	if !strings.HasPrefix(got, fmt.Sprintf("%d ", status)) || !strings.Contains(got, about) {
		r.t.Errorf("got %s, want %d about %s", got, status, about)
	}
}

func TestTemplatesAreManaged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		const base = "/api/v1/apps/one/templates"
		var made templateRow
		r.decodeAnswer(r.call("POST", base, `{"name":"问候","push":`+greeting+`,"samples":{"no":"7"}}`), 201, &made)
		if !validID(made.ID) || made.Version != 1 || made.CreatedAt != r.fake.Now().UnixMilli() || !slices.Equal(made.Variables, []string{"name", "no"}) ||
			made.Samples["no"] != "7" || !strings.HasPrefix(string(made.Push), `{"platform":"all",`) {
			t.Errorf("created %+v", made)
		}
		var read templateRow
		r.decodeAnswer(r.call("GET", base+"/"+made.ID, ""), 200, &read)
		if fmt.Sprint(read) != fmt.Sprint(made) {
			t.Errorf("read %+v", read)
		}
		r.fake.Advance(time.Minute)
		read = templateRow{}
		r.decodeAnswer(r.call("PUT", base+"/"+made.ID, `{"version":1,"name":"b","push":{"platform":"ios","notification":{"alert":"x"}}}`), 200, &read)
		if read.Version != 2 || read.Name != "b" || len(read.Variables) != 0 || len(read.Samples) != 0 || read.CreatedAt != made.CreatedAt || read.UpdatedAt <= read.CreatedAt {
			t.Errorf("updated %+v", read)
		}
		var again templateRow
		r.decodeAnswer(r.call("GET", base+"/"+made.ID, ""), 200, &again)
		if fmt.Sprint(read) != fmt.Sprint(again) {
			t.Errorf("answered %+v, kept %+v", read, again)
		}
		r.status(r.call("PUT", base+"/"+made.ID, `{"version":1,"name":"c","push":{"platform":"ios","notification":{"alert":"x"}}}`), 409, "version")

		for _, method := range []string{"GET", "DELETE"} { // of another app, and of no app
			r.status(r.call(method, "/api/v1/apps/two/templates/"+made.ID, ""), 404, "no such")
			r.status(r.call(method, base+"/tpl_0123456789abcdef0123456789abcdef", ""), 404, "no such")
			r.status(r.call(method, base+"/a%00b", ""), 404, "no such")
		}
		r.status(r.call("PUT", "/api/v1/apps/two/templates/"+made.ID, `{"version":2,"name":"c","push":{"platform":"ios","notification":{"alert":"x"}}}`), 404, "no such")

		r.want(r.call("DELETE", base+"/"+made.ID, ""), "204 ")
		r.status(r.call("DELETE", base+"/"+made.ID, ""), 404, "no such")
	})
}

func TestTemplatesAreListedByCursor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		var want, got []string
		for range 5 {
			want = append(want, r.template(greeting))
		}
		if _, err := r.Create(context.Background(), app(2), Template{Name: "x", Push: json.RawMessage(greeting)}); err != nil {
			t.Fatal(err)
		}
		cursor, pages := "", 0
		for {
			var page struct {
				Templates []templateRow
				Next      string
			}
			r.decodeAnswer(r.call("GET", "/api/v1/apps/one/templates?limit=2&cursor="+cursor, ""), 200, &page)
			for _, x := range page.Templates {
				got = append(got, x.ID)
			}
			pages++
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) || pages != 3 {
			t.Errorf("%d pages of %v, want %v", pages, got, want)
		}
		r.status(r.call("GET", "/api/v1/apps/one/templates?cursor=%00", ""), 422, "cursor")
		r.status(r.call("GET", "/api/v1/apps/one/templates?limit=1000", ""), 422, "limit")
	})
}

func TestWhatCannotBeSentIsNotStored(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		kept := r.template(greeting)
		for body, about := range map[string]string{
			`{"name":"","push":{}}`: "name", `{"push":{}}`: "name", `{"name":"a"}`: "push",
			`{"name":"a\u0000","push":` + greeting + `}`:                                                                           "control",
			`{"name":"` + strings.Repeat("文", 86) + `","push":` + greeting + `}`:                                                   "name",
			`{"name":"a","push":{}}`:                                                                                               "platform is required",
			`{"name":"a","push":[1]}`:                                                                                              "must be a JSON object",
			`{"name":"a","push":{"platform":"all","audience":"all","notification":{"alert":"x"}}}`:                                 "must not have audience",
			`{"name":"a","push":{"platform":"all","cid":"x","notification":{"alert":"x"}}}`:                                        "must not have cid",
			`{"name":"a","push":{"platform":"{{p}}","notification":{"alert":"x"}}}`:                                                "platform",
			`{"name":"a","push":{"platform":"all","notification":{"alert":"{{a}}"}},"samples":{"b":"x"}}`:                          "no variable",
			`{"name":"a","push":{"platform":"all","notification":{"alert":"{{a}}"}},"samples":{"a":7}}`:                            "samples",
			`{"name":"a","push":{"platform":"all","notification":{"alert":"x"},"options":{"sendno":"{{n}}"}},"samples":{"n":"x"}}`: "options.sendno",
			`{"name":"a","push":{"platform":"all","notification":{"alert":"x"},"unknown":1}}`:                                      "unknown",
			`{"name":"a","push":{"platform":"all","notification":{"alert":"` + strings.Repeat("x", 5000) + `"}}}`:                  "4000 bytes",
			`{"name":"a","push":{"platform":"all","notification":{"alert":"` + strings.Repeat("x", maxPushBytes) + `"}}}`:          "32768 bytes",
			`{"name":"a","push":{"platform":"all","notification":{"alert":"` + manyVariables() + `"}}}`:                            "variables",
			"{\"name\":\"a\",\"push\":{\"platform\":\"all\",\"notification\":{\"alert\":\"\xff\"}}}":                               "UTF-8",
		} {
			r.status(r.call("POST", "/api/v1/apps/one/templates", body), 422, about)
			r.status(r.call("PUT", "/api/v1/apps/one/templates/"+kept, strings.Replace(body, "{", `{"version":1,`, 1)), 422, about)
		}
		all, err := r.List(context.Background(), app(1), "", 10)
		if err != nil || len(all) != 1 || all[0].Version != 1 {
			t.Errorf("kept %v (%v)", all, err)
		}
	})
}

func manyVariables() string {
	var b strings.Builder
	for i := range MaxVariables + 1 {
		fmt.Fprintf(&b, "{{v%d}}", i)
	}
	return b.String()
}

func TestTemplatesAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			for i := range MaxTemplates - 1 {
				if err := insert(ctx, tx, 1, &Template{ID: fmt.Sprintf("tpl_%032x", i), Push: json.RawMessage("{}")}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		body := `{"name":"a","push":` + greeting + `}`
		r.status(r.call("POST", "/api/v1/apps/one/templates", body), 201, "tpl_")
		r.status(r.call("POST", "/api/v1/apps/one/templates", body), 409, "1000")
		r.status(r.call("POST", "/api/v1/apps/two/templates", body), 201, "tpl_")
	})
}
