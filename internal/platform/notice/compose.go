package notice

import (
	"html"
	"regexp"
	"strings"
	"unicode/utf8"

	"borealis/internal/kernel/mail"
	"borealis/internal/platform/notice/wording"
)

// compose makes the e-mail of a delivery: both languages, the reader's first; the word by which the reader knows real mail; how to reach
// support; how to end optional mail.
func (s *Service) compose(t *task, c *content) *mail.Message {
	first, second := c.Texts.ZH, c.Texts.EN
	if t.locale == "en" {
		first, second = second, first
	}
	unsubscribe := s.unsubscribeURL(t.user, t.class)
	paragraphs := []string{first.Body, second.Title + "\n" + second.Body}
	if t.locale == "en" && t.class == Legal {
		paragraphs = append(paragraphs, "If the texts differ, the Chinese one prevails.")
	}
	foot := s.foot(t, unsubscribe)
	return &mail.Message{
		To: t.address, Subject: first.Title, ID: s.token(t.id), Unsubscribe: unsubscribe,
		Text: strings.Join(append(paragraphs, foot...), "\n\n") + "\n",
		HTML: s.html(t.locale, first, paragraphs, foot),
	}
}

func (s *Service) foot(t *task, unsubscribe string) []string {
	en := t.locale == "en"
	pick := func(zh, english string) string {
		if en {
			return english
		}
		return zh
	}
	var out []string
	if t.word != "" {
		out = append(out, pick("您的防钓鱼口令短语：", "Your phrase against forged mail: ")+t.word)
	}
	out = append(out, pick("我们不会以任何方式向您索要密码。", "We never ask you for your password."))
	var contact []string
	if brand := pick(s.contact.BrandZH, s.contact.BrandEN); brand != "" {
		contact = append(contact, brand)
	}
	if s.contact.Phone != "" {
		contact = append(contact, pick("客服电话 ", "Telephone ")+s.contact.Phone)
	}
	if s.contact.Email != "" {
		contact = append(contact, pick("客服邮箱 ", "Support ")+s.contact.Email)
	}
	if len(contact) > 0 {
		out = append(out, strings.Join(contact, " · "))
	}
	if unsubscribe != "" {
		out = append(out, pick("退订此类邮件：", "No more mail of this kind: ")+unsubscribe)
	}
	return out
}

var urlPattern = regexp.MustCompile(`https://[^\s<>"'，。；！？、（）《》“”]+`)

// html is the same as the plain part, with the links made links. Nothing in it is loaded from anywhere.
func (s *Service) html(locale string, first wording.Text, paragraphs, foot []string) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html lang="` + locale + `"><head><meta charset="utf-8"><title>` + html.EscapeString(first.Title) + `</title></head>`)
	b.WriteString(`<body style="font-family:sans-serif">`)
	b.WriteString("<h2>" + html.EscapeString(first.Title) + "</h2>")
	for _, p := range paragraphs {
		b.WriteString("<p>" + linked(p) + "</p>")
	}
	b.WriteString(`<hr>`)
	for _, p := range foot {
		b.WriteString(`<p style="color:#666">` + linked(p) + "</p>")
	}
	b.WriteString("</body></html>")
	return b.String()
}

// linked escapes text and makes links of its addresses, which the linter has seen.
func linked(text string) string {
	var b strings.Builder
	for {
		at := urlPattern.FindStringIndex(text)
		if at == nil {
			break
		}
		link := strings.TrimRight(text[at[0]:at[1]], ".,;:!?)")
		end := at[0] + len(link)
		b.WriteString(escaped(text[:at[0]]) + `<a href="` + html.EscapeString(link) + `">` + html.EscapeString(link) + "</a>")
		text = text[end:]
	}
	b.WriteString(escaped(text))
	return b.String()
}

func escaped(text string) string { return strings.ReplaceAll(html.EscapeString(text), "\n", "<br>\n") }

// clip is the beginning of a text, of at most n bytes.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "")
	}
	return strings.ReplaceAll(s, "\x00", "")
}
