package archtest

import (
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// maxLines is the longest a Go file may be. Review starts to ask at 400.
const maxLines = 600

func TestFilesStaySmall(t *testing.T) {
	t.Parallel()
	for _, f := range files(t, ".go") {
		text := read(t, f)
		if strings.HasPrefix(text, "// Code generated ") {
			continue
		}
		if n := strings.Count(text, "\n"); n >= maxLines {
			t.Errorf("%s has %d lines: split it by nouns", f, n)
		}
	}
}

func TestFoldersAreNamedForWhatTheyDo(t *testing.T) {
	t.Parallel()
	empty := []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "shared", "base", "lib", "models"}
	for _, f := range files(t, ".go", ".ts", ".tsx") {
		for part := range strings.SplitSeq(path.Dir(f), "/") {
			if slices.Contains(empty, part) {
				t.Errorf("%s: %q says nothing", f, part)
			}
		}
	}
}

// A package says what it owns and promises before its first line of code.
func TestPackagesAreDescribed(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for _, f := range files(t, ".go") {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f, read(t, f), parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		doc := parsed.Doc.Text()
		described[path.Dir(f)] = described[path.Dir(f)] || strings.HasPrefix(doc, "Package ") || strings.HasPrefix(doc, "Command ") || parsed.Name.Name == "main" && doc != ""
	}
	for dir, ok := range described {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}
