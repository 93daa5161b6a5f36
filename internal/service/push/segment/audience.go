package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"borealis/internal/engine/audience"
	"borealis/internal/service/push/payload"
)

const (
	// maxAudienceBytes is the longest expression.
	maxAudienceBytes = 64 << 10
	// maxDepth is how deep an expression nests; one without any, all and not is 1 deep.
	maxDepth = 5
	// maxClauses is how many conditions an expression has.
	maxClauses = 50
	// maxRefs is how many different segments an expression names.
	maxRefs = 20
	// maxTags and maxNames bound the lists, as in a push.
	maxTags, maxNames = 20, 1000
)

// Audience is an expression over the devices of an app. It is immutable.
type Audience struct {
	root *node
	// raw is the expression as compact JSON.
	raw json.RawMessage
	// clauses are its conditions, each key with a list or a platform counting as one.
	clauses int
	// refs are the segments it names, sorted, each once.
	refs []string
}

// node is an object of an expression. All that is present is intersected.
type node struct {
	// plain says that expr or rids have a condition. everybody is "all", which is one.
	plain, everybody bool
	expr             audience.Expr
	rids             []string
	segments         []string // union
	any, all         []*node
	not              *node
}

// ParseAudience reads an expression. The error is an *InvalidError that names the place.
func ParseAudience(raw []byte) (*Audience, error) {
	if len(raw) > maxAudienceBytes {
		return nil, &InvalidError{"audience", fmt.Sprintf("must not be longer than %d bytes", maxAudienceBytes)}
	}
	if !utf8.Valid(raw) {
		return nil, &InvalidError{"audience", "must be valid UTF-8"}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, &InvalidError{"audience", "must be valid JSON"}
	}
	p := parser{}
	root, err := p.node("audience", compact.Bytes(), 1)
	if err != nil {
		return nil, err
	}
	slices.Sort(p.refs)
	p.refs = slices.Compact(p.refs)
	switch {
	case p.clauses > maxClauses:
		return nil, &InvalidError{"audience", fmt.Sprintf("must not have more than %d conditions", maxClauses)}
	case len(p.refs) > maxRefs:
		return nil, &InvalidError{"audience", fmt.Sprintf("must not name more than %d segments", maxRefs)}
	}
	return &Audience{root: root, raw: compact.Bytes(), clauses: p.clauses, refs: p.refs}, nil
}

// parser reads one expression.
type parser struct {
	clauses int
	refs    []string
}

func wrong(at, format string, args ...any) *InvalidError {
	return &InvalidError{at, fmt.Sprintf(format, args...)}
}

func (p *parser) node(at string, raw json.RawMessage, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, wrong(at, "is nested more than %d deep", maxDepth)
	}
	if string(raw) == `"all"` {
		p.clauses++
		return &node{plain: true, everybody: true, expr: audience.Expr{All: true, Platforms: audience.AllPlatforms}}, nil
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, wrong(at, `must be "all" or an object`)
	}
	n := &node{expr: audience.Expr{Platforms: audience.AllPlatforms}}
	some := false
	// In the order of names, so that the first of several mistakes is always the same.
	for _, key := range sortedKeys(m) {
		if string(m[key]) == "null" {
			continue
		}
		some = true
		if err := p.member(n, at+"."+key, key, m[key], depth); err != nil {
			return nil, err
		}
		if p.clauses > maxClauses {
			return nil, wrong("audience", "must not have more than %d conditions", maxClauses)
		}
	}
	if !some {
		return nil, wrong(at, "must have a condition")
	}
	return n, nil
}

func (p *parser) member(n *node, at, key string, raw json.RawMessage, depth int) (err error) {
	switch key {
	case "any":
		n.any, err = p.nodes(at, raw, depth)
		return err
	case "all":
		n.all, err = p.nodes(at, raw, depth)
		return err
	case "not":
		n.not, err = p.node(at, raw, depth+1)
		return err
	}
	p.clauses++
	n.plain = n.plain || key != "segment"
	switch key {
	case "tag":
		n.expr.Tag, err = list(at, raw, maxTags, audience.CheckTag)
	case "tag_and":
		n.expr.TagAnd, err = list(at, raw, maxTags, audience.CheckTag)
	case "tag_not":
		n.expr.TagNot, err = list(at, raw, maxTags, audience.CheckTag)
	case "alias":
		n.expr.Alias, err = list(at, raw, maxNames, audience.CheckAlias)
	case "registration_id":
		n.rids, err = list(at, raw, maxNames, checkRegistrationID)
	case "platform":
		n.expr.Platforms, err = platforms(at, raw)
	case "segment":
		n.segments, err = list(at, raw, maxRefs, checkSegmentID)
		p.refs = append(p.refs, n.segments...)
	default:
		return wrong(at, "is not a supported key")
	}
	return err
}

func (p *parser) nodes(at string, raw json.RawMessage, depth int) ([]*node, error) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 || len(list) > maxClauses {
		return nil, wrong(at, "must be an array of 1 to %d expressions", maxClauses)
	}
	out := make([]*node, len(list))
	for i, raw := range list {
		var err error
		if out[i], err = p.node(fmt.Sprintf("%s[%d]", at, i), raw, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// list reads an array of strings. Unlike in a push an empty one is a mistake: stored, it would silently mean everybody.
func list(at string, raw json.RawMessage, limit int, check func(string) error) ([]string, error) {
	var texts []*string
	if json.Unmarshal(raw, &texts) != nil || len(texts) == 0 || len(texts) > limit || slices.Contains(texts, nil) {
		return nil, wrong(at, "must be an array of 1 to %d strings", limit)
	}
	out := make([]string, len(texts))
	for i, s := range texts {
		if err := check(*s); err != nil {
			return nil, wrong(fmt.Sprintf("%s[%d]", at, i), "%s", err)
		}
		out[i] = *s
	}
	return out, nil
}

func platforms(at string, raw json.RawMessage) (audience.PlatformSet, error) {
	if string(raw) == `"all"` {
		return audience.AllPlatforms, nil
	}
	var set audience.PlatformSet
	_, err := list(at, raw, int(audience.PlatformEnd), func(name string) error {
		platform, ok := audience.ParsePlatform(name)
		if !ok {
			return errors.New("must be a known platform")
		}
		set = set.With(platform)
		return nil
	})
	return set, err
}

// checkRegistrationID demands only what a push demands: whether there is such a device is asked when it is resolved.
func checkRegistrationID(s string) error {
	if s == "" || len(s) > payload.MaxRegistrationIDBytes {
		return fmt.Errorf("must have 1 to %d bytes", payload.MaxRegistrationIDBytes)
	}
	return nil
}

func checkSegmentID(s string) error {
	if !validID(segmentPrefix, s) {
		return errors.New("must be the id of a segment")
	}
	return nil
}

// Prefixes of ids. 32 hexadecimal digits follow, in order of creation.
const (
	segmentPrefix = "seg_"
	testPrefix    = "abt_"
	groupPrefix   = "abg_"
)

func validID(prefix, id string) bool {
	digits, ok := strings.CutPrefix(id, prefix)
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
