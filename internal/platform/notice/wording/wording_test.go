package wording

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var rules = Rules{Hosts: []string{"console.borealis.example", "*.help.borealis.example", "borealis.example"}}

func good() Texts {
	return Texts{
		ZH: Text{Title: "维护通知", Body: "{{service}} 将于 {{start}} 维护。\n详情：{{link}}", Short: "{{service}} 将于 {{start}} 维护"},
		EN: Text{Title: "Maintenance", Body: "{{service}} is under maintenance from {{start}}.\nMore: {{link}}", Short: "{{service}}: maintenance from {{start}}"},
	}
}

func goodPlaceholders() []Placeholder {
	return []Placeholder{{"service", KindText}, {"start", KindTime}, {"link", KindURL}}
}

func has(problems []Problem, rule string) bool {
	for _, p := range problems {
		if p.Rule == rule {
			return true
		}
	}
	return false
}

func TestAGoodTemplateHasNoProblem(t *testing.T) {
	texts := good()
	if p := rules.Lint(&texts, goodPlaceholders(), false); len(p) != 0 || Error(p) != nil {
		t.Errorf("problems %+v", p)
	}
}

// AG-DEF-01: links lead to the operator's own hosts only.
func TestLinksLeadToOwnHostsOnly(t *testing.T) {
	for text, ok := range map[string]bool{
		"见 https://console.borealis.example/a?b=c。":       true,
		"https://a.help.borealis.example/":                true,
		"写信到 support@borealis.example":                    true,
		"console.borealis.example":                        true,
		"版本 v1.2.3，见 a.b 与 e.g. 第 3.5 节":                  true,
		"see node.js and config.go":                       true,
		"https://evil.example/":                           false,
		"http://console.borealis.example/":                false,
		"https://console.borealis.example@evil.example/":  false,
		"https://console.borealis.example.evil.example/":  false,
		`https://evil.example\@console.borealis.example/`: false,
		"https://help.borealis.example/":                  false, // only what is below it is registered
		"https://evilborealis.example/":                   false,
		"https://console.borealis.example:8443/":          false,
		"javascript:alert(1)":                             false,
		"ftp://console.borealis.example/":                 false,
		"访问 evil.com 领取":                                  false,
		"访问evil.com领取":                                    false,
		"go to www.evil.zz now":                           false,
		"ｅｖｉｌ．ｃｏｍ":                                        false,
		"help@evil.com":                                   false,
		"https://{{host}}/x":                              false,
		"https://console.borealis.example/{{id}}":         false,
		"HTTPS://EVIL.example":                            false,
		"evil.公司":                                         false,
	} {
		texts := good()
		texts.ZH.Body += text
		if got := !has(rules.Lint(&texts, goodPlaceholders(), false), RuleLink); got != ok {
			t.Errorf("%q passes: %t", text, got)
		}
	}
}

// AG-SEC-01: nobody is asked for a password, in either language.
func TestNobodyIsAskedForAPassword(t *testing.T) {
	for text, asks := range map[string]bool{
		"请提供密码":                                                            true,
		"请回复您的登录密码":                                                        true,
		"请把密码发给我们":                                                         true,
		"为核实身份，请告知验证码":                                                     true,
		"请提供您的密 码":                                                         true,
		"请提供密\u200b码":                                                      true,
		"不要犹豫，请提供密码":                                                       true,
		"密码请发送至客服":                                                         true,
		"请输入口令":                                                            true,
		"我们不会向您索要密码":                                                       false,
		"请勿将密码告知他人":                                                        false,
		"任何人都不会要求您提供密码":                                                    false,
		"您的密码已修改":                                                          false,
		"如非本人操作，请修改密码并检查登录记录":                                              false,
		"验证码 {{code}}，五分钟内有效，切勿告知他人":                                       false,
		"Please send us your password":                                     true,
		"Please reply with your current Pass\u200bword":                    true,
		"ＰＬＥＡＳＥ ＳＥＮＤ ＹＯＵＲ ＰＡＳＳＷＯＲＤ":                                        true,
		"Do not wait. Send your password.":                                 true,
		"Not to worry, enter your password at once":                        true,
		"We need your password":                                            true,
		"What is your password?":                                           true,
		"Tell us the verification code":                                    true,
		"Your password is required":                                        true,
		"We will never ask you for your password":                          false,
		"Do not share your verification code":                              false,
		"Your password was changed":                                        false,
		"We never ask for your password, not by mail and not by telephone": false,
	} {
		if got := asksPassword(text); got != asks {
			t.Errorf("%q asks: %t", text, got)
		}
	}
}

