package segment

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestWhatIsNoExpression(t *testing.T) {
	t.Parallel()
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	nested := func(n int) string {
		return strings.Repeat(`{"not":`, n-1) + `{"tag":["a"]}` + strings.Repeat("}", n-1)
	}
	const id = "seg_0123456789abcdef0123456789abcdef"
	for raw, field := range map[string]string{
		``: "audience", `{`: "audience", "{\"tag\":[\"\xff\"]}": "audience", `null`: "audience", `"everybody"`: "audience", `7`: "audience", `[]`: "audience",
		`{}`: "audience", `{"tag":null}`: "audience", `{"any":[{}]}`: "audience.any[0]",
		`{"tag":[]}`: "audience.tag", `{"tag":"a"}`: "audience.tag", `{"tag":[null]}`: "audience.tag", `{"tag":[7]}`: "audience.tag",
		`{"tag":["a"," "]}`: "audience.tag[1]", `{"tag_and":[""]}`: "audience.tag_and[0]", `{"tag_not":["a-b"]}`: "audience.tag_not[0]",
		`{"tag":[` + many(maxTags+1, `"a"`) + `]}`:                  "audience.tag",
		`{"alias":["` + strings.Repeat("x", 41) + `"]}`:             "audience.alias[0]",
		`{"alias":[` + many(maxNames+1, `"a"`) + `]}`:               "audience.alias",
		`{"registration_id":["` + strings.Repeat("x", 65) + `"]}`:   "audience.registration_id[0]",
		`{"registration_id":[""]}`:                                  "audience.registration_id[0]",
		`{"platform":[]}`:                                           "audience.platform",
		`{"platform":"ios"}`:                                        "audience.platform",
		`{"platform":["symbian"]}`:                                  "audience.platform[0]",
		`{"segment":["nobody"]}`:                                    "audience.segment[0]",
		`{"segment":["seg_0123456789ABCDEF0123456789abcdef"]}`:      "audience.segment[0]",
		`{"segment":[` + many(maxRefs+1, `"`+id+`"`) + `]}`:         "audience.segment",
		`{"file":{"file_id":"x"}}`:                                  "audience.file",
		`{"any":[]}`:                                                "audience.any",
		`{"any":{}}`:                                                "audience.any",
		`{"all":"all"}`:                                             "audience.all",
		`{"not":[]}`:                                                "audience.not",
		`{"any":["all",{"not":{"all":[{"tag":["a"],"tag_x":1}]}}]}`: "audience.any[1].not.all[0].tag_x",
		nested(maxDepth + 1):                                        "audience.not.not.not.not.not",
		`{"any":[` + many(maxClauses+1, `"all"`) + `]}`:             "audience.any",
		`{"any":[` + many(26, `{"tag":["a"],"alias":["b"]}`) + `]}`: "audience",
		`{"tag":["` + strings.Repeat("x", maxAudienceBytes) + `"]}`: "audience",
	} {
		var wrong *InvalidError
		if _, err := ParseAudience([]byte(raw)); !errors.As(err, &wrong) || wrong.Field != field || wrong.Detail == "" {
			t.Errorf("%.80s: %v, want the field %s", raw, err, field)
		}
	}
	for _, raw := range []string{nested(maxDepth), `{"any":[` + many(maxClauses, `"all"`) + `]}`, ` { "tag" : [ "a" ] } `} {
		a, err := ParseAudience([]byte(raw))
		if err != nil || !json.Valid(a.raw) || strings.Contains(string(a.raw), " ") {
			t.Errorf("%.80s: %v", raw, err)
		}
	}
}

func FuzzAudience(f *testing.F) {
	for _, raw := range []string{
		`"all"`, `{"tag":["a"],"tag_and":["b"],"tag_not":["c"],"alias":["d"],"registration_id":["e"],"platform":["ios"]}`,
		`{"any":[{"segment":["seg_0123456789abcdef0123456789abcdef"]},"all"],"all":[{"not":{"platform":"all"}}],"tag":null}`, `{}`, `[`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := ParseAudience(raw)
		if err != nil {
			var wrong *InvalidError
			if !errors.As(err, &wrong) || wrong.Detail == "" || a != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		if a.clauses < 1 || a.clauses > maxClauses || len(a.refs) > maxRefs {
			t.Fatalf("%s: %+v", raw, a)
		}
		again, err := ParseAudience(a.raw)
		if err != nil || again.clauses != a.clauses || string(again.raw) != string(a.raw) {
			t.Fatalf("%s kept as %s: %v", raw, a.raw, err)
		}
	})
}
