package archtest

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	fencedCode = regexp.MustCompile("(?ms)^```.*?^```|`[^`\n]*`")
	mdLink     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	mdHeading  = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*$`)
)

func TestLinksInDocumentsResolve(t *testing.T) {
	t.Parallel()
	for _, doc := range files(t, ".md") {
		for _, m := range mdLink.FindAllStringSubmatch(fencedCode.ReplaceAllString(read(t, doc), ""), -1) {
			if problem := checkLink(t, doc, m[1]); problem != "" {
				t.Errorf("%s: %s: %s", doc, m[1], problem)
			}
		}
	}
}

// checkLink looks only at links into the repository.
func checkLink(t *testing.T, doc, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" || u.Host != "" {
		return ""
	}
	target := doc
	if u.Path != "" {
		target = path.Join(path.Dir(doc), u.Path)
	}
	if strings.HasPrefix(u.Path, "/") || strings.HasPrefix(target, "..") {
		return "leads out of the repository"
	}
	if _, err := os.Stat(filepath.Join(root(t), filepath.FromSlash(target))); err != nil {
		return "no such file"
	}
	if u.Fragment != "" && strings.HasSuffix(target, ".md") && !anchors(read(t, target))[u.Fragment] {
		return "no such heading"
	}
	return ""
}

// anchors are the names that code hosts give to the headings of a document.
func anchors(text string) map[string]bool {
	list := map[string]bool{}
	for _, m := range mdHeading.FindAllStringSubmatch(regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, ""), -1) {
		var name strings.Builder
		for _, r := range strings.ToLower(m[1]) {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				name.WriteRune(r)
			case r == ' ':
				name.WriteByte('-')
			}
		}
		list[name.String()] = true
	}
	return list
}

func TestAnchors(t *testing.T) {
	t.Parallel()
	got := anchors("# One `two`, three!\n```\n# not this\n```\n### 安装 a_b-c\n")
	if len(got) != 2 || !got["one-two-three"] || !got["安装-a_b-c"] {
		t.Errorf("anchors %v", got)
	}
	for link, ok := range map[string]bool{
		"doc.go": true, "./doc.go": true, "nothing.md": false, "../../../outside": false, "https://x.example/a": true, "/etc/passwd": false,
	} {
		if problem := checkLink(t, "internal/archtest/README.md", link); (problem == "") != ok {
			t.Errorf("%s: %q", link, problem)
		}
	}
}