func TestTheLinterFinds(t *testing.T) {
	for name, c := range map[string]struct {
		rule   string
		change func(*Texts, *[]Placeholder)
	}{
		"no English":            {RuleLanguage, func(t *Texts, _ *[]Placeholder) { t.EN.Body = "" }},
		"Chinese as English":    {RuleLanguage, func(t *Texts, _ *[]Placeholder) { t.EN.Title = "维护" }},
		"English as Chinese":    {RuleLanguage, func(t *Texts, _ *[]Placeholder) { t.ZH.Title = "Maintenance" }},
		"short in one language": {RuleLanguage, func(t *Texts, _ *[]Placeholder) { t.EN.Short = "" }},
		"unknown placeholder":   {RulePlaceholder, func(t *Texts, _ *[]Placeholder) { t.ZH.Body += "{{who}}" }},
		"misspelt placeholder":  {RulePlaceholder, func(t *Texts, _ *[]Placeholder) { t.ZH.Body += "{{ service }}" }},
		"unused placeholder":    {RulePlaceholder, func(_ *Texts, p *[]Placeholder) { *p = append(*p, Placeholder{"more", KindText}) }},
		"in one language": {RulePlaceholder, func(t *Texts, _ *[]Placeholder) {
			t.EN.Body = "Maintenance from {{start}}: {{link}}"
			t.EN.Short = "From {{start}}"
		}},
		"unknown kind":           {RulePlaceholder, func(_ *Texts, p *[]Placeholder) { (*p)[0].Kind = "html" }},
		"declared twice":         {RulePlaceholder, func(_ *Texts, p *[]Placeholder) { *p = append(*p, (*p)[0]) }},
		"placeholder for secret": {RuleSecret, func(_ *Texts, p *[]Placeholder) { *p = append(*p, Placeholder{"master_secret", KindText}) }},
		"code in no security":    {RuleSecret, func(_ *Texts, p *[]Placeholder) { (*p)[0].Kind = KindCode }},
		"secret":                 {RuleSecret, func(t *Texts, _ *[]Placeholder) { t.EN.Body += " key 0123456789abcdef0123456789abcdef" }},
		"secret with its name":   {RuleSecret, func(t *Texts, _ *[]Placeholder) { t.ZH.Body += "初始密码：abc12345" }},
		"mobile number":          {RulePersonal, func(t *Texts, _ *[]Placeholder) { t.ZH.Body += " 13800138000 " }},
		"markup":                 {RuleForm, func(t *Texts, _ *[]Placeholder) { t.EN.Body += "<a href=x>" }},
		"title of two lines":     {RuleForm, func(t *Texts, _ *[]Placeholder) { t.EN.Title += "\nx" }},
		"hidden characters":      {RuleForm, func(t *Texts, _ *[]Placeholder) { t.EN.Body += "\u202e" }},
		"long title":             {RuleForm, func(t *Texts, _ *[]Placeholder) { t.EN.Title = strings.Repeat("x", MaxTitle+1) }},
	} {
		texts, list := good(), goodPlaceholders()
		c.change(&texts, &list)
		problems := rules.Lint(&texts, list, false)
		if !has(problems, c.rule) {
			t.Errorf("%s: %+v", name, problems)
		}
		if _, ok := errors.AsType[*InvalidError](Error(problems)); !ok {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRender(t *testing.T) {
	texts := good()
	values := func() map[string]string {
		return map[string]string{"service": "推送", "start": "2026-11-25 23:00", "link": "https://console.borealis.example/m/1"}
	}
	out, err := rules.Render(&texts, goodPlaceholders(), values())
	if err != nil || out.ZH.Body != "推送 将于 2026-11-25 23:00 维护。\n详情：https://console.borealis.example/m/1" || out.EN.Short != "推送: maintenance from 2026-11-25 23:00" {
		t.Fatalf("%+v, %v", out, err)
	}
	for name, c := range map[string]struct{ name, value, field string }{
		"missing": {"service", "", "values.service"}, "unknown": {"who", "x", "values"}, "date": {"start", "tomorrow", "values.start"},
		"foreign link": {"link", "https://evil.example/", "values.link"}, "line": {"service", "a\nb", "values.service"},
		"asks": {"service", "请提供密码", "values.service"}, "braces": {"service", "{{link}}", "values.service"}, "mobile": {"service", "13800138000", "zh.body"},
		"long": {"service", strings.Repeat("x", 201), "values.service"}, "secret": {"service", "Bearer abcdefghijklmnopqrstuvwxyz", "zh.body"},
	} {
		v := values()
		v[c.name] = c.value
		_, err := rules.Render(&texts, goodPlaceholders(), v)
		if ie, ok := errors.AsType[*InvalidError](err); !ok || ie.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The name that somebody gave an app cannot keep a mandatory notice back, and cannot become a link in it.
	for _, name := range []string{"evil.com", "https://evil.com/a", "<b>x</b>", "a@evil.com", "javascript:x", "[a](b)", "访问evil.com领取"} {
		v := values()
		v["service"] = name
		out, err := rules.Render(&texts, goodPlaceholders(), v)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if p := rules.links(field{"x", out.ZH.Body}); len(p) != 0 || strings.ContainsAny(out.ZH.Body, "<>") {
			t.Errorf("%q became %q", name, out.ZH.Body)
		}
	}
}

// Whatever value is put in, the result is refused or clean.
func TestRenderedTextsAreClean(t *testing.T) {
	texts := good()
	alphabet := rapid.SampledFrom([]string{"a", "evil", ".", "com", "://", "https", "@", "密码", "请", "提供", " ", "{{", "}}", "<", "\u200b", "。", "www.", "1", "3800138000", "send", "password"})
	rapid.Check(t, func(r *rapid.T) {
		value := strings.Join(rapid.SliceOfN(alphabet, 1, 12).Draw(r, "value"), "")
		out, err := rules.Render(&texts, goodPlaceholders(), map[string]string{"service": value, "start": "2026-11-25 23:00", "link": "https://borealis.example/"})
		if err != nil {
			return
		}
		for _, p := range rules.Lint(&out, nil, false) {
			r.Fatalf("%q: %+v in %q", value, p, out.ZH.Body)
		}
	})
}

func FuzzLint(f *testing.F) {
	f.Add("请提供密码", "https://evil.example/{{x}}")
	f.Fuzz(func(_ *testing.T, zh, en string) {
		texts := Texts{ZH: Text{Title: zh, Body: zh}, EN: Text{Title: en, Body: en}}
		_ = rules.Lint(&texts, goodPlaceholders(), true)
		_, _ = rules.Render(&texts, nil, nil)
		_ = rules.defang(zh)
	})
}
