package schema_test

import (
	"regexp"
	"testing"

	"borealis/test/sim/schema"
)

func TestValuesAreChecked(t *testing.T) {
	t.Parallel()
	check := schema.Object(schema.Fields{
		"name!": schema.AtMost(3), "on": schema.Bool, "n": schema.Int(-1, 99), "list": schema.List(2, schema.String), "kind": schema.One("A", "B"),
		"url": schema.HTTPS, "form": schema.Like(regexp.MustCompile(`^x+$`), "x"), "texts": schema.Texts, "map": schema.Map, "any": schema.Any,
		"deep": schema.Object(schema.Fields{"a": schema.String}),
	})
	for body, path := range map[string]string{
		`{"name":"光光光","on":true,"n":-1,"list":["a","b"],"kind":"A","url":"https://x","form":"xx","texts":{"a":"b"},"map":{"a":1},"any":[1],"deep":{"a":""}}`: "",
		`{"name":"a","on":null}`:            "",
		`{}`:                                "name",
		`{"name":""}`:                       "name",
		`{"name":null}`:                     "name",
		`{"name":"aaaa"}`:                   "name",
		`{"name":"a","on":"true"}`:          "on",
		`{"name":"a","n":100}`:              "n",
		`{"name":"a","n":-2}`:               "n",
		`{"name":"a","n":1.5}`:              "n",
		`{"name":"a","n":"1"}`:              "n",
		`{"name":"a","list":["a","b","c"]}`: "list",
		`{"name":"a","list":["a",1]}`:       "list[1]",
		`{"name":"a","list":"a"}`:           "list",
		`{"name":"a","kind":"C"}`:           "kind",
		`{"name":"a","url":"http://x"}`:     "url",
		`{"name":"a","form":"y"}`:           "form",
		`{"name":"a","texts":{"a":1}}`:      "texts.a",
		`{"name":"a","map":[]}`:             "map",
		`{"name":"a","deep":{"a":1}}`:       "deep.a",
		`{"name":"a","deep":[]}`:            "deep",
	} {
		v, err := schema.Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if p := check("", v); p != nil {
			got = p.Path
		}
		if got != path {
			t.Errorf("%s: %q, want %q", body, got, path)
		}
	}
	v, _ := schema.Decode([]byte(`{"name":"a","deep":{"b":1}}`))
	if p := check("", v); p == nil || !p.Unknown || p.Path != "deep" || p.Value != "b" {
		t.Errorf("an unknown field: %+v", p)
	}
	for _, body := range []string{``, `{`, `{} {}`} {
		if _, err := schema.Decode([]byte(body)); err == nil {
			t.Errorf("%q was read", body)
		}
	}
}
