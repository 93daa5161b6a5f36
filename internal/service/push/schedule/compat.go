package schedule

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

// maxBody bounds a schedule: a push, and some more.
const maxBody = payload.MaxBody + 16<<10

// CompatRoutes names the calls of the vendor's schedule API, of the family gate.FamilySchedule.
func (s *Service) CompatRoutes(handle func(pattern string, h gate.Handler)) {
	route := func(pattern string, h func(ctx context.Context, r *http.Request, app *gate.App) (any, error)) {
		handle(pattern, func(w http.ResponseWriter, r *http.Request, app *gate.App) {
			ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
			defer cancel()
			out, err := h(ctx, r, app)
			if err != nil {
				if _, ours := refused(err); !ours && r.Context().Err() == nil {
					s.log.Error("schedule call failed", "call", pattern, "err", err)
				}
				compat.WriteError(w, timeout(err), errInternal)
				return
			}
			compat.Write(w, http.StatusOK, out)
		})
	}
	route("POST /v3/schedules", s.compatCreate)
	route("GET /v3/schedules", s.compatList)
	route("GET /v3/schedules/{id}", s.compatGet)
	route("GET /v3/schedules/{id}/msg_ids", s.compatPast)
	route("PUT /v3/schedules/{id}", s.compatChange)
	route("DELETE /v3/schedules/{id}", s.compatDelete)
}

// createdBody has exactly these members: one public client refuses others.
type createdBody struct {
	ID   string `json:"schedule_id"`
	Name string `json:"name"`
}

// scheduleBody is a schedule as clients read it.
type scheduleBody struct {
	ID      string          `json:"schedule_id"`
	Name    string          `json:"name"`
	Enabled bool            `json:"enabled"`
	Trigger Trigger         `json:"trigger"`
	Push    json.RawMessage `json:"push"`
}

func present(r *row) scheduleBody { return scheduleBody{r.ID, r.Name, r.Enabled, r.Trigger, r.Push} }

func (s *Service) compatCreate(ctx context.Context, r *http.Request, app *gate.App) (any, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	cid, err := body.cid(app)
	if err != nil {
		return nil, err
	}
	if cid != "" { // before the rest is checked: what was right a minute ago may have expired
		first, err := queryCID(ctx, s.db, app.ID, cid, s.clock.Now().UnixMilli())
		if err != nil {
			return nil, err
		}
		if first != nil {
			return createdBody{first.id, first.name}, nil
		}
	}
	c, err := body.change(app)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Name == nil:
		return nil, invalid("name is required")
	case c.Enabled == nil:
		return nil, invalid("enabled is required")
	case c.Trigger == nil:
		return nil, invalid("trigger is required")
	case c.Push == nil:
		return nil, invalid("push is required")
	}
	created, err := s.create(ctx, app, Schedule{*c.Name, *c.Enabled, *c.Trigger, c.Push}, cid)
	if err != nil {
		return nil, err
	}
	return createdBody{created.id, created.name}, nil
}

func (s *Service) compatList(ctx context.Context, r *http.Request, app *gate.App) (any, error) {
	page := 1
	if text := r.URL.Query().Get("page"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, invalid("page must be a number from 1")
		}
		page = n
	}
	total, err := countLive(ctx, s.db, app.ID)
	if err != nil {
		return nil, err
	}
	pages := (total + PageSize - 1) / PageSize
	list := []scheduleBody{}
	if page <= pages {
		rows, err := queryPage(ctx, s.db, app.ID, (page-1)*PageSize, PageSize)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			list = append(list, present(r))
		}
	}
	return struct {
		Count     int            `json:"total_count"`
		Pages     int            `json:"total_pages"`
		Page      int            `json:"page"`
		Schedules []scheduleBody `json:"schedules"`
	}{total, pages, page, list}, nil
}

func (s *Service) compatGet(ctx context.Context, r *http.Request, app *gate.App) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	found, err := queryLive(ctx, s.db, app.ID, id)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, errUnknown
	}
	return present(found), nil
}

// pastBody is one element of msgids, which clients read as a string that holds this document.
type pastBody struct {
	Msg   string    `json:"msg_id"`
	Error pastError `json:"error"`
	Retry bool      `json:"needRetry"`
	At    int64     `json:"ts"`
}

type pastError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (s *Service) compatPast(ctx context.Context, r *http.Request, app *gate.App) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	found, err := queryRow(ctx, s.db, id) // one that is over has a past too
	if err != nil {
		return nil, err
	}
	if found == nil || found.App != app.ID {
		return nil, errUnknown
	}
	past, err := queryPast(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(past))
	for i, o := range past {
		msg := ""
		if o.Msg != 0 {
			msg = strconv.FormatInt(o.Msg, 10)
		}
		list[i] = string(encode(pastBody{msg, pastError{o.Code, o.Message}, o.Retry, o.FiredAt}))
	}
	return struct {
		Count int      `json:"count"`
		Msgs  []string `json:"msgids"`
	}{len(list), list}, nil
}

func (s *Service) compatChange(ctx context.Context, r *http.Request, app *gate.App) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	c, err := body.change(app)
	if err != nil {
		return nil, err
	}
	changed, err := s.change(ctx, app, id, c)
	if err != nil {
		return nil, err
	}
	return present(changed), nil
}

func (s *Service) compatDelete(ctx context.Context, r *http.Request, app *gate.App) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.remove(ctx, app, id)
}

// pathID is the schedule that the path names. What is no UUID is unknown.
func pathID(r *http.Request) (string, error) {
	id := strings.ToLower(r.PathValue("id"))
	if len(id) != 36 || strings.Trim(id, "0123456789abcdef-") != "" {
		return "", errUnknown
	}
	return id, nil
}
