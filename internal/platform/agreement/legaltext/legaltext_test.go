package legaltext_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"borealis/internal/platform/agreement/legaltext"
)

const (
	master = "---\ncode: terms\nlocale: zh\nversion: \"1.0\"\ntitle: 条款\nkind: rule\nclass: commercial\npurposes: {news: 新闻}\ntopics: {fees: \"1.1\"}\n---\n## 1. 费用\n\n1.1 费用由{{operator}}公布。\n"
	second = "---\ncode: terms\nlocale: en\nversion: \"1.0\"\ntitle: Terms\npurposes: {news: News}\n---\n## 1. Fees\n\n1.1 Fees are published by {{operator}}.\n"
)

func parse(t *testing.T, file string) *legaltext.Document {
	t.Helper()
	d, err := legaltext.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A master changed by one character has another hash, so its translation is out of date (AG-INT-04).
func TestOneCharacterMakesATranslationStale(t *testing.T) {
	t.Parallel()
	zh, en := parse(t, master), parse(t, second)
	en.Source = zh.Hash()
	if err := legaltext.Bound(zh, en); err != nil {
		t.Fatal(err)
	}
	zh.Body = strings.Replace(zh.Body, "。", "！", 1)
	if err := legaltext.Bound(zh, en); err == nil || !strings.Contains(err.Error(), "out of date") {
		t.Errorf("after a change: %v", err)
	}
}

// The canonical form is a file that says the same and has the same hash.
func TestCanonicalFormReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z甲乙丙"'{}:#\-\\ 0-9。]{1,30}`)
		d := &legaltext.Document{
			Code: "terms", Locale: legaltext.Chinese, Version: rapid.SampledFrom([]string{"1.0", "2026", "1e3", "null", "true"}).Draw(t, "version"),
			Title: text.Draw(t, "title"), Body: text.Draw(t, "body") + "\r\n---\n" + text.Draw(t, "more"), Kind: legaltext.Rule,
			Order: rapid.IntRange(0, 9999).Draw(t, "order"), Class: legaltext.Commercial,
		}
		if rapid.Bool().Draw(t, "labels") {
			d.Options = map[string]string{"logo_use": text.Draw(t, "label"), "a": "<b>"}
		}
		d.Normalize()
		if d.Check() != nil {
			return
		}
		back, err := legaltext.Parse(d.Canonical())
		if err != nil {
			t.Fatalf("%v in\n%s", err, d.Canonical())
		}
		if back.Hash() != d.Hash() || back.Title != d.Title || back.Body != d.Body {
			t.Fatalf("%q became %q", d.Canonical(), back.Canonical())
		}
	})
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, field string }{
		"no front matter":     {"---\ncode", "code", "front matter"},
		"end is missing":      {"\n---\n##", "\n##", "front matter"},
		"unknown key":         {"kind: rule", "kind: rule\nvendor: x", "front matter"},
		"not YAML":            {"kind: rule", "kind: [", "front matter"},
		"bad code":            {"code: terms", "code: Terms_1", "code"},
		"bad locale":          {"locale: zh", "locale: fr", "locale"},
		"bad version":         {`version: "1.0"`, `version: "1 0"`, "version"},
		"no title":            {"title: 条款", "title: ''", "title"},
		"long title":          {"title: 条款", "title: " + strings.Repeat("条", 121), "title"},
		"bad kind":            {"kind: rule", "kind: law", "kind"},
		"bad class":           {"class: commercial", "class: small", "class"},
		"service of a rule":   {"kind: rule", "kind: rule\nservice: push", "service"},
		"no service":          {"kind: rule", "kind: service_term", "service"},
		"source of a master":  {"kind: rule", "kind: rule\nsource: " + strings.Repeat("a", 64), "source"},
		"order":               {"kind: rule", "kind: rule\norder: 10000", "order"},
		"topic without place": {`{fees: "1.1"}`, `{fees: "below"}`, "topics"},
		"bad purpose":         {"{news: 新闻}", "{News: 新闻}", "purposes"},
		"empty label":         {"{news: 新闻}", "{news: ' '}", "purposes"},
		"purpose and option":  {"purposes:", "options: {news: x}\npurposes:", "options"},
		"zero-width":          {"费用由", "费\u200b用由", "body"},
		"direction":           {"费用由", "费\u202e用由", "body"},
		"control":             {"费用由", "费\x00用由", "body"},
		"not UTF-8":           {"费用由", "费\xff用由", "body"},
		"too long":            {"费用由", strings.Repeat("费", legaltext.MaxBody/3+1), "body"},
		"much too long":       {"费用由", strings.Repeat("费", legaltext.MaxBody), "file"},
		"empty":               {"## 1. 费用\n\n1.1 费用由{{operator}}公布。\n", "\n \n", "body"},
	} {
		changed := strings.Replace(master, c.old, c.new, 1)
		if changed == master {
			t.Fatalf("%s changes nothing", name)
		}
		_, err := legaltext.Parse(changed)
		fe, ok := errors.AsType[*legaltext.FieldError](err)
		if !ok || fe.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFolderIsReadWithEveryProblemNamed(t *testing.T) {
	t.Parallel()
	values := map[string]string{"operator": "我方"}
	good := fstest.MapFS{
		"t/terms.zh.md": {Data: []byte(master)}, "t/terms.en.md": {Data: []byte(second)}, "t/README.md": {Data: []byte("not a text")}, "t/notes.txt": {},
	}
	pairs, err := legaltext.ReadFolder(good, "t", values)
	if err != nil || len(pairs) != 1 {
		t.Fatalf("%+v, %v", pairs, err)
	}
	if p := pairs[0]; !strings.Contains(p.Master.Body, "由我方公布") || p.Translation.Source != p.Master.Hash() {
		t.Errorf("%+v", p)
	}
	bad := fstest.MapFS{
		"other.zh.md": {Data: []byte(master)},
		"alone.en.md": {Data: []byte(strings.ReplaceAll(second, "terms", "alone"))},
		"old.zh.md":   {Data: []byte(strings.ReplaceAll(master, "terms", "old"))},
		"old.en.md":   {Data: []byte(strings.Replace(strings.ReplaceAll(second, "terms", "old"), "title:", "source: "+strings.Repeat("a", 64)+"\ntitle:", 1))},
	}
	_, err = legaltext.ReadFolder(bad, ".", values)
	for _, want := range []string{"other.zh.md: code: the file must be named terms.zh.md", "alone.en.md: locale:", "old.en.md: source: is bound to"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if _, err = legaltext.ReadFolder(good, "t", nil); err == nil || !strings.Contains(err.Error(), "no value for operator") {
		t.Errorf("without values: %v", err)
	}
}

func TestLintFindsWhatReadersWould(t *testing.T) {
	t.Parallel()
	zh, en := parse(t, master), parse(t, second)
	zh.Topics["law"] = "9.9"
	zh.Kind = legaltext.Agreement
	zh.Body += "1.1 请看 https://elsewhere.example/x 和 [这里](http://console.example) 。 \n"
	en.Body = "## 1. 费用费用费用费用\n"
	en.Purposes = nil
	var all strings.Builder
	for _, f := range legaltext.Lint(legaltext.Pair{Master: zh, Translation: en}, []string{"console.example"}) {
		all.WriteString(f.String() + "\n")
	}
	for _, want := range []string{
		"{{operator}} is not filled", "topic formation is not covered", "names clause 9.9, which does not exist", "clause 1.1 is there twice", "ends with spaces",
		"elsewhere.example/x: not a host", "http://console.example: must be https", "Chinese characters", "clauses differ from the master's: 1.1 is missing",
		"purposes differ from the master's: news is missing", "out of date",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in\n%s", want, all.String())
		}
	}
}

func TestLocalesOfBrowsers(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]legaltext.Locale{"zh": "zh", "zh-CN": "zh", "ZH_hans_cn": "zh", "en-US": "en", "fr": "", "": "", "english": ""} {
		if got, ok := legaltext.ParseLocale(tag); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", tag, got, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(master)
	f.Add(second)
	f.Fuzz(func(t *testing.T, file string) {
		d, err := legaltext.Parse(file)
		if err != nil {
			if _, ok := errors.AsType[*legaltext.FieldError](err); !ok {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		back, err := legaltext.Parse(d.Canonical())
		if err != nil || back.Hash() != d.Hash() {
			t.Fatalf("%v: %q", err, d.Canonical())
		}
	})
}
