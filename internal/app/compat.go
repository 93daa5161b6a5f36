package app

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/platform/account"
)

// family is one of the vendor's APIs: calls that share credentials codes and a rate limit.
type family struct {
	limit gate.Family
	// Answers to missing credentials, an unknown AppKey and a wrong master secret.
	absent, unknown, wrong *compat.Error
}

var (
	pushFamily = family{
		limit:   gate.FamilyPush,
		absent:  compat.Errorf(http.StatusUnauthorized, 1004, "Authen failed"),
		unknown: compat.Errorf(http.StatusBadRequest, 1008, "app_key does not exist"),
		wrong:   compat.Errorf(http.StatusUnauthorized, 1004, "Authen failed"),
	}
	adminFamily  = family{absent: account.ErrCompatAbsent, unknown: account.ErrCompatUnknown, wrong: account.ErrCompatSecret}
	deviceFamily = family{
		limit:   gate.FamilyDevice,
		absent:  compat.Errorf(http.StatusUnauthorized, 7001, "Basic authentication is missing"),
		unknown: compat.Errorf(http.StatusBadRequest, 7008, "app_key does not exist"),
		wrong:   compat.Errorf(http.StatusUnauthorized, 7004, "Basic authentication failed"),
	}
	scheduleFamily = family{
		limit:   gate.FamilySchedule,
		absent:  compat.Errorf(http.StatusUnauthorized, 8101, "Basic authentication failed."),
		unknown: compat.Errorf(http.StatusUnauthorized, 8101, "Basic authentication failed."),
		wrong:   compat.Errorf(http.StatusUnauthorized, 8101, "Basic authentication failed."),
	}
	reportFamily = family{
		limit:   gate.FamilyReport,
		absent:  compat.Errorf(http.StatusUnauthorized, 3001, "Basic authentication failed"),
		unknown: compat.Errorf(http.StatusUnauthorized, 3001, "Basic authentication failed"),
		wrong:   compat.Errorf(http.StatusUnauthorized, 3001, "Basic authentication failed"),
	}
)

// maxIgnoredBody is how much of a body that nobody asked for is read.
const maxIgnoredBody = 256 << 10

// mountCompat registers the routes of one of the vendor's APIs behind credentials and limits.
func (c *core) mountCompat(mux *http.ServeMux, f family) func(pattern string, h gate.Handler) {
	return func(pattern string, h gate.Handler) {
		handle(mux, pattern, f, func(w http.ResponseWriter, r *http.Request, key, secret string) error {
			return c.serveApp(w, r, f.limit, key, secret, h)
		})
	}
}

// serveApp answers a call with the credentials of an app, or returns why it may not be made.
func (c *core) serveApp(w http.ResponseWriter, r *http.Request, limit gate.Family, key, secret string, h gate.Handler) error {
	app, err := c.gate.Authenticate(key, secret)
	if err != nil {
		return err
	}
	rate, err := c.gate.Admit(gate.Call{App: app, Family: limit, From: c.proxies.ClientIP(r)})
	writeRate(w.Header(), rate)
	if err != nil {
		return gate.Refusal(err)
	}
	h(w, r, app)
	return nil
}

// unlimited is what callers are told whose calls are not counted.
var unlimited = ratelimit.State{Limit: ratelimit.Unlimited, Remaining: ratelimit.Unlimited, Reset: 60}

// groupUser is what stands before a GroupKey where an AppKey would be.
const groupUser = "group-"

// mountGroup registers routes that take the credentials of an app group. What its apps allow is asked app by app.
func (c *core) mountGroup(mux *http.ServeMux, f family) func(pattern string, h gate.GroupHandler) {
	return func(pattern string, h gate.GroupHandler) {
		handle(mux, pattern, f, func(w http.ResponseWriter, r *http.Request, key, secret string) error {
			key, isGroup := strings.CutPrefix(key, groupUser)
			if !isGroup {
				return gate.ErrUnknownGroup
			}
			group, err := c.gate.AuthenticateGroup(key, secret)
			if err != nil {
				return err
			}
			writeRate(w.Header(), unlimited)
			h(w, r, group)
			return nil
		})
	}
}

// mountDeveloper registers routes that take the credentials of a developer.
func (c *core) mountDeveloper(mux *http.ServeMux, f family) func(pattern string, h gate.DeveloperHandler) {
	return func(pattern string, h gate.DeveloperHandler) {
		handle(mux, pattern, f, func(w http.ResponseWriter, r *http.Request, key, secret string) error {
			developer, err := c.gate.AuthenticateDeveloper(key, secret)
			if err == nil {
				writeRate(w.Header(), unlimited)
				h(w, r, developer)
			}
			return err
		})
	}
}

// mountFiles registers routes that take the credentials of an app or of a developer.
func (c *core) mountFiles(mux *http.ServeMux) func(pattern string, app gate.Handler, developer gate.DeveloperHandler) {
	f := pushFamily
	f.limit = gate.FamilyFile
	return func(pattern string, forApp gate.Handler, forDeveloper gate.DeveloperHandler) {
		handle(mux, pattern, f, func(w http.ResponseWriter, r *http.Request, key, secret string) error {
			developer, err := c.gate.AuthenticateDeveloper(key, secret)
			if errors.Is(err, gate.ErrUnknownDeveloper) {
				return c.serveApp(w, r, f.limit, key, secret, forApp)
			}
			if err == nil {
				writeRate(w.Header(), unlimited)
				forDeveloper(w, r, developer)
			}
			return err
		})
	}
}

// handle registers a route that reads credentials. call answers, or returns why it may not be made; the refusal is in the
// envelope that the route has for its own.
func handle(mux *http.ServeMux, pattern string, f family, call func(w http.ResponseWriter, r *http.Request, key, secret string) error) {
	_, path, _ := strings.Cut(pattern, " ")
	refuse := compat.ErrorWriterFor(path)
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && r.Method != http.MethodPut {
			// Some clients send a body where none belongs. Left unread, it would reset an HTTP/2 stream.
			_, _ = io.CopyN(io.Discard, r.Body, maxIgnoredBody)
		}
		key, secret, ok := compat.BasicAuth(r)
		if !ok {
			refuse(w, f.absent, nil)
			return
		}
		switch err := call(w, r, key, secret); {
		case err == nil:
		case errors.Is(err, gate.ErrUnknownApp), errors.Is(err, gate.ErrUnknownGroup), errors.Is(err, gate.ErrUnknownDeveloper):
			refuse(w, f.unknown, nil)
		case errors.Is(err, gate.ErrWrongSecret):
			refuse(w, f.wrong, nil)
		default:
			refuse(w, err, gate.Refusal(err))
		}
	})
}

// writeRate sends the limit under both of its names.
func writeRate(h http.Header, s ratelimit.State) {
	limit := strconv.Itoa(s.Limit)
	h.Set("X-Rate-Limit-Limit", limit)
	h.Set("X-Rate-Limit-Quota", limit)
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(s.Remaining))
	h.Set("X-Rate-Limit-Reset", strconv.Itoa(s.Reset))
}
