package device

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

// CompatHandler serves one call of the vendor-compatible device API.
type CompatHandler = gate.Handler

// Codes of the vendor's device API.
const (
	codeInternal  = 7000
	codeParameter = 7002
	codePartly    = 7013
	codeAliasFull = 7015
	codeBusy      = 7030
)

const (
	// maxIDs is how many registration ids a call can name.
	maxIDs = 1000
	// tagsPerPlatform is how many tags are listed for each platform.
	tagsPerPlatform = 100
	// recently: a device seen within counts as online.
	recently = 10 * time.Minute
	// lastOnlineFor is how long the time of the last contact is told.
	lastOnlineFor = 48 * time.Hour
)

// CompatRoutes hands out the calls under /v3/devices, /v3/aliases and /v3/tags as patterns of http.ServeMux.
// Authentication, limits and the forgiving routes (trailing slashes, other prefixes) are around them.
func (r *Registry) CompatRoutes(handle func(pattern string, h CompatHandler)) {
	route := func(pattern string, h func(req *http.Request, app *gate.App) (any, error)) {
		handle(pattern, func(w http.ResponseWriter, req *http.Request, app *gate.App) {
			out, err := h(req, app)
			switch {
			case err != nil:
				r.writeCompatError(w, err)
			case out == nil:
				compat.WriteEmpty(w)
			default:
				compat.Write(w, http.StatusOK, out)
			}
		})
	}
	route("GET /v3/devices/{rid}", r.compatGetDevice)
	route("POST /v3/devices/{rid}", r.compatSetDevice)
	route("POST /v3/devices/status", r.compatStatus)
	route("GET /v3/aliases/{alias}", r.compatGetAlias)
	route("POST /v3/aliases/{alias}", r.compatUnbindAlias)
	route("DELETE /v3/aliases/{alias}", r.compatDeleteAlias)
	route("GET /v3/tags", r.compatTags)
	route("GET /v3/tags/{tag}/registration_ids/{rid}", r.compatTagHas)
	route("POST /v3/tags/{tag}", r.compatSetTag)
	route("DELETE /v3/tags/{tag}", r.compatDeleteTag)
}

func badParameter(format string, args ...any) *compat.Error {
	return compat.Errorf(http.StatusBadRequest, codeParameter, format, args...)
}

func (r *Registry) writeCompatError(w http.ResponseWriter, err error) {
	internal := compat.Errorf(http.StatusInternalServerError, codeInternal, "internal error")
	var e *Error
	switch {
	case errors.As(err, &e) && e.Kind == AliasFull:
		err = compat.Errorf(http.StatusBadRequest, codeAliasFull, "%s", e.Detail)
	case errors.As(err, &e):
		err = badParameter("%s", e.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, db.ErrClosed):
		err = compat.Errorf(http.StatusServiceUnavailable, codeBusy, "busy, try again")
	default:
		var known *compat.Error
		if !errors.As(err, &known) && !errors.Is(err, context.Canceled) {
			r.Log.Error("device call failed", "err", err)
		}
	}
	compat.WriteError(w, err, internal)
}

// compatDevice is the device that the path names.
func (r *Registry) compatDevice(req *http.Request, app *gate.App) (uint32, error) {
	ordinals, err := r.compatResolve(req.Context(), app, []string{req.PathValue("rid")}, codeParameter)
	if err != nil {
		return 0, err
	}
	return ordinals[0], nil
}

// compatResolve demands that all ids are of devices of the app; the error has the code and names those that are not.
func (r *Registry) compatResolve(ctx context.Context, app *gate.App, rids []string, code int) ([]uint32, error) {
	if err := r.Audience.Sync(ctx, app.ID); err != nil {
		return nil, err
	}
	ordinals, err := r.Lookup(ctx, app, rids)
	if err != nil {
		return nil, err
	}
	ordinals, unknown := Found(rids, ordinals)
	if len(unknown) > 0 {
		err := compat.Errorf(http.StatusBadRequest, code, "Some registration ids are invalid")
		err.IllegalRIDs = unknown
		return nil, err
	}
	return ordinals, nil
}

func (r *Registry) compatGetDevice(req *http.Request, app *gate.App) (any, error) {
	ordinal, err := r.compatDevice(req, app)
	if err != nil {
		return nil, err
	}
	p, err := r.Profile(req.Context(), app.ID, ordinal)
	if err != nil {
		return nil, err
	}
	return struct {
		Tags   []string `json:"tags"`
		Alias  string   `json:"alias"`
		Mobile string   `json:"mobile"`
	}{p.Tags, p.Alias, p.Mobile}, nil
}

