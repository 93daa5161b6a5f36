package webpush

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/web"
)

const (
	// maxBody is the longest body in bytes (RFC 8030, section 7.2: at least 4096 must be taken).
	maxBody = 4096
	// maxTTL is how long a message is kept at most.
	maxTTL = 28 * 24 * time.Hour
	// maxTopic is the longest topic in characters.
	maxTopic = 32
	// maxKeyHeader bounds the headers that carry keys in the encoding aesgcm, in bytes.
	maxKeyHeader = 1024
)

// refusal is an answer other than success.
type refusal struct {
	status int
	detail string
	after  time.Duration
}

// Error makes *refusal an error.
func (r *refusal) Error() string { return r.detail }

func refuse(status int, detail string) error { return &refusal{status: status, detail: detail} }

func later(status int, detail string, after time.Duration) error {
	return &refusal{status: status, detail: detail, after: after}
}

// errGone is said of subscriptions that have ended.
var errGone = refuse(http.StatusGone, "the subscription has ended")

// errNoReceipts is said of receipt subscriptions that never were or have ended.
var errNoReceipts = refuse(http.StatusNotFound, "there is no such receipt subscription, or it has ended")

// frame is the member "webpush" of what the device gets. RFC 8030 keeps the topic and the urgency of a message from the device.
type frame struct {
	Instance string `json:"instance"`
	// Body is in base64.
	Body     string `json:"body"`
	Encoding string `json:"encoding,omitempty"`
	// Encryption and CryptoKey are the headers that the encoding aesgcm needs.
	Encryption string `json:"encryption,omitempty"`
	CryptoKey  string `json:"crypto_key,omitempty"`
}

// rules are what the headers of a message say of how it is kept.
type rules struct {
	topic string
	ttl   time.Duration
}

// post takes a message. Everything that can be told from the request is looked at before the database.
func (s *Service) post(w http.ResponseWriter, r *http.Request) (status int, err error) {
	e, err := s.open(r.PathValue("token"))
	if err != nil {
		return 0, refuse(http.StatusNotFound, "there is no such endpoint")
	}
	kept, err := readHeaders(r.Header)
	if err != nil {
		return 0, err
	}
	if err := s.admit(r, e); err != nil {
		return 0, err
	}
	f := new(frame)
	if err := readBody(w, r, f); err != nil {
		return 0, err
	}
	if f.Instance, err = s.alive(r.Context(), e); err != nil {
		return 0, err
	}
	wish, err := s.readWish(r)
	if err != nil {
		return 0, err
	}
	msg, receipts, err := s.send(r.Context(), e, f, kept, wish)
	if err != nil {
		return 0, err
	}
	h := w.Header()
	h.Set("Location", s.location(posted{e.app, e.subscription, msg}))
	h.Set("Ttl", strconv.FormatInt(int64(kept.ttl/time.Second), 10))
	status = http.StatusCreated
	if receipts != 0 {
		status = http.StatusAccepted
		h.Set("Link", link(s.receiptsAddress(receipts), relReceipt))
		h.Set("Preference-Applied", "respond-async")
	}
	w.WriteHeader(status)
	return status, nil
}

// readHeaders reads what RFC 8030 (section 5) says of a message.
func readHeaders(h http.Header) (rules, error) {
	for _, name := range []string{"Ttl", "Topic", "Urgency"} {
		if len(h.Values(name)) > 1 {
			return rules{}, refuse(http.StatusBadRequest, "the header "+strings.Replace(name, "Ttl", "TTL", 1)+" is there more than once")
		}
	}
	ttl, err := readTTL(h.Get("Ttl"))
	if err != nil {
		return rules{}, err
	}
	// The device's connection is there or not, whatever its battery is like: the urgency decides nothing here.
	switch strings.ToLower(h.Get("Urgency")) {
	case "", "very-low", "low", "normal", "high":
	default:
		return rules{}, refuse(http.StatusBadRequest, "Urgency must be very-low, low, normal or high")
	}
	topic := h.Get("Topic")
	if len(topic) > maxTopic || strings.ContainsFunc(topic, notBase64URL) {
		return rules{}, refuse(http.StatusBadRequest, "Topic must be at most 32 characters of A-Z a-z 0-9 - _")
	}
	return rules{topic, ttl}, nil
}

// readTTL reads the header TTL, a number of seconds. What is more than maxTTL is maxTTL.
func readTTL(text string) (time.Duration, error) {
	if text == "" {
		return 0, refuse(http.StatusBadRequest, "the header TTL is missing")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, refuse(http.StatusBadRequest, "TTL must be a number of seconds")
	}
	n, _ := strconv.ParseInt(text, 10, 64) // the largest there is for one that is too large
	return time.Duration(min(n, int64(maxTTL/time.Second))) * time.Second, nil
}

