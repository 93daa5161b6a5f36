package device

import (
	"net/http"
	"strings"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
)

// aliasPlatforms are those that the new format of an alias' devices can tell: clients know no other name.
const aliasPlatforms = audience.PlatformSet(1<<audience.Android | 1<<audience.IOS | 1<<audience.QuickApp | 1<<audience.HMOS)

// glued is what one client appends to an alias when it has no other parameter.
const glued = "&new_format=true"

// aliasOf is the alias that the path names, and whether the new format is asked for.
func aliasOf(req *http.Request) (alias string, newFormat bool, err error) {
	alias = req.PathValue("alias")
	newFormat = req.URL.Query().Get("new_format") == "true"
	if cut, found := strings.CutSuffix(alias, glued); found {
		alias, newFormat = cut, true
	}
	if err := audience.CheckAlias(alias); err != nil {
		return "", false, badParameter("alias %s", err)
	}
	return alias, newFormat, nil
}

type aliasDevice struct {
	RegistrationID string  `json:"registration_id"`
	Platform       string  `json:"platform"`
	LastOnlineDate *string `json:"last_online_date"`
}

func (r *Registry) compatGetAlias(req *http.Request, app *gate.App) (any, error) {
	alias, newFormat, err := aliasOf(req)
	if err != nil {
		return nil, err
	}
	platforms, err := platformsOf(req)
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	if err := r.Audience.Sync(ctx, app.ID); err != nil {
		return nil, err
	}
	if newFormat {
		platforms &= aliasPlatforms
	}
	devices := r.onPlatforms(app.ID, r.Audience.DevicesOfAlias(app.ID, alias), platforms)
	limit := maxIDs // what an app without a limit gets
	if n := app.Settings.AliasDevices; n > 0 {
		limit = max(n, 10)
	}
	devices = devices[:min(limit, len(devices))]
	ids, err := r.Names(ctx, app.ID, devices)
	if err != nil {
		return nil, err
	}
	if !newFormat {
		return map[string][]string{"registration_ids": ids}, nil
	}
	seen, err := r.lastSeen(ctx, app.ID, devices)
	if err != nil {
		return nil, err
	}
	zone := vendorZone()
	data := make([]aliasDevice, 0, len(devices))
	for i, d := range devices {
		p, _ := r.Audience.PlatformOf(app.ID, d)
		item := aliasDevice{RegistrationID: ids[i], Platform: p.String()}
		if at := seen[d]; at != 0 {
			date := clock.FromMillis(at).In(zone).Format(time.DateOnly)
			item.LastOnlineDate = &date
		}
		data = append(data, item)
	}
	return map[string][]aliasDevice{"data": data}, nil
}

func (r *Registry) compatUnbindAlias(req *http.Request, app *gate.App) (any, error) {
	alias, _, err := aliasOf(req)
	if err != nil {
		return nil, err
	}
	lists, err := registrationIDs(req, "remove")
	if err != nil {
		return nil, err
	}
	devices, err := r.compatResolve(req.Context(), app, lists[0], codePartly)
	if err != nil {
		return nil, err
	}
	return nil, r.Unalias(req.Context(), app, alias, devices)
}

func (r *Registry) compatDeleteAlias(req *http.Request, app *gate.App) (any, error) {
	alias, _, err := aliasOf(req)
	if err != nil {
		return nil, err
	}
	platforms, err := platformsOf(req)
	if err != nil {
		return nil, err
	}
	if err := r.Audience.Sync(req.Context(), app.ID); err != nil {
		return nil, err
	}
	devices := r.onPlatforms(app.ID, r.Audience.DevicesOfAlias(app.ID, alias), platforms)
	return nil, r.Unalias(req.Context(), app, alias, devices)
}
