package borealis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Version of this SDK, told to the server.
const Version = "0.1.0"

// Platforms that Options.Platform can be.
var platforms = [...]string{"android", "ios", "quickapp", "hmos", "web", "desktop", "iot"}

// Options say who the device is and what is done with messages. Server, AppKey, Platform and Storage are required.
type Options struct {
	// Server is the base URL of the server's HTTP address, such as https://push.example.com.
	Server string
	// AppKey is the app's public key.
	AppKey string
	// Platform is android, ios, quickapp, hmos, web, desktop or iot.
	Platform string
	// Package names the app's package; optional.
	Package string
	// Device describes the device; optional.
	Device Device
	// Storage keeps what must survive a restart. Two clients must not share one.
	Storage Storage

	// OnMessage takes a message, one at a time. An error, such as that of ctx when Run is ended, means that it was not
	// taken: it comes again with the next connection, three times in a life of the client. ctx ends with that of Run, which
	// waits for OnMessage to return.
	OnMessage func(ctx context.Context, m Message) error
	// OnWithdraw is told the id of a message that is to be taken off the screen.
	OnWithdraw func(ctx context.Context, id string)
	// OnEvent is told what happens to the connection. It must return soon.
	OnEvent func(Event)

	// Sign returns the signature by the app's backend for this installation; needed when the app demands it.
	Sign func(ctx context.Context, installID string) (string, error)
	// Transport is the preferred kind of address: "tcp" (MQTT over TCP or TLS) or "ws" (over WebSocket). Empty: as the server
	// prefers.
	Transport string
	// HTTP makes the calls; nil: a client with a time limit of 30 s.
	HTTP *http.Client
	// TLS of MQTT connections; nil: the system's trust.
	TLS *tls.Config
	// Dial opens sockets; nil: net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the device's clock; nil: time.Now.
	Now func() time.Time
	// Random returns numbers in [0,1) for jitter; nil: math/rand.
	Random func() float64
	// Scale multiplies all delays; 0: 1. For tests.
	Scale float64
}

// Device describes a device. All fields are optional, at most 128 bytes each.
type Device struct {
	Model      string `json:"model,omitempty"`
	OSVersion  string `json:"os_version,omitempty"`
	AppVersion string `json:"app_version,omitempty"`
	// Timezone is an IANA name such as Asia/Shanghai.
	Timezone string `json:"timezone,omitempty"`
	Locale   string `json:"locale,omitempty"`
}

const httpTimeout = 30 * time.Second

func (o *Options) check() error {
	base, err := url.Parse(o.Server)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return fmt.Errorf("borealis: Server %q is not a URL such as https://push.example.com", o.Server)
	case o.AppKey == "":
		return errors.New("borealis: AppKey is required")
	case !slices.Contains(platforms[:], o.Platform):
		return fmt.Errorf("borealis: Platform %q is none of %s", o.Platform, strings.Join(platforms[:], ", "))
	case o.Storage == nil:
		return errors.New("borealis: Storage is required")
	case o.Transport != "" && o.Transport != "tcp" && o.Transport != "ws":
		return fmt.Errorf("borealis: Transport %q is neither tcp nor ws", o.Transport)
	}
	o.Server = strings.TrimRight(o.Server, "/")
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: httpTimeout}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Scale == 0 {
		o.Scale = 1
	}
	return nil
}

// scaled is a delay as it is waited for.
func (o *Options) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) * o.Scale) }
