package plan

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/web/compat"
)

const (
	// maxBody is the longest body in bytes.
	maxBody = 16 << 10
	// defaultPageSize is the size of a page when none is asked for. An app has at most MaxPlans, so any size may be.
	defaultPageSize = 50
	// maxPage bounds page and page_size, so that their product is a number.
	maxPage = 1_000_000
	// anySource asks for plans of all sources.
	anySource Source = -1
)

// errInternal is what a caller sees of a failure that is ours.
var errInternal = compat.Errorf(http.StatusInternalServerError, codeInternal, "internal error")

// CompatRoutes hands out the calls as patterns of http.ServeMux. They belong to the push API.
func (s *Service) CompatRoutes(handle func(pattern string, h gate.Handler)) {
	handle("POST /v3/push_plan/create", s.named(func(ctx context.Context, app *gate.App, name, description string) error {
		return s.Create(ctx, app, name, description, FromAPI)
	}))
	handle("PUT /v3/push_plan/update", s.named(s.Update))
	handle("GET /v3/push_plan/list", s.list)
	handle("GET /v3/push/quota", s.quota)
}

func (s *Service) refuse(w http.ResponseWriter, err error) {
	var known *compat.Error
	if !errors.As(err, &known) && !errors.Is(err, context.Canceled) {
		s.log.Error("push plan call failed", "err", err)
	}
	compat.WriteFlatError(w, err, errInternal)
}

// named reads the body that names a plan.
func (s *Service) named(act func(ctx context.Context, app *gate.App, name, description string) error) gate.Handler {
	return func(w http.ResponseWriter, r *http.Request, app *gate.App) {
		raw, err := compat.Body(r, maxBody)
		if err != nil {
			s.refuse(w, err)
			return
		}
		var body struct {
			Name        string `json:"name"`
			Description string `json:"description"`
		}
		if err := compat.Decode(raw, &body); err != nil {
			s.refuse(w, invalid("%s", err))
			return
		}
		if err := act(r.Context(), app, body.Name, body.Description); err != nil {
			s.refuse(w, err)
			return
		}
		compat.WriteFlat(w, nil)
	}
}

type listData struct {
	Total    int      `json:"total"`
	Page     int      `json:"page"`
	PageSize int      `json:"page_size"`
	Detail   []detail `json:"detail"`
}

type detail struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	PushCount   int64  `json:"push_count"`
	CreateTime  string `json:"create_time"`
	// LastUsedTime is null for a plan that no push has named.
	LastUsedTime *string `json:"last_used_time"`
	SendSource   Source  `json:"send_source"`
}

func (s *Service) list(w http.ResponseWriter, r *http.Request, app *gate.App) {
	query := r.URL.Query()
	data := listData{Page: 1, PageSize: defaultPageSize}
	for name, into := range map[string]*int{"page": &data.Page, "page_size": &data.PageSize} {
		text := query.Get(name)
		if text == "" || text == "0" { // clients send 0 for the default
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			s.refuse(w, invalid("%s must be a number from 1 to %d", name, maxPage))
			return
		}
		*into = n
	}
	source := anySource
	switch query.Get("send_source") {
	case "0":
		source = FromAPI
	case "1":
		source = FromConsole
	}
	info := query.Get("info")
	if err := checkText("info", info, maxDescriptionBytes); err != nil {
		s.refuse(w, err)
		return
	}
	total, page, err := queryPage(r.Context(), s.db, app.ID, info, source, data.PageSize, (data.Page-1)*data.PageSize)
	if err != nil {
		s.refuse(w, err)
		return
	}
	zone := app.Settings.Location()
	moment := func(ms int64) string { return clock.FromMillis(ms).In(zone).Format(time.DateTime) }
	data.Total, data.Detail = total, make([]detail, len(page))
	for i, p := range page {
		data.Detail[i] = detail{Name: p.Name, Description: p.Description, PushCount: p.Pushes, CreateTime: moment(p.CreatedAt), SendSource: p.Source}
		if p.UsedAt > 0 {
			at := moment(p.UsedAt)
			data.Detail[i].LastUsedTime = &at
		}
	}
	compat.WriteFlat(w, data)
}

// vendorQuota is a vendor's quota by class of message. One public client refuses other members than these.
type vendorQuota struct {
	System    Quota `json:"system"`
	Operation Quota `json:"operation"`
}

type quotaData struct {
	Xiaomi vendorQuota `json:"xiaomi_quota"`
	OPPO   vendorQuota `json:"oppo_quota"`
	Vivo   vendorQuota `json:"vivo_quota"`
}

// quota tells every vendor and class, as callers read them without asking whether they are there.
func (s *Service) quota(w http.ResponseWriter, _ *http.Request, app *gate.App) {
	var known map[string]map[string]Quota
	if s.quotas != nil {
		known = s.quotas.Quotas(app.ID)
	}
	of := func(vendor string) vendorQuota {
		all := vendorQuota{System: Quota{-1, -1}, Operation: Quota{-1, -1}}
		for class, into := range map[string]*Quota{"system": &all.System, "operation": &all.Operation} {
			if q, ok := known[vendor][class]; ok {
				*into = q
			}
		}
		return all
	}
	compat.WriteFlat(w, quotaData{Xiaomi: of("xiaomi"), OPPO: of("oppo"), Vivo: of("vivo")})
}
