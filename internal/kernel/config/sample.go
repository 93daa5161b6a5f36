package config

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// option is one field of Config as its tags describe it.
type option struct {
	name, def, group, help string
	index                  int
	list                   bool
}

// options lists the fields that a file may set, in order of declaration.
func options() []option {
	t := reflect.TypeFor[Config]()
	list := make([]option, 0, t.NumField())
	for f := range t.Fields() {
		if f.Tag.Get("yaml") == "-" {
			continue
		}
		list = append(list, option{
			name:  f.Tag.Get("name"),
			def:   f.Tag.Get("default"),
			group: f.Tag.Get("group"),
			help:  f.Tag.Get("help"),
			index: f.Index[0],
			list:  f.Type.Kind() == reflect.Slice,
		})
	}
	return list
}

// Sample is a YAML file that names every option with its help and, commented out, its default.
func Sample() []byte {
	var b bytes.Buffer
	b.WriteString("# Options of `borealis serve`. Each line shows the default; remove the # to change it.\n" +
		"# A flag (--data-dir) wins over the environment (BOREALIS_DATA_DIR), which wins over this file.\n" +
		"# Written by `borealis config`.\n")
	group := ""
	for _, o := range options() {
		if o.group != group {
			group = o.group
			fmt.Fprintf(&b, "\n# ---- %s ----\n", group)
		}
		b.WriteByte('\n')
		for _, line := range wrap(o.help, lineWidth) {
			b.WriteString("# " + line + "\n")
		}
		value := quote(o.def)
		if o.list {
			value = "[]"
		}
		b.WriteString("#" + o.name + ": " + value + "\n")
	}
	return b.Bytes()
}

// YAML is the configuration in effect as a file that can be read back, except that passwords in URLs are masked.
func (c *Config) YAML() []byte {
	var b bytes.Buffer
	v := reflect.ValueOf(c).Elem()
	for _, o := range options() {
		b.WriteString(o.name + ": " + scalar(v.Field(o.index)) + "\n")
	}
	return b.Bytes()
}

func scalar(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return quote(x.String())
	case int:
		return strconv.Itoa(x)
	case []string:
		items := make([]string, len(x))
		for i, s := range x {
			items[i] = quote(s)
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return quote(fmt.Sprint(x))
	}
}

// quote writes a YAML scalar: bare where YAML reads the same text back as one, else double quoted. Bare is only what
// starts with a letter or a digit and has nothing YAML gives a meaning to.
func quote(s string) string {
	bare := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '/' || r == '.')
	})
	if bare && s[0] != '-' && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, s) {
		return s
	}
	return strconv.Quote(s)
}

const lineWidth = 100

// wrap breaks text into lines of at most width bytes, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
