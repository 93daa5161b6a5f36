package apns

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
)

const (
	// maxChannelID bounds ids of channels, in bytes; Apple promises no length.
	maxChannelID = 1024
	// maxStored is how long Apple keeps the last message of a channel.
	maxStored = 8 * time.Hour
)

// Channel is a broadcast channel of an app in one environment: what is sent on it reaches the live activities of all who
// subscribed to it, on devices from iOS 18 on. An app has at most 10,000 in each environment.
type Channel struct {
	// ID that Apple made up, Base64.
	ID string
	// Stored: Apple keeps the last message for up to 8 hours for devices that are offline, and allows fewer. It cannot be changed.
	Stored bool
}

// RefusedError is Apple's answer to a request about channels that did not succeed.
type RefusedError struct{ Outcome wire.Outcome }

// Error is Apple's reason.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("apns: %s: %s %s", e.Outcome.Status, e.Outcome.Code, e.Outcome.Reason)
}

// channelConfig is a channel on the wire.
type channelConfig struct {
	Policy   int    `json:"message-storage-policy"` // 0: nothing is stored, 1: the last message
	PushType string `json:"push-type"`
}

// CreateChannel makes a channel. The error is a *RefusedError, or what prevented an answer; then there may be a channel that nobody knows.
func (v *Vendor) CreateChannel(ctx context.Context, c wire.Credentials, sandbox, stored bool) (Channel, error) {
	config := channelConfig{PushType: "LiveActivity"}
	if stored {
		config.Policy = 1
	}
	body, err := json.Marshal(config)
	if err != nil {
		return Channel{}, err
	}
	answer, err := v.manage(ctx, c, sandbox, http.MethodPost, "/channels", "", body, http.StatusCreated)
	if err != nil {
		return Channel{}, err
	}
	id := answer.Header.Get("Apns-Channel-Id")
	if !isChannelID(id) {
		return Channel{}, errors.New("apns: the answer names no channel")
	}
	return Channel{ID: id, Stored: stored}, nil
}

// Channel reads how a channel was made. The error is a *RefusedError, with the reason ChannelNotRegistered if there is none, or what prevented an answer.
func (v *Vendor) Channel(ctx context.Context, c wire.Credentials, sandbox bool, id string) (Channel, error) {
	answer, err := v.manage(ctx, c, sandbox, http.MethodGet, "/channels", id, nil, http.StatusOK)
	if err != nil {
		return Channel{}, err
	}
	var config channelConfig
	if err := json.Unmarshal(answer.Body, &config); err != nil {
		return Channel{}, errors.New("apns: the answer is no channel")
	}
	return Channel{ID: id, Stored: config.Policy == 1}, nil
}

// Channels are the ids of all channels of the app in an environment. The error is as of Channel.
func (v *Vendor) Channels(ctx context.Context, c wire.Credentials, sandbox bool) ([]string, error) {
	answer, err := v.manage(ctx, c, sandbox, http.MethodGet, "/all-channels", "", nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var list struct {
		Channels []string `json:"channels"`
	}
	if err := json.Unmarshal(answer.Body, &list); err != nil {
		return nil, errors.New("apns: the answer is no list of channels")
	}
	return list.Channels, nil
}

// DeleteChannel ends a channel for good. What is stored on it may still be delivered. The error is as of Channel.
func (v *Vendor) DeleteChannel(ctx context.Context, c wire.Credentials, sandbox bool, id string) error {
	_, err := v.manage(ctx, c, sandbox, http.MethodDelete, "/channels", id, nil, http.StatusNoContent)
	return err
}

// manage makes a request about channels. id is "" where none is named.
func (v *Vendor) manage(
	ctx context.Context, c wire.Credentials, sandbox bool, method, path, id string, body []byte, success int,
) (wire.Answer, error) {
	creds, err := v.channelCredentials(c, sandbox)
	if err != nil {
		return wire.Answer{}, err
	}
	header := make(http.Header)
	if body != nil {
		header.Set("Content-Type", contentTypeJSON)
	}
	named := method == http.MethodDelete || method == http.MethodGet && path == "/channels"
	if named {
		if !isChannelID(id) {
			return wire.Answer{}, &RefusedError{wire.NewOutcome(wire.Rejected, "", "BadChannelId: not Base64")}
		}
		header.Set("Apns-Channel-Id", id)
	}
	answer, err := v.call(ctx, creds, sandbox, method, manageHost(sandbox)+"/1/apps/"+creds.bundle+path, header, body)
	if err != nil {
		return wire.Answer{}, err
	}
	if answer.Status != success {
		return wire.Answer{}, &RefusedError{judge(answer, true)}
	}
	return answer, nil
}

// Broadcast sends the update or end of a live activity to all who subscribed to a channel. A message with a time to live is kept for so
// long, 8 hours at most, if the channel stores. VendorID of the outcome is Apple's id of the request.
func (v *Vendor) Broadcast(ctx context.Context, c wire.Credentials, sandbox bool, to Channel, m *wire.Message) wire.Outcome {
	creds, err := v.channelCredentials(c, sandbox)
	if err != nil {
		return wire.NewOutcome(wire.Denied, "", err.Error())
	}
	now := v.deps.Clock.Now()
	body, priority, err := broadcastBody(m, now)
	if err == nil && !isChannelID(to.ID) {
		err = errors.New("BadChannelId: not Base64")
	}
	if err != nil {
		return wire.NewOutcome(wire.Rejected, "", err.Error())
	}
	header := http.Header{
		"Content-Type": {contentTypeJSON}, "Apns-Channel-Id": {to.ID}, "Apns-Push-Type": {typeLive},
		"Apns-Priority": {strconv.Itoa(priority)}, "Apns-Expiration": {"0"},
	}
	if to.Stored {
		header.Set("Apns-Expiration", expiration(m.TTL, maxStored, now))
	}
	if m.ID != "" {
		header.Set("Apns-Request-Id", requestID(m.ID, to.ID))
	}
	answer, err := v.call(ctx, creds, sandbox, http.MethodPost, host(sandbox)+"/4/broadcasts/apps/"+creds.bundle, header, body)
	if err != nil {
		return undelivered(err)
	}
	// The requests to channels have an id under another name.
	id := answer.Header.Get("Apns-Request-Id")
	answer.Header.Set("Apns-Id", id)
	return judge(answer, true)
}

// broadcastBody is the payload of a live activity that exists: none can be started by a broadcast.
func broadcastBody(m *wire.Message, now time.Time) (body []byte, priority int, err error) {
	if m.Kind != wire.Live || m.Apple == nil {
		return nil, 0, errors.New("only live activities have channels")
	}
	p, err := live(m, m.Apple.Live, now)
	if err != nil {
		return nil, 0, err
	}
	if p.aps["event"] == eventStart {
		return nil, 0, errors.New("live_activity: a broadcast starts none")
	}
	body, err = p.encode(maxBroadcast, m.Truncate)
	return body, p.priority, err
}

// channelCredentials are those that may speak about channels in an environment.
func (v *Vendor) channelCredentials(c wire.Credentials, sandbox bool) (*credentials, error) {
	creds, ok := c.(*credentials)
	if !ok {
		return nil, wire.ErrForeign
	}
	if creds.identity(sandbox).expired(v.deps.Clock.Now()) {
		return nil, &wire.FieldError{Field: fieldCertificate, Reason: "has expired"}
	}
	return creds, nil
}

func isChannelID(id string) bool {
	if id == "" || len(id) > maxChannelID || strings.ContainsAny(id, "\r\n") {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(id)
	return err == nil
}
