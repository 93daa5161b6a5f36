package apns

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"borealis/internal/engine/channel/wire"
)

// Sizes of payloads that Apple takes, in bytes.
const (
	maxPayload      = 4096
	maxVoIPPayload  = 5120
	maxBroadcast    = 5120
	maxCollapseID   = 64
	contentTypeJSON = "application/json"
)

// request is what is sent to every device of a message.
type request struct {
	header http.Header
	body   []byte
	// ownTopic: the topic is the bundle id. keyOnly: Apple does not take it from a certificate.
	ownTopic, keyOnly bool
}

// push types with what is appended to the bundle id for their topic.
const (
	typeAlert      = "alert"
	typeBackground = "background"
	typeVoIP       = "voip"
	typeLive       = "liveactivity"

	suffixVoIP = ".voip"
	suffixLive = ".push-type.liveactivity"
)

// newRequest is the request of a message. The error says what Apple would not take.
func newRequest(c *credentials, m *wire.Message, now time.Time) (*request, error) {
	p, err := newPayload(m, now)
	if err != nil {
		return nil, err
	}
	limit := maxPayload
	if p.pushType == typeVoIP {
		limit = maxVoIPPayload
	}
	body, err := p.encode(limit, m.Truncate)
	if err != nil {
		return nil, err
	}
	topic := c.bundle + p.suffix
	r := &request{body: body, ownTopic: p.suffix == "", keyOnly: p.pushType == typeLive, header: http.Header{
		"Content-Type":    {contentTypeJSON},
		"Apns-Push-Type":  {p.pushType},
		"Apns-Topic":      {topic},
		"Apns-Priority":   {strconv.Itoa(p.priority)},
		"Apns-Expiration": {expiration(m.TTL, maxTTL, now)},
	}}
	collapse, err := collapseID(m, p.pushType)
	if err != nil {
		return nil, err
	}
	if collapse != "" {
		r.header.Set("Apns-Collapse-Id", collapse)
	}
	return r, nil
}

// expiration is when a message is over, in Unix seconds, for one that is to be kept for so long; "0" for one that is not kept.
func expiration(ttl, longest time.Duration, now time.Time) string {
	if ttl <= 0 {
		return "0"
	}
	return strconv.FormatInt(now.Add(min(ttl, longest)).Unix(), 10)
}

// collapseID is the id that notifications share which are to be one on the screen: what the app says, or the message that is replaced,
// or the message itself, so that a repetition is no second notification.
func collapseID(m *wire.Message, pushType string) (string, error) {
	id := ""
	switch {
	case m.Apple != nil && m.Apple.CollapseID != "":
		id = m.Apple.CollapseID
	case pushType != typeAlert:
	case m.Replaces != "":
		id = m.Replaces
	default:
		id = m.ID
	}
	if len(id) > maxCollapseID {
		return "", fmt.Errorf("the collapse id has %d bytes, at most %d are taken", len(id), maxCollapseID)
	}
	for _, r := range id {
		if r < ' ' || r == 0x7f {
			return "", errors.New("the collapse id has a control character")
		}
	}
	return id, nil
}

// requestID is the same for every repetition of a message to the same token or channel: a UUID of version 5.
func requestID(message, to string) string {
	space := uuid.UUID{0x5b, 0x0e, 0x4c, 0x8a, 0x2d, 0x6f, 0x4c, 0x1d, 0x9a, 0x35, 0x7e, 0x40, 0x66, 0x1b, 0xd3, 0x92}
	return uuid.NewSHA1(space, []byte(message+"\x00"+to)).String()
}
