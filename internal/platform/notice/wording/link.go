package wording

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

var (
	// schemePattern finds what programs make a link of because of its scheme.
	schemePattern = regexp.MustCompile(`(?i)\b(?:[a-z][a-z0-9+.-]*://|javascript:|data:|vbscript:|intent:|weixin:)[^\s<>"'，。；！？、（）《》“”]*`)
	// addressPattern finds addresses of e-mail.
	addressPattern = regexp.MustCompile(`(?i)[a-z0-9._%+-]+@([a-z0-9.-]+)`)
	// namePattern finds names of hosts without a scheme that programs make links of too.
	namePattern = regexp.MustCompile(`(?i)(?:www\.[a-z0-9.-]+|(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:` + domains + `)|` +
		`\p{Han}\.(?:com|cn|net|org))(?:[^a-z0-9.-]|\.?$|\.[^a-z0-9])|` +
		`(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+(?:公司|中国|网络|网址|商城|集团|在线|中文网|我爱你)`)
)

// domains are the ends of names that mail programs and telephones recognise, as far as they are no usual ends of other words.
const domains = `com|net|org|edu|gov|mil|int|info|biz|name|mobi|asia|cn|hk|tw|mo|sg|jp|kr|in|us|uk|de|fr|ru|eu|ca|au|nz|ch|at|nl|se|no|fi|pl|it|es|br|mx|tk|ml|ga|cf|` +
	`io|ai|me|co|cc|tv|ws|la|ly|gg|to|vip|xyz|top|app|dev|site|online|store|shop|club|link|live|work|wang|ltd|group|tech|fun|icu|pub|red|ink|win|bid|loan|men|click|` +
	`page|cloud|website|space|host|press|news|video|art|xin|ren|example|test|onion`

// links finds links that do not lead to the operator.
func (r Rules) links(f field) []Problem {
	var out []Problem
	bad := func(what string) { out = append(out, Problem{RuleLink, f.name, what}) }
	text := norm.NFKC.String(f.text)
	for _, m := range schemePattern.FindAllString(text, -1) {
		switch {
		case placeholderPattern.MatchString(m) || strings.Contains(m, "{{"):
			bad("an address must not be put together from placeholders; declare one of the kind url")
		case !r.ownURL(m):
			bad("links must begin with https:// and lead to one of the operator's own hosts")
		}
		text = strings.Replace(text, m, " ", 1)
	}
	for _, m := range addressPattern.FindAllStringSubmatch(text, -1) {
		if !r.own(strings.TrimRight(m[1], ".-")) {
			bad("addresses of e-mail must be at one of the operator's own hosts")
		}
		text = strings.Replace(text, m[0], " ", 1)
	}
	for _, m := range namePattern.FindAllString(text, -1) {
		if !r.own(hostOf(m)) {
			bad("the name of a host that is not the operator's would become a link")
		}
	}
	return out
}

// hostOf takes off what namePattern matched after the name.
func hostOf(match string) string {
	return strings.TrimRightFunc(match, func(c rune) bool {
		return c == '.' || c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c) || c > 0x7f
	})
}

// ownURL tells whether an address is one of the operator's, in a form that every program reads alike.
func (r Rules) ownURL(text string) bool {
	if strings.ContainsAny(text, "\\\t\r\n ") || len(text) > maxURL {
		return false
	}
	u, err := url.Parse(strings.TrimRight(text, ".,;:!?)"))
	return err == nil && u.Scheme == "https" && u.User == nil && u.Opaque == "" && (u.Port() == "" || u.Port() == "443") && r.own(u.Hostname())
}

const maxURL = 1000

// defang makes a value that somebody else chose, such as the name of an app, unfit to become a link, unless it leads to the operator. A
// notice that must go out is not kept back by it.
func (r Rules) defang(value string) string {
	if len(r.links(field{"value", value})) == 0 {
		return value
	}
	value = norm.NFKC.String(value)
	value = strings.NewReplacer("://", "[:]//", ":", "[:]", "@", "[@]").Replace(value)
	var b strings.Builder
	for i, c := range value {
		if c == '.' && i > 0 && i+1 < len(value) && value[i+1] > ' ' {
			b.WriteString("[.]")
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
