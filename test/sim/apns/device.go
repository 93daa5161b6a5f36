package apns

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
)

// suffixes of topics by push type.
var suffixes = map[string]string{
	"alert": "", "background": "", "voip": ".voip", "complication": ".complication", "fileprovider": ".pushkit.fileprovider",
	"liveactivity": ".push-type.liveactivity", "location": ".location-query", "pushtotalk": ".voip-ptt", "widgets": ".push-type.widgets",
	"controls": ".push-type.controls",
}

// Push types that a certificate may send; keys may send all.
var byCertificate = []string{"alert", "background", "voip", "complication"}

const (
	maxPayload   = 4096
	maxVoIP      = 5120
	maxCollapse  = 64
	maxBroadcast = 5120
)

// headers are those of a notification.
type headers struct {
	pushType, topic, collapse string
	expiration                time.Time // zero: kept as long as Apple likes; expired: it is over
	expired                   bool
}

// device takes a notification for a device.
func (s *Sim) device(r *request, rest []string) refusal {
	switch {
	case len(rest) == 0 || rest[0] == "":
		return refusal{reason: "MissingDeviceToken"}
	case len(rest) > 1:
		return refusal{reason: "BadPath"}
	case r.Method != "POST":
		return refusal{reason: "MethodNotAllowed"}
	}
	token := rest[0]
	if duplicated(r) {
		return refusal{reason: "DuplicateHeaders"}
	}
	from, why := s.authority.authenticate(r)
	if why != "" {
		return refusal{reason: why}
	}
	h, why := s.headers(r, from)
	if why != "" {
		return refusal{reason: why}
	}
	limit := maxPayload
	if h.pushType == "voip" {
		limit = maxVoIP
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	switch {
	case err != nil:
		return refusal{reason: "InternalServerError"}
	case len(body) == 0:
		return refusal{reason: "PayloadEmpty"}
	case len(body) > limit:
		return refusal{reason: "PayloadTooLarge"}
	}
	p, ok := readPayload(body)
	if !ok {
		return refusal{reason: "PayloadEmpty"}
	}
	if no := s.token(r, token, h.topic); no.reason != "" {
		return no
	}
	why = p.mismatch(h.pushType)
	switch {
	case why != "":
		s.drop(why)
	case h.expired:
		s.drop("its time was over")
	default:
		got := p.notification(r.id)
		got.Tag = h.collapse
		s.deps.Phones.Deliver(channelName, token, got)
	}
	return refusal{}
}

// headers checks all headers but those that authenticate.
func (s *Sim) headers(r *request, from sender) (headers, string) {
	h := headers{pushType: r.Header.Get("Apns-Push-Type"), topic: r.Header.Get("Apns-Topic"), collapse: r.Header.Get("Apns-Collapse-Id")}
	if h.pushType == "" {
		h.pushType = "alert"
	}
	suffix, known := suffixes[h.pushType]
	if id := r.Header.Get("Apns-Id"); id != "" && !isUUID(id) {
		return h, "BadMessageId"
	}
	if !known {
		return h, "InvalidPushType"
	}
	if h.topic == "" {
		if h.topic = from.topic; h.topic == "" {
			return h, "MissingTopic"
		}
	}
	own := Bundle
	if from.certificate {
		own = from.topic
	}
	switch {
	case h.topic != own && !strings.HasPrefix(h.topic, own+"."), from.certificate && !slices.Contains(byCertificate, h.pushType):
		return h, "TopicDisallowed"
	case h.topic != own+suffix:
		return h, "BadTopic"
	case len(h.collapse) > maxCollapse:
		return h, "BadCollapseId"
	}
	switch priority := r.Header.Get("Apns-Priority"); {
	case priority != "" && priority != "10" && priority != "5" && priority != "1",
		h.pushType == "background" && priority != "5",
		h.pushType == "liveactivity" && priority == "1":
		return h, "BadPriority"
	}
	return h, h.readExpiration(r.Header.Get("Apns-Expiration"), s.deps.Clock.Now())
}

// readExpiration reads a date in Unix seconds; 0 is a notification that is not kept.
func (h *headers) readExpiration(text string, now time.Time) string {
	if text == "" {
		return ""
	}
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || at < 0 || at > 1<<40 {
		return "BadExpirationDate"
	}
	if at > 0 {
		h.expiration = time.Unix(at, 0)
		h.expired = !now.Before(h.expiration)
	}
	return ""
}

// duplicated tells whether a header that must be there once is there more than once.
func duplicated(r *request) bool {
	for name, values := range r.Header {
		if len(values) > 1 && (name == "Authorization" || strings.HasPrefix(name, "Apns-")) {
			return true
		}
	}
	return false
}

// token checks that there is a phone with the token, in this environment and for this topic.
func (s *Sim) token(r *request, token, topic string) refusal {
	if len(token)%2 != 0 || strings.Trim(strings.ToLower(token), "0123456789abcdef") != "" {
		return refusal{reason: "BadDeviceToken"}
	}
	p, there := s.deps.Phones.Find(channelName, token)
	s.mu.Lock()
	sandbox, only := s.sandbox[token], s.topics[token]
	s.mu.Unlock()
	switch {
	case !there || sandbox != r.sandbox:
		return refusal{reason: "BadDeviceToken"}
	case only != "" && only != topic:
		return refusal{reason: "DeviceTokenNotForTopic"}
	case p.State == phone.Uninstalled:
		return refusal{reason: "Unregistered", since: clock.Millis(s.deps.Clock.Now())}
	}
	return refusal{}
}
