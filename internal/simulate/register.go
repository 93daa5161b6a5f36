package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Info describes the simulated hardware and app; every field may be empty.
type Info struct {
	Model      string `json:"model,omitempty"`
	OSVersion  string `json:"os_version,omitempty"`
	AppVersion string `json:"app_version,omitempty"`
	SDKVersion string `json:"sdk_version,omitempty"`
	// Timezone is an IANA name, Locale a BCP 47 tag.
	Timezone string `json:"timezone,omitempty"`
	Locale   string `json:"locale,omitempty"`
}

// RegisterOptions say what a device tells about itself when it registers. The zero value is an Android device without
// an installation id: a new device each time.
type RegisterOptions struct {
	// HTTP makes the calls; nil: http.DefaultClient.
	HTTP *http.Client
	// Platform is one of android, ios, quickapp, hmos, web, desktop, iot; empty: android.
	Platform string
	// InstallID, repeated, gives the same device again.
	InstallID string
	// Package is the app's package name or bundle id.
	Package string
	Device  Info
	// Signature of the app's backend, for apps that demand it.
	Signature string
}

// Credentials are a device's identity and where it may connect.
type Credentials struct {
	// RegistrationID is 20 lower-case hexadecimal digits.
	RegistrationID string
	Secret         string
	// MQTT lists URLs to connect to, the preferred first.
	MQTT []string
	// KeepAlive is the recommended time between signs of life.
	KeepAlive time.Duration
}

// APIError is an answer of the HTTP API that is not a success.
type APIError struct {
	// Status is the HTTP status.
	Status int `json:"-"`
	// Title and Detail are for people; either may be empty.
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// Error implements error.
func (e *APIError) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	if text == "" {
		text = http.StatusText(e.Status)
	}
	return fmt.Sprintf("%s (HTTP %d)", text, e.Status)
}

// Temporary reports whether the same call may succeed later.
func (e *APIError) Temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
}

// ErrUnreachable says that nothing answered at an address.
var ErrUnreachable = errors.New("the server cannot be reached")

// Register asks the server at base (e.g. "http://127.0.0.1:8080") for a new device of an app. Errors: *APIError,
// ErrUnreachable, or that of ctx.
func Register(ctx context.Context, base, appKey string, o RegisterOptions) (Credentials, error) {
	if o.Platform == "" {
		o.Platform = "android"
	}
	in := struct {
		AppKey    string `json:"app_key"`
		InstallID string `json:"install_id,omitempty"`
		Platform  string `json:"platform"`
		Package   string `json:"package,omitempty"`
		Device    Info   `json:"device"`
		Signature string `json:"signature,omitempty"`
	}{appKey, o.InstallID, o.Platform, o.Package, o.Device, o.Signature}
	var out struct {
		RegistrationID string   `json:"registration_id"`
		Secret         string   `json:"secret"`
		MQTT           []string `json:"mqtt"`
		KeepAlive      int      `json:"keep_alive"`
	}
	if err := call(ctx, o.HTTP, http.MethodPost, base, "/device/v1/register", nil, in, &out); err != nil {
		return Credentials{}, fmt.Errorf("register device: %w", err)
	}
	if out.RegistrationID == "" || out.Secret == "" {
		return Credentials{}, errors.New("register device: the answer has no identity in it; is this a Borealis server?")
	}
	return Credentials{
		RegistrationID: out.RegistrationID, Secret: out.Secret, MQTT: out.MQTT,
		KeepAlive: time.Duration(out.KeepAlive) * time.Second,
	}, nil
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// call makes one JSON call; prepare may be nil, and so may out.
func call(ctx context.Context, client *http.Client, method, base, path string, prepare func(*http.Request), in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if prepare != nil {
		prepare(req)
	}
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		failure := &APIError{Status: resp.StatusCode}
		_ = json.Unmarshal(answer, failure) // what is no problem document has neither title nor detail
		return failure
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the answer is not the JSON expected: %w", err)
	}
	return nil
}
