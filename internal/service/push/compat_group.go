package push

import (
	"context"
	"net/http"
	"strings"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

// CompatGroupRoutes names the calls with the credentials of an app group.
func (s *Service) CompatGroupRoutes(handle func(pattern string, h gate.GroupHandler)) {
	handle("POST /v3/grouppush", s.compatGroupPush(false))
	handle("POST /v3/grouppush/file", s.compatGroupPush(true))
}

// CompatGroupReportRoutes names the reports with the credentials of an app group.
func (s *Service) CompatGroupReportRoutes(handle func(pattern string, h gate.GroupHandler)) {
	handle("GET /v3/group/messages/detail", s.compatGroupDetail)
}

// compatGroupPush answers a push to a group; byFile: to the devices of a file.
func (s *Service) compatGroupPush(byFile bool) gate.GroupHandler {
	return func(w http.ResponseWriter, r *http.Request, group *gate.Group) { s.groupPush(w, r, group, byFile) }
}

func (s *Service) groupPush(w http.ResponseWriter, r *http.Request, group *gate.Group, byFile bool) {
	body, err := pushBody(r)
	if err != nil {
		compat.WriteError(w, err, errInternal)
		return
	}
	// The rules of single apps (unknown keys, times to live) are those of the vendor here; a cid need not name one app.
	p, err := payload.Parse(body, payload.Rules{})
	if err != nil {
		compat.WriteError(w, err, errInternal)
		return
	}
	if byFile && p.Audience.FileID == "" {
		err = errNoFile
	} else if d := s.gate.DeveloperByID(group.Developer); p.Audience.FileID != "" && (d == nil || !d.Files) {
		err = compat.Errorf(http.StatusForbidden, 2007, "the developer of the group has no permission to push by file")
	}
	if err != nil {
		compat.WriteError(w, err, errInternal)
		return
	}
	accepted, err := s.AcceptGroup(r.Context(), group, p, func(app *gate.App) error { return s.admitGroupCall(r, app) })
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	out := make(map[string]any, len(accepted.Apps)+1)
	for key, result := range accepted.Apps {
		if result.Err != nil {
			out[key] = compat.ErrorEnvelope(s.known(r, result.Err), errInternal)
			continue
		}
		out[key] = pushAnswer{SendNo: sendNo(result.SendNo), MsgID: FormatID(result.Msg)}
	}
	out["group_msgid"] = FormatID(accepted.GroupMsg)
	compat.Write(w, http.StatusOK, out)
}

// admitGroupCall asks for each app what a call of its own would be asked.
func (s *Service) admitGroupCall(r *http.Request, app *gate.App) error {
	if err := app.RequirePaid(); err != nil {
		return err
	}
	call := gate.Call{App: app, Family: gate.FamilyPush}
	if s.clientIP != nil {
		call.From = s.clientIP(r)
	}
	if _, err := s.gate.Admit(call); err != nil {
		return gate.Refusal(err)
	}
	return nil
}

// maxGroupReported is how many pushes to groups one report may name.
const maxGroupReported = 10

func (s *Service) compatGroupDetail(w http.ResponseWriter, r *http.Request, group *gate.Group) {
	ids, err := idList(r.URL.Query().Get("group_msgids"), maxGroupReported)
	if err != nil {
		compat.WriteError(w, err, errReportInternal)
		return
	}
	out := make([]any, 0, len(ids))
	for _, id := range ids {
		f, err := s.groupFunnel(r.Context(), group, id)
		if err != nil {
			s.log.Error("report of a group failed", "err", err)
			compat.WriteError(w, err, errReportInternal)
			return
		}
		if f != nil {
			out = append(out, groupDetailOf(id, f))
		}
	}
	compat.Write(w, http.StatusOK, out)
}

// groupFunnel adds up what became of a push in the apps of a group, nil if the group has no such push.
func (s *Service) groupFunnel(ctx context.Context, group *gate.Group, id int64) (*Funnel, error) {
	parts, err := queryGroupParts(ctx, s.db, group.ID, id)
	if err != nil || parts == nil {
		return nil, err
	}
	sum := newFunnel(id)
	for app, msg := range parts {
		funnels, err := s.Funnels(ctx, app, []int64{msg})
		if err != nil {
			return nil, err
		}
		for i := range funnels {
			sum.include(&funnels[i])
		}
	}
	return sum, nil
}

// idList reads a list of message ids separated by commas.
func idList(text string, limit int) ([]int64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, compat.Errorf(400, 1002, "Missing parameter: message ids")
	}
	parts := strings.Split(text, ",")
	if len(parts) > limit {
		return nil, compat.Errorf(400, 1003, "%d message ids are given, at most %d are allowed", len(parts), limit)
	}
	ids := make([]int64, 0, len(parts))
	for _, part := range parts {
		id, ok := ParseID(strings.TrimSpace(part))
		if !ok && !digits(strings.TrimSpace(part)) {
			return nil, compat.Errorf(400, 1003, "%q is not a message id", part)
		}
		if ok { // other numbers are ids that nobody has
			ids = append(ids, id)
		}
	}
	return ids, nil
}