func notBase64URL(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// admit checks who sends and how often.
func (s *Service) admit(r *http.Request, e *endpoint) error {
	if len(r.Header.Get("Authorization")) > maxAuthorization {
		return refuse(http.StatusForbidden, "the header Authorization is too long")
	}
	const tooMany = "too many messages of this sender"
	switch sig := findSignature(r.Header); {
	case sig != nil:
		key, err := e.verify(sig, s.Clock.Now())
		if err != nil {
			return refuse(http.StatusForbidden, err.Error())
		}
		if !s.bySender.Allow(string(key)) {
			return later(http.StatusTooManyRequests, tooMany, 10*time.Second)
		}
	case e.bound():
		return refuse(http.StatusUnauthorized, "the subscription takes messages that are signed with its key only (VAPID)")
	case !s.byAddress.Allow(ratelimit.IPKey(s.ClientIP(r))):
		return later(http.StatusTooManyRequests, tooMany, 10*time.Second)
	}
	if !s.bySub.Allow(e.subscription) {
		return later(http.StatusTooManyRequests, "too many messages for this subscription", 10*time.Second)
	}
	return nil
}

// readBody reads the body, which must be encrypted unless it is empty.
func readBody(w http.ResponseWriter, r *http.Request, f *frame) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case web.IsTooLarge(err):
		return refuse(http.StatusRequestEntityTooLarge, "the body has more than 4096 bytes")
	case err != nil:
		return refuse(http.StatusBadRequest, "the body was cut off")
	case len(body) == 0:
		return nil
	}
	f.Body = base64.StdEncoding.EncodeToString(body)
	switch f.Encoding = strings.ToLower(r.Header.Get("Content-Encoding")); f.Encoding {
	case "aes128gcm":
		// RFC 8188: salt, record size, length of the key id; RFC 8291: the key id is a point of P-256. Then the tag at least.
		const head, point, tag = 16 + 4 + 1, 65, 16
		if len(body) <= head+point+tag || body[head-1] != point {
			return refuse(http.StatusBadRequest, "the body is not a message in the encoding aes128gcm (RFC 8291)")
		}
	case "aesgcm":
		f.Encryption, f.CryptoKey = r.Header.Get("Encryption"), r.Header.Get("Crypto-Key")
		if f.Encryption == "" || f.CryptoKey == "" || len(f.Encryption) > maxKeyHeader || len(f.CryptoKey) > maxKeyHeader {
			return refuse(http.StatusBadRequest, "the encoding aesgcm needs the headers Encryption and Crypto-Key")
		}
	default:
		return refuse(http.StatusUnsupportedMediaType, "Content-Encoding must be aes128gcm: messages are encrypted for the application (RFC 8291)")
	}
	return nil
}

// alive finds whom the subscription is for. That its app was stopped says nothing of the subscription.
func (s *Service) alive(ctx context.Context, e *endpoint) (instance string, err error) {
	switch app := s.Gate.AppByID(e.app); {
	case app == nil || app.State == gate.Deleted:
		return "", errGone
	case app.State != gate.Enabled:
		return "", later(http.StatusServiceUnavailable, "the application is stopped at present", time.Hour)
	}
	instance, ok, err := queryInstance(ctx, s.DB, e)
	if err == nil && !ok {
		err = errGone
	}
	return instance, err
}

// send hands a message over. receipts is the receipt subscription that hears of it, 0 for none.
func (s *Service) send(ctx context.Context, e *endpoint, f *frame, kept rules, wish receiptWish) (msg, receipts int64, err error) {
	body, err := json.Marshal(f)
	if err != nil {
		return 0, 0, err
	}
	if receipts, err = s.settle(ctx, wish); err != nil {
		return 0, 0, err
	}
	m := Message{App: e.app, Ordinal: e.ordinal, Subscription: e.subscription, Topic: kept.topic, Body: body, TTL: kept.ttl, Receipt: receipts}
	also := func(ctx context.Context, tx *db.Tx) error {
		ok, err := touch(ctx, tx, e, clock.Millis(s.Clock.Now()))
		if err == nil && !ok {
			err = errGone
		}
		if err != nil {
			return err
		}
		return s.keepReceipts(ctx, tx, m.Receipt, wish, e.subscription, kept.ttl)
	}
	msg, err = s.Sender.Send(ctx, m, also)
	if errors.Is(err, errNoReceipts) { // the one given ended a moment ago
		receipts, m.Receipt = wish.made, wish.made
		msg, err = s.Sender.Send(ctx, m, also)
	}
	switch {
	case errors.Is(err, ErrNoDevice):
		if err := s.forget(ctx, &owner{e.subscription, e.app, e.ordinal}); err != nil {
			return 0, 0, err
		}
		return 0, 0, errGone
	case errors.Is(err, ErrFull):
		return 0, 0, later(http.StatusTooManyRequests, "too many messages wait for the device, which is not connected", 10*time.Minute)
	}
	return msg, receipts, err
}
