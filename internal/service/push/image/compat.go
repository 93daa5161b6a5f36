package image

import (
	"context"
	"errors"
	"net/http"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

// verb answers a call, or returns an error before it has written anything.
type verb func(w http.ResponseWriter, r *http.Request, app int64) error

// CompatRoutes names the image calls. The bodies of PUT are needed: they must not have been read.
func (s *Service) CompatRoutes(handle func(pattern string, h gate.Handler)) {
	for pattern, v := range map[string]verb{
		"POST /v3/images/byurls":            s.postURLs,
		"PUT /v3/images/byurls/{media_id}":  s.putURLs,
		"POST /v3/images/byfiles":           s.postFiles,
		"PUT /v3/images/byfiles/{media_id}": s.putFiles,
	} {
		handle(pattern, func(w http.ResponseWriter, r *http.Request, app *gate.App) { s.answer(w, r, v, app.ID) })
	}
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, v verb, app int64) {
	err := v(w, r, app)
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
		s.Log.Error("image call failed", "path", r.URL.Path, "err", err)
	}
	compat.WriteError(w, err, compat.Errorf(http.StatusInternalServerError, 1000, "internal error"))
}

// write sends the addresses in force, and empty ones for the vendors that are named besides. There are no other members:
// one public client refuses them.
func write(w http.ResponseWriter, mediaID string, pictures map[string]picture, named []string) {
	answer := map[string]string{"media_id": mediaID}
	for _, v := range vendors() {
		if p, ok := pictures[v.name]; ok {
			answer[v.urlMember()] = p.url
		}
	}
	for _, name := range named {
		if _, ok := pictures[name]; !ok {
			answer[vendor{name: name}.urlMember()] = ""
		}
	}
	compat.Write(w, http.StatusOK, answer)
}
