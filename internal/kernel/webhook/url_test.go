package webhook

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseURL(f *testing.F) {
	for _, text := range []string{
		"https://a.example/x?y=1", "http://10.0.0.1:8080", "http://[::1]/", "http://u:p@a.example", "ftp://a.example", "http://", "https:a", "http://a\x00b",
		"http://a.example:99999/", "HTTP://A.Example", "//a.example", "http://%zz/", "http://a.example/" + strings.Repeat("x", MaxURL),
	} {
		f.Add(text)
	}
	from := &url.URL{Scheme: "https", Host: "from.example", Path: "/a"}
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := ParseURL(text); err == nil {
			if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || !utf8.ValidString(text) || strings.ContainsRune(text, 0) || len(text) > MaxURL {
				t.Errorf("%q is accepted as %+v", text, u)
			}
			if again, err := ParseURL(u.String()); len(u.String()) <= MaxURL && (err != nil || origin(again) != origin(u)) {
				t.Errorf("%q: written %q, read as %v, %v", text, u, again, err)
			}
		}
		if next, err := location(from, text); err == nil && (next.Scheme != "https" || next.Hostname() == "" || next.User != nil) {
			t.Errorf("a redirect to %q leads to %s", text, next)
		}
		if got := clip(text); len(got) > maxReason || !utf8.ValidString(got) || strings.ContainsRune(got, 0) {
			t.Errorf("clip(%q) is %q", text, got)
		}
	})
}
