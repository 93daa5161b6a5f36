package file

import (
	"context"
	"errors"
	"net/http"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

// caller is who makes a call.
type caller struct {
	owner Owner
	zone  *time.Location
}

// verb answers a call, or returns an error before it has written anything.
type verb func(w http.ResponseWriter, r *http.Request, c caller) error

// CompatRoutes names the file calls. Each is made with the credentials of an app or of a developer, on the same path:
// handle gets the handler for either.
func (s *Service) CompatRoutes(handle func(pattern string, app gate.Handler, developer gate.DeveloperHandler)) {
	for pattern, v := range map[string]verb{
		"POST /v3/files/{type}":      s.upload,
		"GET /v3/files":              s.getAll,
		"GET /v3/files/{file_id}":    s.getOne,
		"DELETE /v3/files/{file_id}": s.delete,
	} {
		handle(pattern, s.asApp(v), s.asDeveloper(v))
	}
}

func (s *Service) asApp(v verb) gate.Handler {
	return func(w http.ResponseWriter, r *http.Request, app *gate.App) {
		s.answer(w, r, v, caller{Owner{App: app.ID}, app.Settings.Location()})
	}
}

func (s *Service) asDeveloper(v verb) gate.DeveloperHandler {
	return func(w http.ResponseWriter, r *http.Request, developer *gate.Developer) {
		if !developer.Files {
			compat.Drain(r, maxBody)
			compat.WriteError(w, compat.Errorf(http.StatusForbidden, 1105, "the developer has no permission to push to groups by file"), nil)
			return
		}
		s.answer(w, r, v, caller{Owner{Developer: developer.ID}, s.Zone})
	}
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, v verb, c caller) {
	err := v(w, r, c)
	var known *compat.Error
	switch {
	case err == nil:
		return
	case errors.As(err, &known):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		err = compat.Errorf(http.StatusServiceUnavailable, 1030, "timed out, try again")
	case db.IsFull(err):
		s.Log.Error("the database has no space left", "err", err)
		err = compat.Errorf(http.StatusServiceUnavailable, 1030, "the server has no space left; nothing was stored")
	default:
		s.Log.Error("file call failed", "path", r.URL.Path, "err", err)
	}
	compat.WriteError(w, err, compat.Errorf(http.StatusInternalServerError, 1000, "internal error"))
}

// fileAnswer has exactly these members: one public client refuses others.
type fileAnswer struct {
	Type       string `json:"type"`
	FileID     string `json:"file_id"`
	FileName   string `json:"file_name"`
	CreateTime string `json:"create_time"`
	ExpireTime string `json:"expire_time,omitempty"` // only if the caller chose it
}

func present(f file, zone *time.Location) fileAnswer {
	at := func(ms int64) string { return clock.FromMillis(ms).In(zone).Format(time.DateTime) }
	a := fileAnswer{Type: f.kind, FileID: f.id, FileName: f.name, CreateTime: at(f.createdAt)}
	if f.ttlGiven {
		a.ExpireTime = at(f.expiresAt)
	}
	return a
}

func (s *Service) getAll(w http.ResponseWriter, r *http.Request, c caller) error {
	files, err := s.list(r.Context(), c.owner)
	if err != nil {
		return err
	}
	answers := make([]fileAnswer, 0, len(files))
	for _, f := range files {
		answers = append(answers, present(f, c.zone))
	}
	compat.Write(w, http.StatusOK, struct {
		TotalCount int          `json:"total_count"`
		Files      []fileAnswer `json:"files"`
	}{len(answers), answers})
	return nil
}

func (s *Service) getOne(w http.ResponseWriter, r *http.Request, c caller) error {
	f, err := s.find(r.Context(), c.owner, r.PathValue("file_id"))
	if err != nil {
		return err
	}
	compat.Write(w, http.StatusOK, present(f, c.zone))
	return nil
}

// delete answers alike whether the file existed or not.
func (s *Service) delete(w http.ResponseWriter, r *http.Request, c caller) error {
	if err := s.remove(r.Context(), c.owner, r.PathValue("file_id")); err != nil {
		return err
	}
	compat.WriteEmpty(w)
	return nil
}
