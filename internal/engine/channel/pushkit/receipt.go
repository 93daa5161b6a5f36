package pushkit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

const (
	// maxStatuses of a call: Huawei sends at most 100.
	maxStatuses = 1000
	// maxAge of a call: the signature does not cover the body, so that an old one must not open the door for good.
	maxAge = 15 * time.Minute
)

// Callback is what was entered in AppGallery Connect for receipts.
type Callback struct{ User, Secret string }

// NewCallback checks the two: both or none.
func NewCallback(user, secret string) (Callback, error) {
	switch {
	case user == "" && secret != "":
		return Callback{}, &wire.FieldError{Field: "callback_user", Reason: "is needed with callback_secret"}
	case user != "" && secret == "":
		return Callback{}, &wire.FieldError{Field: "callback_secret", Reason: "is needed with callback_user"}
	}
	return Callback{user, secret}, nil
}

// reasons of receipts that say why a message is not shown.
var reasons = map[int]string{
	2: "the app is not installed", 5: "the token is not the app's on this device", 6: "notifications are switched off",
	10: "the device was away for 30 days", 14: "Huawei's network failed", 15: "later messages took its place while the device was away",
	22: "the token is another user's of the device", 31: "the app has no such page", 51: "the device was not unlocked after a restart",
	102: "too many messages for the device", 144: "the profile does not exist", 151: "it was not shown", 155: "the live view does not exist",
	156: "a newer version of the live view is shown", 158: "the live view exists", 188: "the app could not be started", 191: "the badge failed",
	201: "too many marketing messages", 256: "too many messages of this kind", 259: "its content is forbidden", 261: "the form does not exist",
	262: "too many updates of the form", 264: "the user did not subscribe", 265: "the live view does not exist", 268: "the status is missing",
	269: "the live view exists",
}

// cached: the message waits on the device until the app runs, which is no end.
const cached = 27

// answer is what Huawei wants to hear.
const answer = `{"code":"0","message":"success"}`

// Receipts reads a call of Huawei's: receipts of version 1 or 2. Message.ID is what was sent as bi_tag.
func (c Callback) Receipts(header http.Header, body []byte, now time.Time) ([]wire.Receipt, []byte, error) {
	if !c.signed(header.Get("X-HUAWEI-CALLBACK-ID"), now) {
		return nil, nil, wire.ErrSignature
	}
	var call struct {
		Statuses []struct {
			Token     string      `json:"token"`
			BiTag     string      `json:"biTag"`
			Status    json.Number `json:"status"`
			Timestamp json.Number `json:"timestamp"`
			Delivery  *delivery   `json:"deliveryStatus"`
			Form      *delivery   `json:"formStatus"`
		} `json:"statuses"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return nil, nil, errors.New("pushkit: the receipt is not what Push Kit documents")
	}
	if len(call.Statuses) == 0 || len(call.Statuses) > maxStatuses {
		return nil, nil, errors.New("pushkit: the receipt has no statuses, or too many")
	}
	receipts := make([]wire.Receipt, 0, len(call.Statuses))
	for _, s := range call.Statuses {
		d := delivery{s.Status, s.Timestamp}
		if s.Delivery != nil {
			d = *s.Delivery
		} else if s.Form != nil {
			d = *s.Form
		}
		code, err := strconv.Atoi(d.Result.String())
		if err != nil {
			return nil, nil, errors.New("pushkit: a receipt has no result")
		}
		if code == cached || s.Token == "" && s.BiTag == "" {
			continue
		}
		r := wire.Receipt{Token: s.Token, ID: s.BiTag, Event: event(code)}
		r.At, _ = d.Timestamp.Int64()
		if r.Event != wire.Arrived {
			r.Code, r.Reason = strconv.Itoa(code), reasons[code]
		}
		receipts = append(receipts, r)
	}
	return receipts, []byte(answer), nil
}

type delivery struct {
	Result    json.Number `json:"result"`
	Timestamp json.Number `json:"timestamp"`
}

func event(code int) wire.Event {
	switch code {
	case 0:
		return wire.Arrived
	case 2, 5:
		return wire.Unregistered
	}
	return wire.Lost
}

// signed checks a header: timestamp=…; nonce=…; value=Base64(HMAC-SHA256(secret, timestamp + nonce + user)).
func (c Callback) signed(header string, now time.Time) bool {
	if c.Secret == "" || len(header) > 1024 {
		return false
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(header, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[key] = value
	}
	stamp, err := strconv.ParseInt(fields["timestamp"], 10, 64)
	if err != nil || fields["nonce"] == "" {
		return false
	}
	at := time.UnixMilli(stamp)
	if stamp < 1e11 { // an older version of the documents says seconds
		at = time.Unix(stamp, 0)
	}
	if age := now.Sub(at); age > maxAge || age < -maxAge {
		return false
	}
	value, err := base64.StdEncoding.DecodeString(fields["value"])
	if err != nil {
		return false
	}
	text := []byte(fields["timestamp"] + fields["nonce"] + c.User)
	for _, key := range c.keys() {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write(text)
		if hmac.Equal(mac.Sum(nil), value) {
			return true
		}
	}
	return false
}

// keys are what the secret can mean: keys that the console makes are Base64, older ones are used as they are.
func (c Callback) keys() [][]byte {
	keys := [][]byte{[]byte(c.Secret)}
	if key, err := base64.StdEncoding.DecodeString(c.Secret); err == nil && len(key) > 0 {
		keys = append(keys, key)
	}
	return keys
}
