package borealis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// laterError says that the server asks to try again, after some time if it said so.
type laterError struct {
	status int
	after  time.Duration
}

func (e *laterError) Error() string { return fmt.Sprintf("the server answered %d", e.status) }

// call makes one call of the device API.
func (c *Client) call(ctx context.Context, method, path string, as *credentials, body any) (status int, header http.Header, data []byte, err error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, nil, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.o.Server+path, in)
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-App-Key", c.o.AppKey)
	if as != nil {
		req.SetBasicAuth(as.RegistrationID, as.Secret)
	}
	resp, err := c.o.HTTP.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, resp.Header, data, err
}

type registration struct {
	AppKey    string `json:"app_key"`
	InstallID string `json:"install_id"`
	Platform  string `json:"platform"`
	Package   string `json:"package,omitempty"`
	Device    struct {
		Device
		SDKVersion string `json:"sdk_version"`
	} `json:"device"`
	Consent   *consent `json:"consent"`
	Signature string   `json:"signature,omitempty"`
}

type registrationAnswer struct {
	RegistrationID string   `json:"registration_id"`
	Secret         string   `json:"secret"`
	MQTT           []string `json:"mqtt"`
	KeepAlive      int      `json:"keep_alive"`
	ServerTime     int64    `json:"server_time"`
}

// register gets the device its identity.
func (c *Client) register(ctx context.Context, id identity) error {
	ask := registration{AppKey: c.o.AppKey, InstallID: id.InstallID, Platform: c.o.Platform, Package: c.o.Package, Consent: id.Consent}
	ask.Device.Device, ask.Device.SDKVersion = c.o.Device, "go/"+Version
	if c.o.Sign != nil {
		signature, err := c.o.Sign(ctx, id.InstallID)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		ask.Signature = signature
	}
	status, header, data, err := c.call(ctx, http.MethodPost, "/device/v1/register", nil, ask)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return refusal(status, header, data)
	}
	var got registrationAnswer
	if err := json.Unmarshal(data, &got); err != nil || got.RegistrationID == "" || got.Secret == "" {
		return fmt.Errorf("the answer to the registration is not one: %.100q", data)
	}
	c.mu.Lock()
	now := c.state.identity
	if now.InstallID != id.InstallID { // ended meanwhile
		now.Ending = &credentials{got.RegistrationID, got.Secret}
		err := c.storeIdentityLocked(now)
		c.mu.Unlock()
		return err
	}
	fresh := now.Known != "" && now.Known != got.RegistrationID
	now.RegistrationID, now.Secret, now.MQTT, now.KeepAlive, now.Known = got.RegistrationID, got.Secret, got.MQTT, got.KeepAlive, got.RegistrationID
	if got.ServerTime > 0 {
		now.Offset = got.ServerTime - c.o.Now().UnixMilli()
	}
	if fresh {
		// First, so that it is not forgotten if the process dies between the two.
		w := c.state.words.clone()
		w.anew()
		if err := c.storeWordsLocked(w); err != nil {
			c.mu.Unlock()
			return err
		}
	}
	err = c.storeIdentityLocked(now)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.emit(Event{Kind: Registered, RegistrationID: got.RegistrationID})
	return nil
}

// refusal is an answer to a registration that is not 200.
func refusal(status int, header http.Header, data []byte) error {
	if status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusTooEarly {
		seconds, err := strconv.Atoi(header.Get("Retry-After"))
		if err != nil {
			seconds = 0
		}
		return &laterError{status, time.Duration(min(max(seconds, 0), int(retryAfterMax/time.Second))) * time.Second}
	}
	var problem struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(data, &problem) // a proxy may have answered
	return &RefusedError{What: WhatRegister, Code: status, Reason: problem.Detail}
}

// forget makes the registration void; what was said of the device stays.
func (c *Client) forget(registrationID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.state.identity
	if id.RegistrationID != registrationID {
		return nil
	}
	id.RegistrationID, id.Secret, id.MQTT, id.KeepAlive = "", "", nil, 0
	return c.storeIdentityLocked(id)
}

// tellEnd tells the server of a registration that ended here, if there is one.
func (c *Client) tellEnd(ctx context.Context) error {
	c.ending.Lock()
	defer c.ending.Unlock()
	c.mu.Lock()
	old := c.state.identity.Ending
	c.mu.Unlock()
	if old == nil {
		return nil
	}
	status, header, data, err := c.call(ctx, http.MethodDelete, "/device/v1/registration", old, nil)
	switch {
	case err != nil:
		return fmt.Errorf("borealis: end: %w", err)
	case status/100 == 2, status == http.StatusUnauthorized, status == http.StatusNotFound: // gone, one way or the other
	default:
		return fmt.Errorf("borealis: end: %w", refusal(status, header, data))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.state.identity
	id.Ending = nil
	err = c.storeIdentityLocked(id)
	poke(c.changed)
	return err
}
