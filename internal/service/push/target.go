package push

import (
	"context"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/file"
	"borealis/internal/service/push/payload"
)

// vendorIDLen is the shortest registration id of the vendor: one that was not imported has the form of an id all the same.
const vendorIDLen = 18

// targets are the devices of a message: few as a list, many as sets.
type targets struct {
	few  []audience.Target
	many map[audience.Platform]*roaring.Bitmap
}

func (t *targets) count() (n int64) {
	for _, set := range t.many {
		n += int64(set.GetCardinality())
	}
	return n + int64(len(t.few))
}

// widen makes sets of a list.
func (t *targets) widen() {
	if t.many != nil {
		return
	}
	t.many = make(map[audience.Platform]*roaring.Bitmap)
	for _, target := range t.few {
		if t.many[target.Platform] == nil {
			t.many[target.Platform] = roaring.New()
		}
		t.many[target.Platform].Add(target.Ordinal)
	}
	t.few = nil
}

// narrow makes a list of sets.
func (t *targets) narrow() {
	for p, part := range t.many {
		for it := part.Iterator(); it.HasNext(); {
			t.few = append(t.few, audience.Target{Ordinal: it.Next(), Platform: p})
		}
	}
	t.many = nil
}

// all is the set of the targets. The caller owns it.
func (t *targets) all() *roaring.Bitmap {
	out := roaring.New()
	for _, set := range t.many {
		out.Or(set)
	}
	for _, target := range t.few {
		out.Add(target.Ordinal)
	}
	return out
}

// target evaluates the audience and drops devices of platforms for which the push has no content.
func (s *Service) target(ctx context.Context, app *gate.App, m *message, p *payload.Push, files file.Owner) (*targets, error) {
	a := &p.Audience
	if !a.All && a.FileID == "" && a.LiveActivityID == "" && len(a.Tag)+len(a.TagAnd)+len(a.TagNot)+len(a.Alias)+
		len(a.RegistrationID)+len(a.Segment)+len(a.ABTest) == 0 {
		return nil, compat.Errorf(400, 1003, "options.geofence: a geofence alone selects nobody here; name an audience")
	}
	if err := s.audience.Sync(ctx, app.ID); err != nil {
		return nil, fmt.Errorf("push: audience: %w", err)
	}
	expr := audience.Expr{All: a.All, Tag: a.Tag, TagAnd: a.TagAnd, TagNot: a.TagNot, Alias: a.Alias, Platforms: p.Platforms, Unmuted: p.Options.NotificationSwitchFilter}
	if len(a.RegistrationID) > 0 {
		// Unknown ids match nobody; a malformed single one is the caller's mistake.
		ordinals, err := s.devices.Lookup(ctx, app, a.RegistrationID)
		if err != nil {
			return nil, fmt.Errorf("push: audience: %w", err)
		}
		ordinals, unknown := device.Found(a.RegistrationID, ordinals)
		if len(unknown) == 1 && len(a.RegistrationID) == 1 && (len(unknown[0]) < vendorIDLen || len(unknown[0]) > deviceid.Len) {
			return nil, compat.Errorf(400, 1003, "audience.registration_id: %q is not a registration id", unknown[0])
		}
		expr.Ordinals, expr.HasOrdinals = ordinals, true
	}
	if a.LiveActivityID != "" {
		followers, err := s.devices.LiveFollowers(ctx, app.ID, a.LiveActivityID)
		if err != nil {
			return nil, fmt.Errorf("push: audience: %w", err)
		}
		expr.Ordinals, expr.HasOrdinals = followers.ToArray(), true
	}
	within, err := s.within(ctx, app, p, files)
	if err != nil {
		return nil, err
	}
	if within == nil {
		if few, ok := s.audience.EvaluateSmall(app.ID, expr, nil, s.maxRows); ok {
			few, err := withContent(m, few)
			return &targets{few: few}, err
		}
	}
	set, err := s.audience.Evaluate(app.ID, expr)
	if err != nil {
		return nil, fmt.Errorf("push: audience: %w", err)
	}
	if within != nil {
		set.And(within)
	}
	return s.split(app.ID, m, set)
}

// within is the intersection of what the push demands beside tags, aliases and ids, nil if it demands nothing.
func (s *Service) within(ctx context.Context, app *gate.App, p *payload.Push, files file.Owner) (*roaring.Bitmap, error) {
	var out *roaring.Bitmap
	for _, demand := range []struct {
		made bool
		set  func() (*roaring.Bitmap, error)
	}{
		{p.Audience.FileID != "", func() (*roaring.Bitmap, error) { return s.listed(ctx, app, files, p.Audience.FileID) }},
		{len(p.Audience.Segment) > 0, func() (*roaring.Bitmap, error) { return s.segments.ResolveSegment(ctx, app, p.Audience.Segment[0]) }},
		{len(p.Audience.ABTest) > 0, func() (*roaring.Bitmap, error) { return s.segments.ResolveABTest(ctx, app, p.Audience.ABTest[0]) }},
		{p.Options.TestModel, func() (*roaring.Bitmap, error) { return s.testDevices.Ordinals(ctx, app.ID) }},
	} {
		if !demand.made {
			continue
		}
		set, err := demand.set()
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = set
			continue
		}
		out.And(set)
	}
	return out, nil
}

// listed is the set of the devices that a file names.
func (s *Service) listed(ctx context.Context, app *gate.App, owner file.Owner, id string) (*roaring.Bitmap, error) {
	kind, lines, err := s.files.Lines(ctx, owner, id)
	if err != nil {
		return nil, err
	}
	out := roaring.New()
	batch := make([]string, 0, maxRows)
	flush := func() error {
		ordinals, err := s.devices.Lookup(ctx, app, batch)
		if err != nil {
			return fmt.Errorf("push: file: %w", err)
		}
		known, _ := device.Found(batch, ordinals)
		out.AddMany(known)
		batch = batch[:0]
		return ctx.Err()
	}
	err = lines(func(line string) error {
		if kind == file.KindAlias {
			out.AddMany(s.audience.DevicesOfAlias(app.ID, line))
			return ctx.Err()
		}
		if batch = append(batch, line); len(batch) == cap(batch) {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return out, err
}

// split keeps a small set as a list and a large one by platform.
func (s *Service) split(app int64, m *message, set *roaring.Bitmap) (*targets, error) {
	t := &targets{many: make(map[audience.Platform]*roaring.Bitmap)}
	for p, part := range s.audience.SplitPlatforms(app, set) {
		if part.IsEmpty() {
			continue
		}
		frame, err := m.content(p)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			part.RunOptimize()
			t.many[p] = part
		}
	}
	if t.count() > int64(s.maxRows) {
		return t, nil
	}
	t.narrow()
	return t, nil
}

func withContent(m *message, few []audience.Target) ([]audience.Target, error) {
	known := make(map[audience.Platform]bool, 2)
	kept := few[:0]
	for _, t := range few {
		has, seen := known[t.Platform]
		if !seen {
			frame, err := m.content(t.Platform)
			if err != nil {
				return nil, err
			}
			has = frame != nil
			known[t.Platform] = has
		}
		if has {
			kept = append(kept, t)
		}
	}
	return kept, nil
}
