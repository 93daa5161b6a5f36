package template

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

const (
	// maxBody is the longest body in bytes.
	maxBody = 2 << 20
	// maxRenderedCall is the size of all rendered pushes of a call in bytes.
	maxRenderedCall = 16 << 20
	// schedulers is how many schedules of a call are made at a time, so that they share commits.
	schedulers = 8
)

// Codes of the schedule API, for what a name or trigger lacks.
const scheduleCodes, scheduleCodesEnd = 8100, 8300

// errInternal is what a caller sees of a failure that is ours.
var errInternal = compat.Errorf(http.StatusInternalServerError, codeInternal, "internal error")

// CompatRoutes hands out the calls as patterns of http.ServeMux. They belong to the push API.
func (s *Service) CompatRoutes(handle func(pattern string, h gate.Handler)) {
	handle("POST /v3/push/template", s.handler(s.push, false))
	handle("POST /v3/push/template/schedule", s.handler(s.schedule, true))
}

func (s *Service) handler(act func(context.Context, *gate.App, *call) (any, error), scheduled bool) gate.Handler {
	return func(w http.ResponseWriter, r *http.Request, app *gate.App) {
		if r.Header.Get("X-Encrypt-Type") != "" {
			// Public clients encrypt for a key that only the vendor can open.
			compat.WriteFlatError(w, invalid("encrypted payloads need a server-side key that is not configured"), errInternal)
			return
		}
		body, err := compat.Body(r, maxBody)
		var c *call
		if err == nil {
			c, err = parseCall(body, scheduled)
		}
		var data any
		if err == nil {
			data, err = act(r.Context(), app, c)
		}
		if err != nil {
			compat.WriteFlatError(w, s.noted(err), errInternal)
			return
		}
		compat.WriteFlat(w, data)
	}
}

// noted logs an error that is no refusal.
func (s *Service) noted(err error) error {
	var known *compat.Error
	if !errors.As(err, &known) && !errors.Is(err, context.Canceled) {
		s.log.Error("template push failed", "err", err)
	}
	return err
}

// rendered is an element as a push, or what is wrong with it.
type rendered struct {
	push *payload.Push
	raw  []byte
	err  error
}

// renderAll makes the pushes of a call. The error is one of the whole call.
func (s *Service) renderAll(ctx context.Context, app *gate.App, c *call) ([]rendered, error) {
	t, err := s.Get(ctx, app, c.id)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid("id: %s", err)
	}
	if err != nil {
		return nil, err
	}
	content, err := compile(t.Push)
	if err != nil {
		return nil, err
	}
	out := make([]rendered, len(c.elements))
	size := 0
	for i, e := range c.elements {
		r := &out[i]
		r.raw, r.err = content.render(e.keys, e.audience, e.options)
		var lacks *missingError
		switch {
		case errors.As(r.err, &lacks):
			r.err = invalid("%s", lacks)
		case r.err != nil:
			r.err = compat.Errorf(http.StatusBadRequest, codeSize, "%s", r.err)
		default:
			r.push, r.err = s.pusher.ParseScheduled(app, r.raw)
		}
		if size += len(r.raw); size > maxRenderedCall {
			return nil, compat.Errorf(http.StatusBadRequest, codeSize, "the pushes of one call must not be larger than %d bytes together", maxRenderedCall)
		}
	}
	return out, nil
}

// Items have exactly these members: one public client refuses others.
type pushItem struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	MessageID string `json:"message_id"`
	TraceID   string `json:"trace_id"`
}

type scheduleItem struct {
	Code       int    `json:"code"`
	Message    string `json:"message"`
	ScheduleID string `json:"schedule_id"`
	TraceID    string `json:"trace_id"`
}

// outcome is code and message of an item.
func (s *Service) outcome(err error) (int, string) {
	if err == nil {
		return 0, "success"
	}
	var e *compat.Error
	if !errors.As(s.noted(err), &e) {
		e = errInternal
	}
	return e.Code, e.Message
}

func (s *Service) push(ctx context.Context, app *gate.App, c *call) (any, error) {
	all, err := s.renderAll(ctx, app, c)
	if err != nil {
		return nil, err
	}
	var pushes []*payload.Push
	for _, r := range all {
		if r.err == nil {
			pushes = append(pushes, r.push)
		}
	}
	var results []Result
	if len(pushes) > 0 {
		results = s.pusher.AcceptAll(ctx, app, pushes)
	}
	if len(results) != len(pushes) {
		return nil, fmt.Errorf("template: %d results of %d pushes", len(results), len(pushes))
	}
	items := make([]pushItem, len(all))
	for i, r := range all {
		items[i].TraceID = c.elements[i].trace
		err := r.err
		if err == nil {
			if err = results[0].Err; err == nil {
				items[i].MessageID = strconv.FormatInt(results[0].Msg, 10)
			}
			results = results[1:]
		}
		items[i].Code, items[i].Message = s.outcome(err)
	}
	return map[string][]pushItem{"push_list": items}, nil
}

func (s *Service) schedule(ctx context.Context, app *gate.App, c *call) (any, error) {
	all, err := s.renderAll(ctx, app, c)
	if err != nil {
		return nil, err
	}
	items := make([]scheduleItem, len(all))
	add := func(i int) {
		items[i].ScheduleID, all[i].err = s.scheduler.Schedule(ctx, app, c.name, c.trigger, all[i].raw)
	}
	stored := false
	slots := make(chan struct{}, schedulers)
	var wg sync.WaitGroup
	for i := range all {
		switch {
		case all[i].err != nil:
		case stored:
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				add(i)
			})
		default:
			// What is wrong with name and trigger, or finds no room, holds for all: the call is refused, with nothing stored.
			if add(i); !ofPush(all[i].err) {
				return nil, all[i].err
			}
			stored = all[i].err == nil
		}
	}
	wg.Wait()
	for i := range items {
		items[i].TraceID = c.elements[i].trace
		items[i].Code, items[i].Message = s.outcome(all[i].err)
	}
	return map[string][]scheduleItem{"schedule_list": items}, nil
}

// ofPush: success, or a refusal of the push alone.
func ofPush(err error) bool {
	var e *compat.Error
	return err == nil || errors.As(err, &e) && (e.Code < scheduleCodes || e.Code >= scheduleCodesEnd)
}
