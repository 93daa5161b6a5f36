package segment

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"borealis/internal/engine/gate"
)

// maxNativeBody is the longest body in bytes: an expression, with room for white space.
const maxNativeBody = 128 << 10

// routes are the handlers of the native API.
type routes struct {
	s   *Service
	app func(context.Context) *gate.App
}

// Routes adds segments and A/B tests to the native API. middlewares admit the app in the path, app finds it in the context.
func (s *Service) Routes(api huma.API, app func(context.Context) *gate.App, middlewares huma.Middlewares) {
	r := &routes{s, app}
	operation := func(id, method, path, summary string, errs ...int) huma.Operation {
		op := huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/apps/{app_key}/" + path, Summary: summary, Tags: []string{"Audiences"},
			MaxBodyBytes: maxNativeBody, Errors: append(errs, http.StatusUnauthorized, http.StatusForbidden),
			Security: []map[string][]string{{"app": {}}}, Middlewares: middlewares,
		}
		switch method {
		case http.MethodPost:
			op.DefaultStatus = http.StatusCreated
		case http.MethodDelete:
			op.DefaultStatus = http.StatusNoContent
		}
		return op
	}
	const (
		notFound = http.StatusNotFound
		conflict = http.StatusConflict
		invalid  = http.StatusUnprocessableEntity
	)
	create := operation("create-segment", http.MethodPost, "segments", "Create a user segment", conflict, invalid)
	create.Description = `An audience is "all", or an object with any of tag, tag_and, tag_not, alias, registration_id, platform and segment ` +
		"(lists, as in a push), any and all (lists of audiences) and not (one audience). What is present is intersected."
	huma.Register(api, create, r.create)
	huma.Register(api, operation("list-segments", http.MethodGet, "segments", "List user segments", invalid), r.list)
	huma.Register(api, operation("get-segment", http.MethodGet, "segments/{id}", "Read a user segment", notFound), r.get)
	huma.Register(api, operation("update-segment", http.MethodPut, "segments/{id}", "Change a user segment", notFound, conflict, invalid), r.update)
	huma.Register(api, operation("delete-segment", http.MethodDelete, "segments/{id}", "Delete a user segment that nothing uses", notFound, conflict), r.remove)
	huma.Register(api, operation("count-segment", http.MethodGet, "segments/{id}/count", "Count the devices that a user segment has now", notFound), r.count)

	huma.Register(api, operation("create-abtest", http.MethodPost, "abtests", "Create an A/B test", conflict, invalid), r.createTest)
	huma.Register(api, operation("list-abtests", http.MethodGet, "abtests", "List A/B tests", invalid), r.listTests)
	huma.Register(api, operation("get-abtest", http.MethodGet, "abtests/{id}", "Read an A/B test", notFound), r.getTest)
	huma.Register(api, operation("rename-abtest", http.MethodPut, "abtests/{id}", "Rename an A/B test", notFound, conflict, invalid), r.renameTest)
	huma.Register(api, operation("delete-abtest", http.MethodDelete, "abtests/{id}", "Delete an A/B test", notFound), r.removeTest)
	huma.Register(api, operation("count-abtest", http.MethodGet, "abtests/{id}/count", "Count the devices that an A/B test has now, by group", notFound), r.countTest)
}

// problem is err as an RFC 9457 document; nil stays nil.
func (r *routes) problem(err error) error {
	var (
		wrong *InvalidError
		used  *InUseError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return huma.Error422UnprocessableEntity(wrong.Error(), &huma.ErrorDetail{Location: "body." + wrong.Field, Message: wrong.Detail})
	case errors.Is(err, ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.As(err, &used), errors.Is(err, ErrConflict), errors.Is(err, ErrTooMany):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, errNotBounded):
		return huma.Error503ServiceUnavailable("the segments were changed meanwhile, try again")
	}
	if !errors.Is(err, context.Canceled) {
		r.s.log.Error("segment request failed", "err", err)
	}
	return huma.Error500InternalServerError("the request could not be processed")
}

type oneInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" maxLength:"64"`
}

type createSegmentInput struct {
	AppKey string `path:"app_key"`
	Body   struct {
		Name     string          `json:"name" minLength:"1" maxLength:"255" doc:"for people"`
		Audience json.RawMessage `json:"audience" doc:"\"all\", or an object; see the description"`
	}
}

type updateSegmentInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" maxLength:"64"`
	Body   struct {
		Version  int64           `json:"version" minimum:"1" doc:"version that the change was made from"`
		Name     string          `json:"name" minLength:"1" maxLength:"255"`
		Audience json.RawMessage `json:"audience"`
	}
}

type segmentRow struct {
	ID        string          `json:"id" doc:"named by audience.segment of a push"`
	Name      string          `json:"name"`
	Audience  json.RawMessage `json:"audience"`
	Version   int64           `json:"version"`
	CreatedAt int64           `json:"created_at" doc:"Unix milliseconds"`
	UpdatedAt int64           `json:"updated_at" doc:"Unix milliseconds"`
}

type segmentOutput struct{ Body segmentRow }

type listSegmentsInput struct {
	AppKey string `path:"app_key"`
	Cursor string `query:"cursor" pattern:"^(seg_[0-9a-f]{32})?$" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

type listSegmentsOutput struct {
	Body struct {
		Segments []segmentRow `json:"segments" doc:"in order of creation"`
		Next     string       `json:"next" doc:"cursor of the next page; empty: this is the last"`
	}
}

type countSegmentOutput struct {
	Body struct {
		Devices uint64 `json:"devices"`
	}
}

func (r *routes) create(ctx context.Context, in *createSegmentInput) (*segmentOutput, error) {
	s, err := r.s.Create(ctx, r.app(ctx), in.Body.Name, in.Body.Audience)
	return r.answer(s, err)
}

func (r *routes) get(ctx context.Context, in *oneInput) (*segmentOutput, error) {
	s, err := r.s.Get(ctx, r.app(ctx), in.ID)
	return r.answer(s, err)
}

func (r *routes) update(ctx context.Context, in *updateSegmentInput) (*segmentOutput, error) {
	s, err := r.s.Update(ctx, r.app(ctx), in.ID, in.Body.Version, in.Body.Name, in.Body.Audience)
	return r.answer(s, err)
}

func (r *routes) remove(ctx context.Context, in *oneInput) (*struct{}, error) {
	return nil, r.problem(r.s.Delete(ctx, r.app(ctx), in.ID))
}

func (r *routes) count(ctx context.Context, in *oneInput) (*countSegmentOutput, error) {
	n, err := r.s.Count(ctx, r.app(ctx), in.ID)
	if err != nil {
		return nil, r.problem(err)
	}
	out := &countSegmentOutput{}
	out.Body.Devices = n
	return out, nil
}

func (r *routes) list(ctx context.Context, in *listSegmentsInput) (*listSegmentsOutput, error) {
	page, err := r.s.List(ctx, r.app(ctx), in.Cursor, in.Limit+1)
	if err != nil {
		return nil, r.problem(err)
	}
	out := &listSegmentsOutput{}
	out.Body.Segments = make([]segmentRow, 0, len(page))
	for i, s := range page {
		if i == in.Limit {
			out.Body.Next = page[i-1].ID
			break
		}
		out.Body.Segments = append(out.Body.Segments, segmentRow(*s))
	}
	return out, nil
}

func (r *routes) answer(s *Segment, err error) (*segmentOutput, error) {
	if err != nil {
		return nil, r.problem(err)
	}
	return &segmentOutput{segmentRow(*s)}, nil
}
