package webpush

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/web"
)

// Mount registers the endpoints. They answer everybody, from pages of any origin too.
func (s *Service) Mount(mux *http.ServeMux) {
	mux.HandleFunc(endpointPath+"{token}", s.surface(map[string]answer{http.MethodPost: s.counted(s.post), http.MethodGet: s.discover}))
	mux.HandleFunc(messagePath+"{token}", s.surface(map[string]answer{http.MethodDelete: s.withdraw}))
	mux.HandleFunc(receiptsPath+"{token}", s.surface(map[string]answer{http.MethodGet: s.readReceipts, http.MethodDelete: s.endReceipts}))
}

// answer writes a success, or returns why there is none.
type answer func(http.ResponseWriter, *http.Request) error

// surface serves the methods of a path.
func (s *Service) surface(methods map[string]answer) http.HandlerFunc {
	names := make([]string, 0, len(methods)+1)
	for _, name := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		if methods[name] != nil {
			names = append(names, name)
		}
	}
	allowed := strings.Join(append(names, http.MethodOptions), ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Link, Location, Preference-Applied, TTL, Retry-After")
		if r.Method == http.MethodOptions {
			h.Set("Allow", allowed)
			h.Set("Access-Control-Allow-Methods", allowed)
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Encoding, Content-Type, Crypto-Key, Encryption, Last-Event-ID, Link, Prefer, TTL, Topic, Urgency")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		act := methods[r.Method]
		if act == nil {
			h.Set("Allow", allowed)
			web.WriteProblem(w, r, web.Problem{Status: http.StatusMethodNotAllowed})
			return
		}
		if !s.calls.Allow(ratelimit.IPKey(s.ClientIP(r))) {
			act = tooMany
		}
		if err := act(w, r); err != nil {
			s.refuse(w, r, err)
		}
	}
}

// tooMany is the answer to an address that calls too often. It costs no look at keys or at the database.
func tooMany(http.ResponseWriter, *http.Request) error {
	return later(http.StatusTooManyRequests, "too many calls from this address", 10*time.Second)
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	no := asRefusal(err)
	if no.status == http.StatusInternalServerError && r.Context().Err() == nil {
		s.Log.Error("web push request failed", "err", err)
	}
	if no.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(no.after/time.Second)))
	}
	if no.status == http.StatusUnauthorized {
		w.Header().Set("Www-Authenticate", "vapid")
	}
	web.WriteProblem(w, r, web.Problem{Status: no.status, Detail: no.detail})
}

// asRefusal is the answer to an error: those that are no refusal are ours.
func asRefusal(err error) *refusal {
	var no *refusal
	switch {
	case errors.As(err, &no):
		return no
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{status: http.StatusServiceUnavailable, detail: "not done in time, try again", after: 10 * time.Second}
	}
	return &refusal{status: http.StatusInternalServerError, detail: "the request could not be processed"}
}

// counted counts the answers to next, which returns the status of a success.
func (s *Service) counted(next func(http.ResponseWriter, *http.Request) (int, error)) answer {
	return func(w http.ResponseWriter, r *http.Request) error {
		status, err := next(w, r)
		if err != nil {
			status = asRefusal(err).status
		}
		s.results.WithLabelValues(strconv.Itoa(status)).Inc()
		return err
	}
}

// discover tells a UnifiedPush application that the endpoint is one.
func (s *Service) discover(w http.ResponseWriter, r *http.Request) error {
	e, err := s.open(r.PathValue("token"))
	if err != nil {
		return refuse(http.StatusNotFound, "there is no such endpoint")
	}
	if _, err := s.alive(r.Context(), e); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = io.WriteString(w, `{"unifiedpush":{"version":1}}`+"\n")
	return err
}

// withdraw takes a message back that the device does not have yet.
func (s *Service) withdraw(w http.ResponseWriter, r *http.Request) error {
	p, err := s.openMessage(r.PathValue("token"))
	if err != nil {
		return refuse(http.StatusNotFound, "there is no such message")
	}
	found, err := s.Sender.Withdraw(r.Context(), p.app, p.subscription, p.msg)
	if err != nil {
		return err
	}
	if !found {
		return refuse(http.StatusNotFound, "the message was delivered, replaced or withdrawn, or its time to live is over")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
