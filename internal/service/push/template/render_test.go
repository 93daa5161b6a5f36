package template

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestVariablesOfAText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxVariableBytes)
	for text, want := range map[string][]string{
		"":                                {},
		"no variable":                     {},
		"Hi {{name}}!":                    {"name"},
		"{{a}}{{b}}{{a}}":                 {"a", "b", "a"},
		"{{ a }} {{  b}}":                 {"a", "b"},
		"{{{a}}}":                         {"a"},
		"{{a}":                            {},
		"{{}} {{ }} {a}} {{a b}} {{a\n}}": {},
		"{{a{{b}}":                        {"b"},
		"{{姓名}} {{order.id-1_x}}":         {"姓名", "order.id-1_x"},
		"{{" + long + "}}":                {long},
		"{{" + long + "x}}":               {},
		"{{{{{{{{":                        {},
	} {
		got := []string{}
		for _, p := range variables(text) {
			if p.name != "" {
				got = append(got, p.name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}

func TestOnlyStringValuesAreFilledIn(t *testing.T) {
	t.Parallel()
	c, err := compile([]byte(`{"notification":{"{{a}}":"{{a}}","n":[1, "x{{b}}\"\u007b\u007ba}}", {"{{b}}":true}], "t":"\\{{a}}\n"},
		"options":{"{{a}}":"{{c}}", "time_to_live":60, "sendno":"{{b}}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.names(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("names %q", got)
	}
	got, err := c.render(map[string]string{"a": "A\"},{{b}}\u2028<", "b": "B", "c": "", "more": "x"}, json.RawMessage(`"all"`),
		map[string]json.RawMessage{"sendno": json.RawMessage("7"), "new": json.RawMessage(`"{{a}}"`)})
	want := `{"audience":"all","notification":{"{{a}}":"A\"},{{b}}` + "\u2028" + `<","n":[1,"xB\"A\"},{{b}}` + "\u2028" + `<",{"{{b}}":true}],"t":"\\A\"},{{b}}` +
		"\u2028" + `<\n"},"options":{"time_to_live":60,"{{a}}":"","new":"{{a}}","sendno":7}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}

	var lacks *missingError
	if _, err := c.render(map[string]string{"a": "", "b": ""}, nil, nil); !errors.As(err, &lacks) || lacks.name != "c" {
		t.Errorf("without c: %v", err)
	}
	// What an element replaces needs no value.
	if got, err := c.render(map[string]string{"a": "", "b": ""}, nil, map[string]json.RawMessage{"{{a}}": json.RawMessage("null")}); err != nil || !strings.Contains(string(got), `"{{a}}":null`) {
		t.Errorf("%s (%v)", got, err)
	}
}

func TestWhatIsNoTemplate(t *testing.T) {
	t.Parallel()
	for push, want := range map[string]string{
		`[1]`: "object", `"x"`: "object", `{`: "object", `{"options":[1]}`: "options", `{"options":"x"}`: "options", "{\"a\":\"\xff\"}": "UTF-8",
		`{"audience":"all"}`: "audience", `{"cid":"x"}`: "cid",
	} {
		if _, err := compile([]byte(push)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", push, err)
		}
	}
	for _, push := range []string{``, `null`, `[]`, `{}`, `{"options":[]}`, `{"options":null}`} {
		c, err := compile([]byte(push))
		if err != nil {
			t.Errorf("%s: %v", push, err)
			continue
		}
		if got, err := c.render(nil, nil, nil); err != nil || string(got) != "{}" {
			t.Errorf("%s: %s (%v)", push, got, err)
		}
	}
}

func TestRenderedPushIsBounded(t *testing.T) {
	t.Parallel()
	c, err := compile([]byte(`{"message":{"msg_content":"` + strings.Repeat("{{a}}", 6000) + `"}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.render(map[string]string{"a": strings.Repeat("x", 60<<10)}, nil, nil)
	if !errors.Is(err, errTooLarge) || len(got) > 2*maxRendered {
		t.Errorf("%d bytes (%v)", len(got), err)
	}
	// What the call brings is bounded elsewhere.
	audience := json.RawMessage(`{"alias":["` + strings.Repeat("x", maxRendered) + `"]}`)
	if _, err := c.render(map[string]string{"a": "x"}, audience, map[string]json.RawMessage{"x": audience}); err != nil {
		t.Error(err)
	}
}

// shapeOf is a JSON value with every string value replaced, so that equal shapes are equal structure.
func shapeOf(v any) any {
	switch v := v.(type) {
	case string:
		return "text"
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = shapeOf(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = shapeOf(e)
		}
		return out
	}
	return v
}

func decode(t rapid.TB, raw []byte) any {
	var v any
	if !utf8.Valid(raw) {
		t.Fatalf("no UTF-8: %q", raw)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return v
}

// checkRender holds for every template and every value.
func checkRender(t rapid.TB, push []byte, value string) {
	c, err := compile(push)
	if err != nil {
		return
	}
	names := c.names()
	values := make(map[string]string, len(names))
	for _, n := range names {
		values[n] = value
	}
	got, err := c.render(values, nil, nil)
	if errors.Is(err, errTooLarge) {
		return
	}
	if err != nil {
		t.Fatalf("%q: %v", push, err)
	}
	rendered := decode(t, got)
	template, _ := decode(t, slices.Concat([]byte("["), push, []byte("]"))).([]any)
	var want map[string]any // members of the template that count
	if len(template) > 0 {
		want, _ = template[0].(map[string]any)
	}
	want = maps.Clone(want)
	if o, ok := want["options"].(map[string]any); !ok || len(o) == 0 {
		delete(want, "options")
	}
	if want == nil {
		want = map[string]any{}
	}
	if !reflect.DeepEqual(shapeOf(rendered), shapeOf(want)) {
		t.Fatalf("structure changed:\n%s\n%s", push, got)
	}
	if len(names) == 0 && !reflect.DeepEqual(rendered, any(want)) {
		t.Fatalf("text without variables changed:\n%s\n%s", push, got)
	}
}

func FuzzRender(f *testing.F) {
	for _, push := range []string{
		`{"notification":{"alert":"Hi {{name}}","{{k}}":["{{a}}{{b}}\"",1,null]},"options":{"sendno":"{{n}}"}}`,
		`{"a":"\u007b\u007bx\u007d}","a":"{{y}}"}`, `{"a":"{{{{x}}}}\\"}`, `{"a":"\ud83d\ude00{{x}}"}`, `{"a":"\ud800{{x}}"}`, `[]`, ``,
	} {
		f.Add([]byte(push), `"},"x":{{name}}`)
		f.Add([]byte(push), "\x00\xff\\")
	}
	f.Fuzz(func(t *testing.T, push []byte, value string) {
		if len(push) > 0 && json.Valid(push) && strings.TrimSpace(string(push)) != "" {
			checkRender(t, push, value)
			return
		}
		_, _ = compile(push)
	})
}

// A text is what its literal parts and the values make, in their order.
func TestRenderedTextIsLiteralsAndValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		names := []string{"a", "b_1", "姓名"}
		values := map[string]string{}
		for _, n := range names {
			values[n] = rapid.String().Draw(r, "value")
		}
		literal := rapid.StringOf(rapid.RuneFrom([]rune("x\"\\}: ,\n\x01€😀"))) // no open brace, which could begin a variable
		var template, want strings.Builder
		for range rapid.IntRange(0, 6).Draw(r, "parts") {
			text := literal.Draw(r, "literal")
			template.WriteString(text)
			want.WriteString(text)
			if name := rapid.SampledFrom(names).Draw(r, "name"); rapid.Bool().Draw(r, "variable") {
				template.WriteString("{{" + strings.Repeat(" ", rapid.IntRange(0, 2).Draw(r, "spaces")) + name + "}}")
				want.WriteString(values[name])
			}
		}
		push, err := json.Marshal(map[string]any{"message": map[string]any{"msg_content": template.String(), "list": []string{template.String()}}})
		if err != nil {
			r.Fatal(err)
		}
		c, err := compile(push)
		if err != nil {
			r.Fatal(err)
		}
		raw, err := c.render(values, nil, nil)
		if err != nil {
			r.Fatal(err)
		}
		got := decode(r, raw)
		if text := strings.ToValidUTF8(want.String(), "\uFFFD"); !reflect.DeepEqual(got, any(map[string]any{"message": map[string]any{"msg_content": text, "list": []any{text}}})) {
			r.Fatalf("template %q gave %s, want %q", template.String(), raw, text)
		}
		checkRender(r, push, values["a"])
	})
}

func BenchmarkRender(b *testing.B) {
	c, err := compile([]byte(`{"platform":"all","notification":{"alert":"Hi {{name}}, your order {{order}} is on its way","android":{"title":"{{shop}}","extras":{"id":"{{order}}"}}},"options":{"time_to_live":3600}}`))
	if err != nil {
		b.Fatal(err)
	}
	values := map[string]string{"name": "Ann", "order": "A-1742", "shop": "Borealis"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.render(values, json.RawMessage(`{"alias":["u1001"]}`), nil); err != nil {
			b.Fatal(err)
		}
	}
}
