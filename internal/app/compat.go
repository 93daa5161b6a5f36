package app

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/web/compat"
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
	deviceFamily = family{
		limit:   gate.FamilyDevice,
		absent:  compat.Errorf(http.StatusUnauthorized, 7001, "Basic authentication is missing"),
		unknown: compat.Errorf(http.StatusBadRequest, 7008, "app_key does not exist"),
		wrong:   compat.Errorf(http.StatusUnauthorized, 7004, "Basic authentication failed"),
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
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				// Some clients send a body where none belongs. Left unread, it would reset an HTTP/2 stream.
				_, _ = io.CopyN(io.Discard, r.Body, maxIgnoredBody)
			}
			key, secret, ok := compat.BasicAuth(r)
			if !ok {
				compat.WriteError(w, f.absent, nil)
				return
			}
			app, err := c.gate.Authenticate(key, secret)
			switch {
			case errors.Is(err, gate.ErrUnknownApp):
				compat.WriteError(w, f.unknown, nil)
				return
			case err != nil:
				compat.WriteError(w, f.wrong, nil)
				return
			}
			rate, err := c.gate.Admit(gate.Call{App: app, Family: f.limit, From: c.proxies.ClientIP(r)})
			writeRate(w.Header(), rate)
			if err != nil {
				compat.WriteError(w, refusal(err), nil)
				return
			}
			h(w, r, app)
		})
	}
}

// writeRate sends the limit under both of its names.
func writeRate(h http.Header, s ratelimit.State) {
	limit := strconv.Itoa(s.Limit)
	h.Set("X-Rate-Limit-Limit", limit)
	h.Set("X-Rate-Limit-Quota", limit)
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(s.Remaining))
	h.Set("X-Rate-Limit-Reset", strconv.Itoa(s.Reset))
}

func refusal(err error) *compat.Error {
	var r *gate.RefusedError
	if !errors.As(err, &r) {
		return compat.Errorf(http.StatusInternalServerError, 1000, "internal error")
	}
	switch r.Reason {
	case gate.NotEnabled:
		return compat.Errorf(http.StatusForbidden, 2003, "The appKey is in black list.")
	case gate.AddressNotAllowed:
		return compat.Errorf(http.StatusForbidden, 2004, "The IP address of the caller is not in the white list of the app.")
	case gate.TooManyCalls:
		return compat.Errorf(http.StatusTooManyRequests, 2002, "%s", r.Detail)
	default:
		return compat.Errorf(http.StatusForbidden, 2005, "%s", r.Detail)
	}
}
