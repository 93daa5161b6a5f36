package webpush

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"borealis/test/sim/phone"
)

// maxBody is the longest body in bytes.
const maxBody = 4096

// fault is a documented way to fail.
type fault struct {
	status int
	header map[string]string
	body   string
}

var faults = map[string]fault{
	"bad_request":  {400, nil, `{"code":400,"errno":111,"error":"Bad Request","message":"missing TTL"}`},
	"unauthorized": {401, nil, `{"code":401,"errno":109,"error":"Unauthorized","message":"Invalid VAPID token"}`},
	"bad_jwt":      {403, nil, `{"reason":"BadJwtToken"}`},
	"key_mismatch": {403, map[string]string{"Content-Type": "text/plain"}, "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.\n"},
	"not_found":    {404, nil, `{"code":404,"errno":102,"error":"Not Found","message":"no such endpoint"}`},
	"gone":         {410, nil, `{"code":410,"errno":106,"error":"Gone","message":"unsubscribed"}`},
	"too_large":    {413, nil, `{"code":413,"errno":104,"error":"Payload Too Large","message":"too large"}`},
	"rate":         {429, map[string]string{"Retry-After": "5"}, ""},
	"internal":     {500, nil, `{"code":500,"errno":999,"error":"Internal Server Error"}`},
	"html":         {502, map[string]string{"Content-Type": "text/html"}, "<html><title>502</title></html>"},
	"unavailable":  {503, map[string]string{"Retry-After": "7"}, `{"code":503,"errno":201,"error":"Service Unavailable","message":"use exponential back-off"}`},
	"cut":          {status: -1},
}

// FaultNames are the ways to fail.
func (*Sim) FaultNames() []string {
	names := make([]string, 0, len(faults))
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// refusal is an answer other than success.
type refusal struct {
	status int
	reason string
	after  time.Duration
}

func (r *refusal) Error() string { return r.reason }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, reason: fmt.Sprintf(format, args...)}
}

func (s *Sim) push(w http.ResponseWriter, r *http.Request) {
	if f, ok := faults[s.Faults.Take()]; ok {
		if f.status < 0 {
			panic(http.ErrAbortHandler)
		}
		for k, v := range f.header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.body)
		return
	}
	id := r.PathValue("id")
	location, err := s.take(w, r, id)
	var no *refusal
	switch {
	case errors.As(err, &no):
		if no.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(no.after/time.Second)))
		}
		if no.status == http.StatusUnauthorized {
			w.Header().Set("Www-Authenticate", "vapid")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(no.status)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": no.status, "reason": no.reason})
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Location", location)
		w.Header().Set("Ttl", r.Header.Get("Ttl"))
		w.WriteHeader(http.StatusCreated)
	}
}

// take checks a message, delivers or stores it, and returns its address.
func (s *Sim) take(w http.ResponseWriter, r *http.Request, id string) (string, error) {
	s.mu.Lock()
	sub := s.subs[id]
	s.mu.Unlock()
	if sub == nil {
		return "", refuse(http.StatusNotFound, "no such endpoint")
	}
	p, ok := s.Phones.Find(channel, sub.token)
	if !ok || p.State == phone.Uninstalled {
		return "", refuse(http.StatusGone, "unsubscribed")
	}
	ttl, topic, err := headers(r.Header)
	if err != nil {
		return "", err
	}
	if err := checkVAPID(r.Header, sub.origin, sub.vapid, s.Clock.Now()); err != nil {
		return "", err
	}
	if !s.rate.Allow(id) {
		return "", &refusal{status: http.StatusTooManyRequests, reason: "too many messages for this subscription", after: time.Minute}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return "", refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxBody)
	}
	var text []byte
	if len(body) > 0 {
		if e := r.Header.Get("Content-Encoding"); e != "aes128gcm" {
			return "", refuse(http.StatusUnsupportedMediaType, "Content-Encoding is %q", e)
		}
		if text, err = decrypt(sub.key, sub.auth, body); err != nil {
			return "", refuse(http.StatusBadRequest, "the browser cannot decrypt it: %v", err)
		}
	}
	s.mu.Lock()
	sub.last++
	number := sub.last
	wait := p.State == phone.Inactive
	if wait {
		sub.stored = slices.DeleteFunc(sub.stored, func(m message) bool { return topic != "" && m.topic == topic })
		if ttl > 0 && len(sub.stored) < maxStored {
			sub.stored = append(sub.stored, message{number: number, topic: topic, until: s.Clock.Now().Add(ttl), text: text})
		}
	}
	s.mu.Unlock()
	if !wait {
		s.Phones.Deliver(channel, sub.token, shown(text))
	}
	return sub.base + "/message/" + id + "/" + strconv.Itoa(number), nil
}

// headers checks those of RFC 8030, section 5.
func headers(h http.Header) (ttl time.Duration, topic string, err error) {
	text := h.Get("Ttl")
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, "", refuse(http.StatusBadRequest, "TTL is %q", text)
	}
	switch u := h.Get("Urgency"); u {
	case "", "very-low", "low", "normal", "high":
	default:
		return 0, "", refuse(http.StatusBadRequest, "Urgency is %q", u)
	}
	topic = h.Get("Topic")
	if len(topic) > 32 || strings.Trim(topic, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return 0, "", refuse(http.StatusBadRequest, "Topic is %q", topic)
	}
	return time.Duration(seconds) * time.Second, topic, nil
}

func (s *Sim) withdraw(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs[r.PathValue("id")]
	if err != nil || sub == nil || !slices.ContainsFunc(sub.stored, func(m message) bool { return m.number == number }) {
		http.NotFound(w, r)
		return
	}
	sub.stored = slices.DeleteFunc(sub.stored, func(m message) bool { return m.number == number })
	w.WriteHeader(http.StatusNoContent)
}
