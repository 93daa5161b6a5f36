package legaltext

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// header is the front matter as people write it.
type header struct {
	Code     string            `yaml:"code"`
	Locale   string            `yaml:"locale"`
	Version  string            `yaml:"version"`
	Title    string            `yaml:"title"`
	Kind     string            `yaml:"kind"`
	Service  string            `yaml:"service"`
	Order    int               `yaml:"order"`
	Class    string            `yaml:"class"`
	Purposes map[string]string `yaml:"purposes"`
	Options  map[string]string `yaml:"options"`
	Topics   map[string]string `yaml:"topics"`
	Source   string            `yaml:"source"`
}

const (
	fence = "---\n"
	// maxFile bounds a file: the body and a front matter with every entry at its longest.
	maxFile = MaxBody + 256<<10
)

// Parse reads a file with front matter and returns the document, normalised and checked. Errors: *FieldError.
func Parse(file string) (*Document, error) {
	if len(file) > maxFile {
		return nil, wrong("file", "has %d bytes, at most %d are taken", len(file), maxFile)
	}
	file = strings.ReplaceAll(strings.TrimPrefix(file, "\uFEFF"), "\r\n", "\n")
	rest, ok := strings.CutPrefix(file, fence)
	if !ok {
		return nil, wrong("front matter", "the first line must be ---")
	}
	front, body, ok := strings.Cut(rest, "\n"+fence)
	if !ok {
		return nil, wrong("front matter", "the line --- that ends it is missing")
	}
	h, err := parseHeader(front)
	if err != nil {
		return nil, err
	}
	d := &Document{
		Code: h.Code, Locale: Locale(h.Locale), Version: h.Version, Title: h.Title, Body: body, Purposes: h.Purposes, Options: h.Options,
		Kind: Kind(h.Kind), Service: h.Service, Order: h.Order, Class: Class(h.Class), Topics: h.Topics, Source: h.Source,
	}
	d.Normalize()
	if err := d.Check(); err != nil {
		return nil, err
	}
	return d, nil
}

func parseHeader(front string) (h header, err error) {
	defer func() { // the parser meets hostile input
		if p := recover(); p != nil {
			err = wrong("front matter", "not YAML: %v", p)
		}
	}()
	if err := yaml.UnmarshalWithOptions([]byte(front+"\n"), &h, yaml.Strict()); err != nil {
		if e, ok := errors.AsType[yaml.Error](err); ok {
			at := ""
			if t := e.GetToken(); t != nil && t.Position != nil {
				at = fmt.Sprintf("line %d: ", t.Position.Line+1)
			}
			return h, wrong("front matter", "%s%s", at, e.GetMessage())
		}
		return h, wrong("front matter", "not YAML")
	}
	return h, nil
}
