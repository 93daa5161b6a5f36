package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "borealis"

// root is the top of the repository: the folder with go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// files lists the repository's files whose name ends with one of the suffixes, as slash paths from the root. What is
// built, fetched or kept by a running server is not part of it.
func files(t *testing.T, suffixes ...string) []string {
	t.Helper()
	top := root(t)
	var list []string
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || slices.Contains([]string{"bin", "data", "dist", "node_modules"}, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(rel, s) }) {
			list = append(list, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatalf("no files %v: the tree is not where this test looks", suffixes)
	}
	return list
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// use is one import of one file.
type use struct {
	file string // from the root
	from string // folder of the file
	to   string // import path
	test bool   // the file is a test
}

// uses lists all imports of all Go files, whatever their build tags.
func uses(t *testing.T) []use {
	t.Helper()
	var list []use
	for _, f := range files(t, ".go") {
		parsed, err := parser.ParseFile(token.NewFileSet(), f, read(t, f), parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, use{file: f, from: path.Dir(f), to: to, test: strings.HasSuffix(f, "_test.go")})
		}
	}
	return list
}

// within reports whether a folder is dir or below it.
func within(folder, dir string) bool { return folder == dir || strings.HasPrefix(folder, dir+"/") }
