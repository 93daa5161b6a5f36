package fcm

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"borealis/test/sim/phone"
	"borealis/test/sim/schema"
)

const (
	maxPayload       = 4096
	maxTTL           = 28 * 24 * 3600 // seconds
	projectPerMinute = 600_000
	devicePerMinute  = 240
	devicePerHour    = 5_000
	maxDevices       = 100_000
)

// window counts what happens in a time that begins with the first of it.
type window struct {
	limit, n int
	length   time.Duration
	since    time.Time
}

// full reports whether there may be no more now.
func (w *window) full(now time.Time) bool {
	if now.Sub(w.since) >= w.length {
		w.since, w.n = now, 0
	}
	return w.n >= w.limit
}

type device struct{ minute, hour window }

// message is what is read of a message that has passed the schema.
type message struct {
	Token     string            `json:"token"`
	Topic     string            `json:"topic"`
	Condition string            `json:"condition"`
	Data      map[string]string `json:"data"`
	// Notification and the one of Android: what stands there wins.
	Notification map[string]any `json:"notification"`
	Android      struct {
		TTL          string            `json:"ttl"`
		CollapseKey  string            `json:"collapse_key"`
		Data         map[string]string `json:"data"`
		Notification map[string]any    `json:"notification"`
	} `json:"android"`
}

// send checks a message and delivers it; name is the last part of its name.
func (s *Sim) send(body []byte) (name string, refused *refusal) {
	now := s.deps.Clock.Now()
	s.mu.Lock()
	if s.project.full(now) {
		s.mu.Unlock()
		return "", quota("Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute'")
	}
	s.project.n++ // errors of the caller count too
	s.sent++
	number := s.sent
	s.mu.Unlock()
	m, test, refused := read(body)
	if refused != nil {
		return "", refused
	}
	name = "0:" + decimal(now.UnixMicro()) + "%" + decimal(number)
	if m.Token != "" {
		if refused := s.known(m.Token); refused != nil {
			return "", refused
		}
	}
	if test {
		return "fake_message_id", nil
	}
	if m.Token == "" {
		return name, nil // nobody subscribes to topics here
	}
	if !s.count(m.Token, now) {
		return "", quota("Message rate exceeded for the device")
	}
	return name, s.deliver(m)
}

func quota(message string) *refusal {
	p := problem(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", message, "QUOTA_EXCEEDED")
	p.details = append(p.details, map[string]any{"@type": "type.googleapis.com/google.rpc.QuotaFailure"})
	return p
}

// registration is what tokens of FCM look like.
var registration = regexp.MustCompile(`^[A-Za-z0-9_:-]{32,1000}$`)

func (s *Sim) known(token string) *refusal {
	p, ok := s.deps.Phones.Find("fcm", token)
	if ok && p.State != phone.Uninstalled {
		return nil
	}
	if !ok && !registration.MatchString(token) {
		return invalid("message.token", "The registration token is not a valid FCM registration token", "INVALID_ARGUMENT")
	}
	return problem(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
}

// count reports whether the device may have one more message.
func (s *Sim) count(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[token]
	if d == nil {
		if len(s.devices) >= maxDevices {
			clear(s.devices)
		}
		d = &device{window{limit: devicePerMinute, length: time.Minute}, window{limit: devicePerHour, length: time.Hour}}
		s.devices[token] = d
	}
	if d.minute.full(now) || d.hour.full(now) {
		return false
	}
	d.minute.n++
	d.hour.n++
	return true
}

func (s *Sim) deliver(m *message) *refusal {
	all := m.data()
	text := func(key string) string {
		if v, ok := m.Android.Notification[key].(string); ok {
			return v
		}
		v, _ := m.Notification[key].(string)
		return v
	}
	encoded, _ := json.Marshal(all)
	got := phone.Notification{ID: all["_j_msgid"], Title: text("title"), Body: text("body"), Data: encoded, Tag: text("tag")}
	if p, _ := s.deps.Phones.Find("fcm", m.Token); p.State == phone.Inactive {
		return nil // kept until the device comes back
	}
	if !s.deps.Phones.Deliver("fcm", m.Token, got) {
		return problem(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
	}
	return nil
}

// data is that of the message with that of android over it.
func (m *message) data() map[string]string {
	all := make(map[string]string)
	maps.Copy(all, m.Data)
	maps.Copy(all, m.Android.Data)
	return all
}

// read checks everything that can be told from the message alone.
func read(body []byte) (m *message, test bool, refused *refusal) {
	raw, err := schema.Decode(body)
	if err != nil {
		return nil, false, problem(http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected token.", "")
	}
	raw = snake(raw)
	if p := request("", raw); p != nil {
		return nil, false, invalid(p.Path, explain(p), "")
	}
	var parsed struct {
		ValidateOnly bool     `json:"validate_only"`
		Message      *message `json:"message"`
	}
	again, _ := json.Marshal(raw)
	if json.Unmarshal(again, &parsed) != nil || parsed.Message == nil {
		return nil, false, invalid("message", "Request contains an invalid argument: message", "INVALID_ARGUMENT")
	}
	return parsed.Message, parsed.ValidateOnly, parsed.Message.check()
}

func (m *message) check() *refusal {
	targets := 0
	for _, t := range []string{m.Token, m.Topic, m.Condition} {
		if t != "" {
			targets++
		}
	}
	if targets != 1 {
		return invalid("message", "Recipient of the message is not set: exactly one of token, topic or condition is required.", "INVALID_ARGUMENT")
	}
	all := m.data()
	for key := range all {
		if key == "from" || key == "message_type" || strings.HasPrefix(key, "google.") || strings.HasPrefix(key, "gcm.") {
			return invalid("message.data["+key+"]", "Invalid data payload key: "+key, "INVALID_ARGUMENT")
		}
	}
	if m.Android.TTL != "" {
		if seconds, err := strconv.ParseFloat(strings.TrimSuffix(m.Android.TTL, "s"), 64); err != nil || seconds > maxTTL {
			return invalid("message.android.ttl", "Invalid android ttl value", "INVALID_ARGUMENT")
		}
	}
	limit := maxPayload
	if m.Token == "" {
		limit = 2048
	}
	if m.size(all) > limit {
		return problem(http.StatusBadRequest, "INVALID_ARGUMENT", "Android message is too big", "INVALID_ARGUMENT")
	}
	return nil
}

// size is the bytes of all keys and texts.
func (m *message) size(all map[string]string) int {
	n := 0
	for key, value := range all {
		n += len(key) + len(value)
	}
	shown := maps.Clone(m.Notification)
	if shown == nil {
		shown = make(map[string]any)
	}
	maps.Copy(shown, m.Android.Notification)
	for key, value := range shown {
		n += len(key)
		if text, ok := value.(string); ok {
			n += len(text)
		}
	}
	return n
}
