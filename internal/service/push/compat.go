package push

import (
	"context"
	"net/http"
	"strconv"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

// errInternal is what a caller sees of a failure that is ours.
var errInternal = compat.Errorf(http.StatusInternalServerError, 1000, "internal error")

// CompatRoutes names the push calls; CompatReportRoutes the report calls.
func (s *Service) CompatRoutes(handle func(pattern string, h gate.Handler)) {
	handle("POST /v3/push", s.compatPush(s.Accept))
	handle("POST /v3/push/file", s.compatPush(s.acceptFile))
	handle("POST /v3/push/validate", s.compatPush(s.Validate))
	handle("POST /v3/push/batch/regid/single", s.compatBatch("registration_id"))
	handle("POST /v3/push/batch/alias/single", s.compatBatch("alias"))
	handle("GET /v3/push/cid", s.compatCID)
	handle("DELETE /v3/push/{msg_id}", s.compatWithdraw)
	s.images.CompatRoutes(handle)
	s.plans.CompatRoutes(handle)
	s.templates.CompatRoutes(handle)
}

// acceptFile takes a push to the devices of a file.
func (s *Service) acceptFile(ctx context.Context, app *gate.App, p *payload.Push) (Accepted, error) {
	if p.Audience.FileID == "" {
		return Accepted{}, errNoFile
	}
	return s.Accept(ctx, app, p)
}

// pushAnswer has exactly these members: one public client refuses others.
type pushAnswer struct {
	SendNo string `json:"sendno"`
	MsgID  string `json:"msg_id"`
}

func (s *Service) compatPush(act pushVerb) gate.Handler {
	return func(w http.ResponseWriter, r *http.Request, app *gate.App) {
		body, err := pushBody(r)
		if err != nil {
			compat.WriteError(w, err, errInternal)
			return
		}
		p, err := s.Parse(app, body)
		if err != nil {
			compat.WriteError(w, err, errInternal)
			return
		}
		accepted, err := act(r.Context(), app, p)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		compat.Write(w, http.StatusOK, pushAnswer{SendNo: sendNo(accepted.SendNo), MsgID: FormatID(accepted.Msg)})
	}
}

// errEncrypted: public clients encrypt for a key that only the vendor can open.
var errEncrypted = compat.Errorf(400, 1003, "encrypted payloads need a server-side key that is not configured")

// pushBody reads a push object that is not encrypted.
func pushBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("X-Encrypt-Type") != "" {
		return nil, errEncrypted
	}
	return compat.Body(r, payload.MaxBody)
}

// maxCIDs is how many keys one call may ask for; batch helpers of public clients ask for one per message.
const maxCIDs = 1000

func (s *Service) compatCID(w http.ResponseWriter, r *http.Request, app *gate.App) {
	query := r.URL.Query()
	count := 1
	if text := query.Get("count"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxCIDs {
			compat.WriteError(w, compat.Errorf(400, 1003, "count must be a number from 1 to %d", maxCIDs), errInternal)
			return
		}
		count = n
	}
	if kind := query.Get("type"); kind != "" && kind != "push" && kind != "schedule" {
		compat.WriteError(w, compat.Errorf(400, 1003, "type must be push or schedule"), errInternal)
		return
	}
	list := make([]string, count)
	for i := range list {
		list[i] = payload.NewCID(app.Key, id.NewUUID())
	}
	compat.Write(w, http.StatusOK, map[string][]string{"cidlist": list})
}

func (s *Service) compatWithdraw(w http.ResponseWriter, r *http.Request, app *gate.App) {
	id, ok := ParseID(r.PathValue("msg_id"))
	err := error(errUnknownMessage)
	if ok {
		err = s.Withdraw(r.Context(), app, id)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	compat.WriteEmpty(w)
}
