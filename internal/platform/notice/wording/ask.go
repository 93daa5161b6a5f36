package wording

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// What is asked for, and how one asks, in Chinese and in English.
const (
	zhThing = `(?:密码|密碼|口令|验证码|驗證碼|动态码|校验码|密钥|私钥|助记词|登录凭证)`
	zhVerb  = `(?:提供|回复|回覆|告知|告诉|发送|发给|发到|发至|发来|发我|寄给|` +
		`提交|输入|填写|出示|报给|报出|索要|索取|透露|交出|核对|核实|确认|验证一?下?您?的?|说出|转告)`
	enThing = `(?:password|passwd|passcode|passphrase|pass word|pin code|pin number|one[- ]time code|` +
		`verification code|security code|recovery codes?|master ?secret|private key|credentials?)`
	enVerb = `(?:send|provide|reply|respond|give|tell|enter|submit|confirm|verify|validate|share|supply|type|` +
		`e-?mail|forward|disclose|reveal|text|need|require|want|request|ask|hand over|let us know|write|fill in)`
)

var (
	clausePattern = regexp.MustCompile(`[，。；！？,.;!?\n：:]+`)
	zhAsk         = regexp.MustCompile(zhVerb + `.{0,12}?` + zhThing + `|` + zhThing + `.{0,12}?` + zhVerb)
	zhVerbPattern = regexp.MustCompile(zhVerb)
	zhNo          = regexp.MustCompile(`(?:不会|不要|请勿|切勿|勿|不得|从不|绝不|决不|不应|无需|无须|不需要|永不|不能|不可|不必|别|` +
		`并未|没有|未曾|不向|不以)[^，。；！？]{0,10}$`)
	zhChange = regexp.MustCompile(`(?:修改|重置|更改|更换|找回|设置|忘记)` + zhThing)
	enAsk    = regexp.MustCompile(`\b` + enVerb + `(?:s|ed|ing)?\b[^.!?\n]{0,80}?\b` + enThing + `\b|` +
		`\bwhat(?:'s| is) your ` + enThing + `\b|\b` +
		enThing + `\b[^.!?\n]{0,60}?\b(?:to us|by reply|in your reply|please|is (?:needed|required))`)
	enNo            = regexp.MustCompile(`\b(?:never|not|cannot|can't|won't|don't|doesn't|nobody|no one|none of us|without)(?:\s+\S+){0,4}\s*$`)
	enSentence      = regexp.MustCompile(`[.!?\n;]+`)
	spacePattern    = regexp.MustCompile(`\s+`)
	secretName      = regexp.MustCompile(`(?i)secret|passw|token|private|master|credential|cookie|session|otp`)
	personalPattern = regexp.MustCompile(`(?:^|[^0-9A-Za-z])(?:1[3-9]\d{9}|[1-9]\d{16}[0-9Xx])(?:[^0-9A-Za-z]|$)`)
)

// asksPassword tells whether a text asks its reader for a password. To say that nobody will ever ask is allowed, and so is to speak of
// changing one.
func asksPassword(text string) bool {
	text = seen(text)
	return asksChinese(text) || asksEnglish(strings.ToLower(text))
}

// seen is a text as a reader sees it: wide letters as narrow ones, without what has no width.
func seen(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKC.String(text))
}

func asksChinese(text string) bool {
	for _, clause := range clausePattern.Split(text, -1) {
		clause = zhChange.ReplaceAllString(spacePattern.ReplaceAllString(clause, ""), "")
		for _, at := range zhAsk.FindAllStringIndex(clause, -1) {
			verb := zhVerbPattern.FindStringIndex(clause[at[0]:at[1]])
			if verb != nil && !zhNo.MatchString(clause[:at[0]+verb[0]]) {
				return true
			}
		}
	}
	return false
}

func asksEnglish(text string) bool {
	for _, sentence := range enSentence.Split(text, -1) {
		sentence = spacePattern.ReplaceAllString(sentence, " ")
		for _, at := range enAsk.FindAllStringIndex(sentence, -1) {
			before := sentence[:at[0]]
			if i := strings.LastIndexAny(before, ",:"); i >= 0 {
				before = before[i+1:]
			}
			if !enNo.MatchString(before) {
				return true
			}
		}
	}
	return false
}

// secretShape is how a kind of secret looks.
type secretShape struct {
	pattern *regexp.Regexp
	what    string
}

var secretShapes = []secretShape{
	{regexp.MustCompile(`-----BEGIN [A-Z ]*(?:KEY|CERTIFICATE)`), "a key in PEM"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.`), "a signed token"},
	{regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+[A-Za-z0-9+/=._-]{16,}`), "credentials of a request"},
	{regexp.MustCompile(`\bs1\.\d+\.[A-Za-z0-9_-]{40,}`), "a sealed value"},
	{regexp.MustCompile(`(?:^|[^A-Za-z0-9/=_-])[A-Fa-f0-9]{32,}(?:[^A-Za-z0-9]|$)`), "a long hexadecimal value like a key"},
	{regexp.MustCompile(`(?i)(?:password|passwd|secret|密码|口令)\s*(?:is|are|为|是)?\s*[:：=]\s*[^\s{}]{4,}`), "a secret with its name"},
}

// secretIn names what in a text looks like a secret.
func secretIn(text string) string {
	text = seen(schemePattern.ReplaceAllString(text, " ")) // links may carry a one-time token
	for _, s := range secretShapes {
		if s.pattern.MatchString(text) {
			return s.what
		}
	}
	return ""
}

// personal tells whether a number of a mobile telephone or an identity card stands in a text in full.
func personal(text string) bool { return personalPattern.MatchString(seen(text)) }
