package testdevice

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

const (
	// maxBody is the longest body in bytes.
	maxBody = 16 << 10
	// defaultPageSize is the size of a page when none is asked for. A list has at most MaxDevices, so any size may be.
	defaultPageSize = 200
	// maxPage bounds page and page_size, so that their product is a number.
	maxPage = 1_000_000
)

// CompatRoutes hands out the calls under /v3/test/model as patterns of http.ServeMux. They belong to the device API.
func (s *Service) CompatRoutes(handle func(pattern string, h gate.Handler)) {
	route := func(pattern string, h func(r *http.Request, app *gate.App) (any, error)) {
		handle(pattern, func(w http.ResponseWriter, r *http.Request, app *gate.App) {
			out, err := h(r, app)
			switch {
			case err != nil:
				s.writeError(w, err)
			case out == nil:
				compat.WriteEmpty(w)
			default:
				compat.Write(w, http.StatusOK, out)
			}
		})
	}
	route("POST /v3/test/model/add", s.named(s.Add))
	route("PUT /v3/test/model/update", s.named(s.Rename))
	route("DELETE /v3/test/model/delete/{rid}", func(r *http.Request, app *gate.App) (any, error) {
		return nil, s.Remove(r.Context(), app, r.PathValue("rid"))
	})
	route("GET /v3/test/model/list", s.list)
}

func (s *Service) writeError(w http.ResponseWriter, err error) {
	var known *compat.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, db.ErrClosed):
		err = compat.Errorf(http.StatusServiceUnavailable, codeBusy, "busy, try again")
	case !errors.As(err, &known) && !errors.Is(err, context.Canceled):
		s.log.Error("test device call failed", "err", err)
	}
	compat.WriteError(w, err, compat.Errorf(http.StatusInternalServerError, codeInternal, "internal error"))
}

// named reads the body that names a device.
func (s *Service) named(act func(ctx context.Context, app *gate.App, rid, name string) error) func(*http.Request, *gate.App) (any, error) {
	return func(r *http.Request, app *gate.App) (any, error) {
		raw, err := compat.Body(r, maxBody)
		if err != nil {
			return nil, invalid("the body must be JSON of at most %d bytes", maxBody)
		}
		var body struct {
			Name string `json:"device_name"`
			RID  string `json:"registration_id"`
		}
		if err := compat.Decode(raw, &body); err != nil {
			return nil, invalid("%s", err)
		}
		return nil, act(r.Context(), app, body.RID, body.Name)
	}
}

type listAnswer struct {
	Total    int      `json:"total"`
	Page     int      `json:"page"`
	PageSize int      `json:"page_size"`
	Detail   []detail `json:"detail"`
}

type detail struct {
	Name           string `json:"device_name"`
	Model          string `json:"device_model"`
	RegistrationID string `json:"registration_id"`
	// RegistrationTime is null for a device that has ended.
	RegistrationTime *string `json:"registration_time"`
	CreateTime       string  `json:"create_time"`
}

func (s *Service) list(r *http.Request, app *gate.App) (any, error) {
	ctx := r.Context()
	// One client begins the query with an ampersand, which the parser passes over.
	query := r.URL.Query()
	answer := listAnswer{Detail: []detail{}}
	var err error
	if answer.Page, answer.PageSize, err = pageOf(query); err != nil {
		return nil, err
	}
	name, ordinal := query.Get("device_name"), int64(-1)
	if name != "" {
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	if rid := query.Get("registration_id"); rid != "" && name == "" {
		var known *compat.Error
		o, err := s.listed(ctx, app, rid)
		switch {
		case errors.As(err, &known):
			return answer, nil // a filter that nothing passes is no mistake
		case err != nil:
			return nil, err
		}
		ordinal = int64(o)
	}
	total, page, err := queryPage(ctx, s.db, app.ID, name, ordinal, answer.PageSize, (answer.Page-1)*answer.PageSize)
	if err != nil {
		return nil, err
	}
	answer.Total = total
	answer.Detail, err = s.details(ctx, app, page)
	return answer, err
}

func (s *Service) details(ctx context.Context, app *gate.App, page []Device) ([]detail, error) {
	ordinals := make([]uint32, len(page))
	for i, d := range page {
		ordinals[i] = d.Ordinal
	}
	facts, err := s.devices.Facts(ctx, app.ID, ordinals)
	if err != nil {
		return nil, err
	}
	zone := app.Settings.Location()
	moment := func(ms int64) string { return clock.FromMillis(ms).In(zone).Format(time.DateTime) }
	out := make([]detail, len(page))
	for i, d := range page {
		out[i] = detail{Name: d.Name, RegistrationID: s.devices.ID(app.ID, d.Ordinal), CreateTime: moment(d.CreatedAt)}
		if f, ok := facts[d.Ordinal]; ok {
			at := moment(f.RegisteredAt)
			out[i].Model, out[i].RegistrationTime = f.Model, &at
		}
	}
	return out, nil
}

// pageOf reads page and page_size, which are given both or not at all.
func pageOf(query url.Values) (page, size int, err error) {
	texts := [...]string{query.Get("page"), query.Get("page_size")}
	if texts[0] == "" && texts[1] == "" {
		return 1, defaultPageSize, nil
	}
	var numbers [2]int
	for i, name := range [...]string{"page", "page_size"} {
		n, err := strconv.Atoi(texts[i])
		if err != nil || n < 1 || n > maxPage {
			return 0, 0, invalid("%s must be a number from 1 to %d; page and page_size are given both or not at all", name, maxPage)
		}
		numbers[i] = n
	}
	return numbers[0], numbers[1], nil
}
