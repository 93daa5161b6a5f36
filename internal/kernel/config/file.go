package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// problemsError is several problems as one error, a line each.
type problemsError []string

// Error makes problemsError an error.
func (p problemsError) Error() string { return strings.Join(p, "\n") }

// parseFile reads a flat YAML mapping from option names to scalars or lists of scalars. Lists come back joined by
// commas, which is how flags write them.
func parseFile(data []byte) (map[string]string, error) {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // takePair says it better
	if err != nil {
		return nil, problemsError{syntaxProblem(err)}
	}
	known := map[string]bool{}
	for _, o := range options() {
		known[o.name] = true
	}
	values := map[string]string{}
	var problems problemsError
	for _, doc := range file.Docs {
		pairs, ok := mappingOf(doc.Body)
		if !ok {
			return nil, problemsError{"line 1: expected `name: value` lines"}
		}
		for _, pair := range pairs {
			if problem := takePair(values, known, pair); problem != "" {
				problems = append(problems, problem)
			}
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return values, nil
}

// syntaxProblem describes a parser's error without the lines of the file that its own text quotes: they may hold
// passwords.
func syntaxProblem(err error) string {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return "not YAML"
	}
	line := 0
	if t := e.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	return fmt.Sprintf("line %d: not YAML: %s", line, e.GetMessage())
}

// takePair puts one pair into values, or says what is wrong with it.
func takePair(values map[string]string, known map[string]bool, pair *ast.MappingValueNode) string {
	key, line := "?", 0
	if t := pair.Key.GetToken(); t != nil {
		key, line = t.Value, t.Position.Line
	}
	if !known[key] {
		return fmt.Sprintf("line %d: unknown key %q", line, key)
	}
	if _, twice := values[key]; twice {
		return fmt.Sprintf("line %d: %q is given twice", line, key)
	}
	value, set, ok := valueOf(pair.Value)
	if !ok {
		return fmt.Sprintf("line %d: %q takes a plain value or a list of them", line, key)
	}
	if set {
		values[key] = value
	}
	return ""
}

// mappingOf returns the pairs of a document; one with only comments has none.
func mappingOf(body ast.Node) (pairs []*ast.MappingValueNode, ok bool) {
	switch n := body.(type) {
	case nil:
		return nil, true
	case *ast.CommentGroupNode, *ast.NullNode:
		return nil, true
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// valueOf is the text of a value. set is false for null, which leaves the default in place.
func valueOf(node ast.Node) (text string, set, ok bool) {
	switch n := node.(type) {
	case *ast.NullNode:
		return "", false, true
	case *ast.StringNode:
		return n.Value, true, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true, true
	case *ast.SequenceNode:
		items := make([]string, 0, len(n.Values))
		for _, v := range n.Values {
			item, itemSet, itemOK := valueOf(v)
			if _, nested := v.(*ast.SequenceNode); nested || !itemOK || !itemSet {
				return "", false, false
			}
			items = append(items, item)
		}
		return strings.Join(items, ","), true, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		if t := n.GetToken(); t != nil {
			return t.Value, true, true
		}
	}
	return "", false, false
}
