package apns

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	// maxChannels of an app in one environment.
	maxChannels = 10_000
	// maxChannelID bounds ids, in bytes.
	maxChannelID = 256
)

type channelKey struct {
	sandbox bool
	id      string
}

// channel is a broadcast channel; stored keeps the last message.
type channel struct{ stored bool }

// DisableBroadcast takes the app's right to broadcast away.
func (s *Sim) DisableBroadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noBroadcast = true
}

// Subscribe makes the live activity of a phone follow a channel.
func (s *Sim) Subscribe(sandbox bool, channelID, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := channelKey{sandbox, channelID}
	s.subscribers[key] = append(s.subscribers[key], token)
}

// forApp checks what all requests about channels have: who sends, and for which app.
func (s *Sim) forApp(r *request, bundle string) string {
	if duplicated(r) {
		return "DuplicateHeaders"
	}
	if id := r.Header.Get("Apns-Request-Id"); id != "" && !isUUID(id) {
		return "BadMessageId"
	}
	from, why := s.authority.authenticate(r)
	if why != "" {
		return why
	}
	own := Bundle
	if from.certificate {
		own = from.topic
	}
	if bundle != own {
		for _, suffix := range suffixes {
			if suffix != "" && bundle == own+suffix {
				return "TopicDisallowed"
			}
		}
		return "TopicMismatch"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noBroadcast {
		return "FeatureNotEnabled"
	}
	return ""
}

// named is the channel that a request names.
func (s *Sim) named(r *request) (channelKey, channel, string) {
	key := channelKey{r.sandbox, r.Header.Get("Apns-Channel-Id")}
	if key.id == "" {
		return key, channel{}, "MissingChannelId"
	}
	if _, err := base64.StdEncoding.DecodeString(key.id); err != nil || len(key.id) > maxChannelID {
		return key, channel{}, "BadChannelId"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.channels[key]
	if !ok {
		return key, c, "ChannelNotRegistered"
	}
	return key, c, ""
}

// manage makes, shows, ends and lists channels.
func (s *Sim) manage(w http.ResponseWriter, r *request, bundle, what string) refusal {
	all := what == "all-channels"
	if r.Method != http.MethodGet && (all || r.Method != http.MethodPost && r.Method != http.MethodDelete) {
		return refusal{reason: "MethodNotAllowed"}
	}
	if why := s.forApp(r, bundle); why != "" {
		return refusal{reason: why}
	}
	switch {
	case all:
		s.list(w, r.sandbox)
		return refusal{}
	case r.Method == http.MethodPost:
		return s.create(w, r)
	}
	key, c, why := s.named(r)
	if why != "" {
		return refusal{reason: why}
	}
	if r.Method == http.MethodDelete {
		s.mu.Lock()
		delete(s.channels, key)
		delete(s.subscribers, key)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		return refusal{}
	}
	policy := 0
	if c.stored {
		policy = 1
	}
	write(w, map[string]any{"message-storage-policy": policy, "push-type": "LiveActivity"})
	return refusal{}
}

func (s *Sim) list(w http.ResponseWriter, sandbox bool) {
	s.mu.Lock()
	ids := []string{}
	for key := range s.channels {
		if key.sandbox == sandbox {
			ids = append(ids, key.id)
		}
	}
	s.mu.Unlock()
	slices.Sort(ids)
	write(w, map[string]any{"channels": ids})
}

func (s *Sim) create(w http.ResponseWriter, r *request) refusal {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload))
	if err != nil || !json.Valid(body) {
		return refusal{reason: "BadRequestPayload"}
	}
	var config struct {
		Policy   *int   `json:"message-storage-policy"`
		PushType string `json:"push-type"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&config); err != nil || config.Policy == nil || *config.Policy < 0 || *config.Policy > 1 {
		return refusal{reason: "BadRequestParams"}
	}
	switch {
	case config.PushType == "":
		return refusal{reason: "MissingPushType"}
	case !strings.EqualFold(config.PushType, "LiveActivity"): // clients write it both ways
		return refusal{reason: "InvalidPushType"}
	}
	random := make([]byte, 12)
	_, _ = rand.Read(random)
	key := channelKey{r.sandbox, base64.StdEncoding.EncodeToString(random)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.channels) >= maxChannels && s.count(r.sandbox) >= maxChannels {
		return refusal{reason: "CannotCreateChannelConfig"}
	}
	s.channels[key] = channel{stored: *config.Policy == 1}
	w.Header().Set("Apns-Channel-Id", key.id)
	w.WriteHeader(http.StatusCreated)
	return refusal{}
}

// count is how many channels there are in an environment. The caller holds mu.
func (s *Sim) count(sandbox bool) int {
	n := 0
	for key := range s.channels {
		if key.sandbox == sandbox {
			n++
		}
	}
	return n
}

// broadcast takes a message for a channel and delivers it to all who follow it.
func (s *Sim) broadcast(r *request, bundle string) refusal {
	if r.Method != http.MethodPost {
		return refusal{reason: "MethodNotAllowed"}
	}
	if why := s.forApp(r, bundle); why != "" {
		return refusal{reason: why}
	}
	key, c, why := s.named(r)
	if why != "" {
		return refusal{reason: why}
	}
	switch pushType := r.Header.Get("Apns-Push-Type"); {
	case pushType == "":
		return refusal{reason: "MissingPushType"}
	case !strings.EqualFold(pushType, "liveactivity"):
		return refusal{reason: "InvalidPushType"}
	}
	if priority := r.Header.Get("Apns-Priority"); priority != "" && priority != "10" && priority != "5" && priority != "1" {
		return refusal{reason: "BadPriority"}
	}
	var h headers
	if why := h.readExpiration(r.Header.Get("Apns-Expiration"), s.deps.Clock.Now()); why != "" {
		return refusal{reason: why}
	}
	if !c.stored && !h.expiration.IsZero() {
		return refusal{reason: "BadExpirationDate"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBroadcast+1))
	switch {
	case err != nil:
		return refusal{reason: "InternalServerError"}
	case len(body) == 0:
		return refusal{reason: "PayloadEmpty"}
	case len(body) > maxBroadcast:
		return refusal{reason: "PayloadTooLarge"}
	}
	p, ok := readPayload(body)
	if !ok {
		return refusal{reason: "BadRequestPayload"}
	}
	why = p.mismatch("liveactivity")
	switch {
	case why != "":
		s.drop(why)
		return refusal{}
	case string(p.aps["event"]) == `"start"`:
		s.drop("a broadcast that starts a live activity")
		return refusal{}
	}
	s.mu.Lock()
	tokens := slices.Clone(s.subscribers[key])
	s.mu.Unlock()
	for _, token := range tokens {
		s.deps.Phones.Deliver(channelName, token, p.notification(r.id))
	}
	return refusal{}
}

func write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