func (r *Registry) compatSetDevice(req *http.Request, app *gate.App) (any, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	change, err := deviceChange(body)
	if err != nil {
		return nil, err
	}
	ordinal, err := r.compatDevice(req, app)
	if err != nil {
		return nil, err
	}
	return nil, r.SetProfile(req.Context(), app, ordinal, change, ByServer)
}

type onlineStatus struct {
	Online         bool   `json:"online"`
	LastOnlineTime string `json:"last_online_time,omitempty"`
}

func (r *Registry) compatStatus(req *http.Request, app *gate.App) (any, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	rids, err := body.strings("registration_ids")
	if err != nil {
		return nil, err
	}
	if len(rids) == 0 || len(rids) > maxIDs {
		return nil, badParameter("registration_ids must have 1 to %d elements", maxIDs)
	}
	ctx := req.Context()
	if err := r.Audience.Sync(ctx, app.ID); err != nil {
		return nil, err
	}
	ordinals, err := r.Lookup(ctx, app, rids)
	if err != nil {
		return nil, err
	}
	seen, err := r.lastSeen(ctx, app.ID, ordinals)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*onlineStatus, len(rids))
	zone := vendorZone()
	now := r.Clock.Now()
	for i, o := range ordinals {
		if o == 0 {
			out[rids[i]] = nil
			continue
		}
		at := clock.FromMillis(seen[o])
		s := &onlineStatus{Online: r.Presence != nil && r.Presence.Online(app.ID, o) || r.justSeen(app.ID, o) || now.Sub(at) < recently}
		if !s.Online && now.Sub(at) < lastOnlineFor {
			s.LastOnlineTime = at.In(zone).Format(time.DateTime)
		}
		out[rids[i]] = s // by the id that was asked for: a device may have two
	}
	return out, nil
}

// vendorZone is what times without a zone are in.
func vendorZone() *time.Location { return time.FixedZone("UTC+8", 8*3600) }

// lastSeen reads the times of the last contact, Unix milliseconds; 0 is never.
func (r *Registry) lastSeen(ctx context.Context, app int64, ordinals []uint32) (map[uint32]int64, error) {
	out := make(map[uint32]int64, len(ordinals))
	for part := range slices.Chunk(ordinals, maxIDs) {
		args := []any{app}
		for _, o := range part {
			args = append(args, int64(o))
		}
		rows, err := r.DB.Query(ctx, `select ordinal, last_seen from device_device where app_id = $1 and ordinal in (`+db.In(2, len(part))+`)`, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var (
				o  uint32
				at int64
			)
			if err = rows.Scan(&o, &at); err != nil {
				break
			}
			out[o] = at
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func platformsOf(req *http.Request) (audience.PlatformSet, error) {
	set, err := audience.ParsePlatforms(req.URL.Query().Get("platform"))
	if err != nil {
		return 0, badParameter("platform: %s", err)
	}
	return set, nil
}

func (r *Registry) compatTags(req *http.Request, app *gate.App) (any, error) {
	if err := r.Audience.Sync(req.Context(), app.ID); err != nil {
		return nil, err
	}
	names := []string{}
	for p := range audience.AllPlatforms.Each {
		names = append(names, r.Audience.TagNames(app.ID, audience.PlatformSet(0).With(p), tagsPerPlatform)...)
	}
	slices.Sort(names)
	return map[string][]string{"tags": slices.Compact(names)}, nil
}

// tagOf is the tag that the path names.
func tagOf(req *http.Request) (string, error) {
	tag := req.PathValue("tag")
	if err := audience.CheckTag(tag); err != nil {
		return "", badParameter("tag %s", err)
	}
	return tag, nil
}

func (r *Registry) compatTagHas(req *http.Request, app *gate.App) (any, error) {
	tag, err := tagOf(req)
	if err != nil {
		return nil, err
	}
	ordinal, err := r.compatDevice(req, app)
	if err != nil {
		return nil, err
	}
	return map[string]bool{"result": r.Audience.HasTag(app.ID, ordinal, tag)}, nil
}

func (r *Registry) compatSetTag(req *http.Request, app *gate.App) (any, error) {
	tag, err := tagOf(req)
	if err != nil {
		return nil, err
	}
	lists, err := registrationIDs(req, "add", "remove")
	if err != nil {
		return nil, err
	}
	devices, err := r.compatResolve(req.Context(), app, slices.Concat(lists...), codePartly)
	if err != nil {
		return nil, err
	}
	added := len(lists[0])
	return nil, r.TagDevices(req.Context(), app, tag, devices[:added], devices[added:])
}

func (r *Registry) compatDeleteTag(req *http.Request, app *gate.App) (any, error) {
	tag, err := tagOf(req)
	if err != nil {
		return nil, err
	}
	platforms, err := platformsOf(req)
	if err != nil {
		return nil, err
	}
	return nil, r.DeleteTag(req.Context(), app, tag, platforms)
}
