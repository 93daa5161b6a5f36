package template

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"borealis/internal/engine/gate"
)

// maxNativeBody is the longest body in bytes: a push with samples, with room for escapes.
const maxNativeBody = 256 << 10

// routes are the handlers of the native API.
type routes struct {
	s   *Service
	app func(context.Context) *gate.App
}

type oneTemplateInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" maxLength:"64" doc:"template id"`
}

type createTemplateInput struct {
	AppKey string `path:"app_key"`
	Body   struct {
		Name    string            `json:"name" minLength:"1" maxLength:"255" doc:"for people"`
		Push    json.RawMessage   `json:"push" doc:"push object without audience and cid; its string values may have variables, {{name}}"`
		Samples map[string]string `json:"samples,omitempty" doc:"values of variables with which the push is checked; others are checked with 1"`
	}
}

type updateTemplateInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" maxLength:"64"`
	Body   struct {
		Version int64             `json:"version" minimum:"1" doc:"version that the change was made from"`
		Name    string            `json:"name" minLength:"1" maxLength:"255"`
		Push    json.RawMessage   `json:"push"`
		Samples map[string]string `json:"samples,omitempty"`
	}
}

type templateRow struct {
	ID        string            `json:"id" doc:"named by the calls of the push API"`
	Name      string            `json:"name"`
	Push      json.RawMessage   `json:"push"`
	Samples   map[string]string `json:"samples"`
	Variables []string          `json:"variables" doc:"names of the variables, sorted"`
	Version   int64             `json:"version"`
	CreatedAt int64             `json:"created_at" doc:"Unix milliseconds"`
	UpdatedAt int64             `json:"updated_at" doc:"Unix milliseconds"`
}

type templateOutput struct{ Body templateRow }

type templateListInput struct {
	AppKey string `path:"app_key"`
	Cursor string `query:"cursor" pattern:"^(tpl_[0-9a-f]{32})?$" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

type templateListOutput struct {
	Body struct {
		Templates []templateRow `json:"templates" doc:"in order of creation"`
		Next      string        `json:"next" doc:"cursor of the next page; empty: this is the last"`
	}
}

// Routes adds the templates to the native API. middlewares admit the app in the path, app finds it in the context.
func (s *Service) Routes(api huma.API, app func(context.Context) *gate.App, middlewares huma.Middlewares) {
	r := &routes{s, app}
	operation := func(id, method, path, summary string, errs ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/apps/{app_key}/templates" + path, Summary: summary, Tags: []string{"Push"},
			MaxBodyBytes: maxNativeBody, Errors: append(errs, http.StatusUnauthorized, http.StatusForbidden),
			Security: []map[string][]string{{"app": {}}}, Middlewares: middlewares,
		}
	}
	create := operation("create-template", http.MethodPost, "", "Create a push template", http.StatusConflict, http.StatusUnprocessableEntity)
	create.DefaultStatus = http.StatusCreated
	remove := operation("delete-template", http.MethodDelete, "/{id}", "Delete a push template", http.StatusNotFound)
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(api, create, r.create)
	huma.Register(api, operation("list-templates", http.MethodGet, "", "List push templates", http.StatusUnprocessableEntity), r.list)
	huma.Register(api, operation("get-template", http.MethodGet, "/{id}", "Read a push template", http.StatusNotFound), r.get)
	huma.Register(api, operation("update-template", http.MethodPut, "/{id}", "Change a push template",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity), r.update)
	huma.Register(api, remove, r.remove)
}

func (r *routes) create(ctx context.Context, in *createTemplateInput) (*templateOutput, error) {
	t, err := r.s.Create(ctx, r.app(ctx), Template{Name: in.Body.Name, Push: in.Body.Push, Samples: in.Body.Samples})
	return r.answer(t, err)
}

func (r *routes) get(ctx context.Context, in *oneTemplateInput) (*templateOutput, error) {
	t, err := r.s.Get(ctx, r.app(ctx), in.ID)
	return r.answer(t, err)
}

func (r *routes) update(ctx context.Context, in *updateTemplateInput) (*templateOutput, error) {
	t, err := r.s.Update(ctx, r.app(ctx), Template{ID: in.ID, Version: in.Body.Version, Name: in.Body.Name, Push: in.Body.Push, Samples: in.Body.Samples})
	return r.answer(t, err)
}

func (r *routes) remove(ctx context.Context, in *oneTemplateInput) (*struct{}, error) {
	return nil, r.problem(r.s.Delete(ctx, r.app(ctx), in.ID))
}

func (r *routes) list(ctx context.Context, in *templateListInput) (*templateListOutput, error) {
	page, err := r.s.List(ctx, r.app(ctx), in.Cursor, in.Limit+1)
	if err != nil {
		return nil, r.problem(err)
	}
	out := &templateListOutput{}
	out.Body.Templates = make([]templateRow, 0, len(page))
	for i, t := range page {
		if i == in.Limit {
			out.Body.Next = page[i-1].ID
			break
		}
		out.Body.Templates = append(out.Body.Templates, present(t))
	}
	return out, nil
}

func (r *routes) answer(t *Template, err error) (*templateOutput, error) {
	if err != nil {
		return nil, r.problem(err)
	}
	return &templateOutput{present(t)}, nil
}

func present(t *Template) templateRow {
	p := templateRow{ID: t.ID, Name: t.Name, Push: t.Push, Samples: t.Samples, Variables: t.Variables(), Version: t.Version,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt}
	if p.Variables == nil {
		p.Variables = []string{}
	}
	if p.Samples == nil {
		p.Samples = map[string]string{}
	}
	return p
}

// problem is err as an RFC 9457 document; nil stays nil.
func (r *routes) problem(err error) error {
	var wrong *InvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return huma.Error422UnprocessableEntity(wrong.Error(), &huma.ErrorDetail{Location: "body." + wrong.Field, Message: wrong.Detail})
	case errors.Is(err, ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, ErrConflict), errors.Is(err, ErrTooMany):
		return huma.Error409Conflict(err.Error())
	}
	if !errors.Is(err, context.Canceled) {
		r.s.log.Error("template request failed", "err", err)
	}
	return huma.Error500InternalServerError("the request could not be processed")
}
