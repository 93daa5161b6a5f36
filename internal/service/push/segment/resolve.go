package segment

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
)

// maxResolving is how many resolutions run at a time. Each holds some sets over all devices of an app, a megabyte each for
// ten million.
const maxResolving = 4

// errNotBounded: segments were changed while they were read, and what came together is none that could be stored.
var errNotBounded = errors.New("segment: changed while it was read")

// ResolveSegment is the set of devices of a segment as they are now, which the caller owns; nobody if there is no such
// segment.
func (s *Service) ResolveSegment(ctx context.Context, app *gate.App, id string) (*roaring.Bitmap, error) {
	if !validID(segmentPrefix, id) {
		return roaring.New(), nil
	}
	found, err := queryAudiences(ctx, s.db, app.ID, []string{id})
	if err != nil {
		return nil, err
	}
	a := found[id]
	if a == nil {
		return roaring.New(), nil
	}
	return s.resolve(ctx, app, a)
}

// Count is how many devices a segment has now. Refusal: ErrNotFound.
func (s *Service) Count(ctx context.Context, app *gate.App, id string) (uint64, error) {
	if _, err := s.Get(ctx, app, id); err != nil {
		return 0, err
	}
	set, err := s.ResolveSegment(ctx, app, id)
	if err != nil {
		return 0, err
	}
	return set.GetCardinality(), nil
}

// resolve evaluates an expression.
func (s *Service) resolve(ctx context.Context, app *gate.App, a *Audience) (*roaring.Bitmap, error) {
	all, err := s.reach(ctx, app.ID, a)
	if err != nil {
		return nil, err
	}
	if err := s.audience.Sync(ctx, app.ID); err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e := evaluation{Service: s, app: app, audiences: all, done: make(map[string]*roaring.Bitmap)}
	return e.eval(ctx, a.root)
}

// reach reads the expressions of all segments that an expression reaches, one statement for each step.
func (s *Service) reach(ctx context.Context, app int64, a *Audience) (map[string]*Audience, error) {
	all := make(map[string]*Audience)
	clauses, next := a.clauses, a.refs
	for steps := 0; len(next) > 0; steps++ {
		if steps > maxChain {
			return nil, errNotBounded
		}
		found, err := queryAudiences(ctx, s.db, app, next)
		if err != nil {
			return nil, err
		}
		var further []string
		for id, b := range found {
			if clauses += b.clauses; clauses > maxReach {
				return nil, errNotBounded
			}
			all[id] = b
			further = append(further, b.refs...)
		}
		slices.Sort(further)
		next = slices.DeleteFunc(slices.Compact(further), func(id string) bool { return all[id] != nil })
	}
	return all, nil
}

// evaluation of one expression.
type evaluation struct {
	*Service
	app       *gate.App
	audiences map[string]*Audience
	// done are the sets of segments, which are evaluated once; nil while one is.
	done map[string]*roaring.Bitmap
	// everybody is nil until it is needed.
	everybody *roaring.Bitmap
}

// eval is the set of a node, which the caller owns.
func (e *evaluation) eval(ctx context.Context, n *node) (*roaring.Bitmap, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out *roaring.Bitmap // nil: everybody so far
	meet := func(set *roaring.Bitmap, err error) error {
		switch {
		case err != nil:
		case out == nil:
			out = set
		default:
			out.And(set)
		}
		return err
	}
	if n.plain {
		if err := meet(e.plain(n)); err != nil {
			return nil, err
		}
	}
	if len(n.segments) > 0 {
		if err := meet(e.segments(ctx, n.segments)); err != nil {
			return nil, err
		}
	}
	nobody := func() bool { return out != nil && out.IsEmpty() }
	for _, part := range n.all {
		if nobody() {
			break
		}
		if err := meet(e.eval(ctx, part)); err != nil {
			return nil, err
		}
	}
	if len(n.any) > 0 && !nobody() {
		if err := meet(e.union(ctx, n.any)); err != nil {
			return nil, err
		}
	}
	if n.not != nil && !nobody() {
		if err := e.subtract(ctx, &out, n.not); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *evaluation) plain(n *node) (*roaring.Bitmap, error) {
	expr := n.expr
	if len(n.rids) > 0 {
		expr.Ordinals, _ = e.devices.Resolve(e.app, n.rids)
		expr.HasOrdinals = true
	}
	return e.evaluate(expr)
}

func (e *evaluation) evaluate(expr audience.Expr) (*roaring.Bitmap, error) {
	set, err := e.audience.Evaluate(e.app.ID, expr)
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	return set, nil
}

func (e *evaluation) union(ctx context.Context, parts []*node) (*roaring.Bitmap, error) {
	out := roaring.New()
	for _, part := range parts {
		set, err := e.eval(ctx, part)
		if err != nil {
			return nil, err
		}
		out.Or(set)
	}
	return out, nil
}

// subtract takes a node from a set; nil is everybody.
func (e *evaluation) subtract(ctx context.Context, from **roaring.Bitmap, n *node) (err error) {
	if *from == nil {
		if e.everybody == nil {
			if e.everybody, err = e.evaluate(audience.Expr{All: true, Platforms: audience.AllPlatforms}); err != nil {
				return err
			}
		}
		*from = e.everybody.Clone()
	}
	set, err := e.eval(ctx, n)
	if err == nil {
		(*from).AndNot(set)
	}
	return err
}

// segments is the union of named segments.
func (e *evaluation) segments(ctx context.Context, ids []string) (*roaring.Bitmap, error) {
	out := roaring.New()
	for _, id := range ids {
		set, seen := e.done[id]
		if seen && set == nil {
			return nil, errNotBounded
		}
		if a := e.audiences[id]; !seen && a != nil {
			e.done[id] = nil
			var err error
			if set, err = e.eval(ctx, a.root); err != nil {
				return nil, err
			}
			e.done[id] = set
		}
		if set != nil { // else it was deleted meanwhile
			out.Or(set)
		}
	}
	return out, nil
}
