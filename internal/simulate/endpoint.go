package simulate

import (
	"fmt"
	"net"
	"net/url"
)

// endpoint is where a device connects, and how.
type endpoint struct {
	// address is host:port, host the host alone.
	address, host string
	tls           bool
	// ws is the URL of the WebSocket; nil: MQTT directly.
	ws *url.URL
}

// parseEndpoint reads an MQTT URL: tcp (mqtt), mqtts (ssl, tls), ws or wss.
func parseEndpoint(text string) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return endpoint{}, fmt.Errorf("MQTT address: %w", err)
	}
	e := endpoint{host: u.Hostname()}
	var port string
	switch u.Scheme {
	case "tcp", "mqtt":
		port = "1883"
	case "mqtts", "ssl", "tls":
		port, e.tls = "8883", true
	case "ws":
		port, e.ws = "80", u
	case "wss":
		port, e.ws, e.tls = "443", u, true
	default:
		return endpoint{}, fmt.Errorf("MQTT address %q is no URL such as tcp://host:1883 or ws://host:8080/mqtt", text)
	}
	if e.host == "" {
		return endpoint{}, fmt.Errorf("MQTT address %q names no host", text)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	e.address = net.JoinHostPort(e.host, port)
	return e, nil
}
