package legaltext

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxFiles bounds a folder.
const maxFiles = 500

// placeholder is what an installation fills in: {{operator}}.
var placeholder = regexp.MustCompile(`\{\{\s*([a-z][a-z0-9_]*)\s*\}\}`)

// Pair is a document with its translation, which may be nil.
type Pair struct {
	Master, Translation *Document
}

// ReadFolder reads every <code>.<locale>.md directly in dir, fills the placeholders {{name}} from values and binds each
// translation without a source to the master beside it. The pairs come in order of their codes. The error joins a
// *FieldError for each thing that is wrong: a name that is not the code's, a placeholder without a value, a translation
// without its master, of another version, or of another text.
func ReadFolder(files fs.FS, dir string, values map[string]string) ([]Pair, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("legaltext: read folder: %w", err)
	}
	if len(entries) > maxFiles {
		return nil, wrong("folder", "has %d entries, at most %d are taken", len(entries), maxFiles)
	}
	var (
		errs []error
		docs = map[string]*Document{}
	)
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".md") || strings.EqualFold(e.Name(), "README.md") {
			continue
		}
		d, err := readFile(files, path.Join(dir, e.Name()), values)
		if err != nil {
			errs = append(errs, inFile(e.Name(), err))
			continue
		}
		docs[d.FileName()] = d
	}
	pairs, err := pairUp(docs)
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return nil, errors.Join(errs...)
	}
	return pairs, nil
}

func readFile(files fs.FS, name string, values map[string]string) (*Document, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, wrong("file", "cannot be read: %v", err)
	}
	if info.Size() > maxFile {
		return nil, wrong("file", "has %d bytes, at most %d are taken", info.Size(), maxFile)
	}
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, wrong("file", "cannot be read: %v", err)
	}
	d, err := Parse(string(raw))
	if err != nil {
		return nil, err
	}
	if want := d.FileName(); path.Base(name) != want {
		return nil, wrong("code", "the file must be named %s", want)
	}
	if err := d.Fill(values); err != nil {
		return nil, err
	}
	return d, nil
}

// Fill puts values in the place of {{name}} in title, body and labels. It is an error if one has no value.
func (d *Document) Fill(values map[string]string) error {
	var missing []string
	fill := func(text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(found string) string {
			name := placeholder.FindStringSubmatch(found)[1]
			if v := strings.TrimSpace(values[name]); v != "" {
				return v
			}
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
			return found
		})
	}
	d.Title, d.Body = fill(d.Title), fill(d.Body)
	for _, list := range []map[string]string{d.Purposes, d.Options} {
		for code, label := range list {
			list[code] = fill(label)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return wrong("body", "no value for %s", strings.Join(missing, ", "))
	}
	d.Normalize()
	return d.Check()
}

// Placeholders are the names in {{…}} of the documents, sorted.
func Placeholders(docs ...*Document) []string {
	var names []string
	for _, d := range docs {
		texts := []string{d.Title, d.Body}
		for _, list := range []map[string]string{d.Purposes, d.Options} {
			for _, label := range list {
				texts = append(texts, label)
			}
		}
		for _, text := range texts {
			for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
				names = append(names, m[1])
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func pairUp(docs map[string]*Document) ([]Pair, error) {
	var (
		errs  []error
		pairs []Pair
	)
	for name, d := range docs {
		if d.Locale == Master {
			pairs = append(pairs, Pair{Master: d})
		} else if docs[d.Code+"."+string(Master)+".md"] == nil {
			errs = append(errs, inFile(name, wrong("locale", "a translation needs its master %s.%s.md beside it", d.Code, Master)))
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Master.Code, b.Master.Code) })
	for i := range pairs {
		p := &pairs[i]
		if p.Translation = docs[p.Master.Code+"."+string(English)+".md"]; p.Translation == nil {
			continue
		}
		if p.Translation.Source == "" {
			p.Translation.Source = p.Master.Hash()
		}
		if err := Bound(p.Master, p.Translation); err != nil {
			errs = append(errs, inFile(p.Translation.FileName(), err))
		}
	}
	return pairs, errors.Join(errs...)
}

// Bound says why t is no translation of master: a *FieldError, or nil.
func Bound(master, t *Document) error {
	switch {
	case t.Code != master.Code:
		return wrong("code", "translates %s, not %s", t.Code, master.Code)
	case t.Version != master.Version:
		return wrong("version", "translates version %s, the master is %s", t.Version, master.Version)
	case t.Source != master.Hash():
		return wrong("source", "is bound to the text %.12s…, the master is %.12s…: it is out of date", t.Source, master.Hash())
	}
	return nil
}

func inFile(file string, err error) error {
	if e, ok := errors.AsType[*FieldError](err); ok {
		return &FieldError{File: file, Field: e.Field, Problem: e.Problem}
	}
	return err
}
