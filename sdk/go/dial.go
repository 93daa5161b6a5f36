package borealis

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// connectTimeout is how long opening a connection may take, until CONNACK.
const connectTimeout = 20 * time.Second

// transportOf is the kind of an address, empty if this SDK cannot use it.
func transportOf(address string) string {
	scheme, _, _ := strings.Cut(address, "://")
	switch scheme {
	case "tcp", "mqtt", "mqtts", "ssl":
		return "tcp"
	case "ws", "wss":
		return "ws"
	}
	return ""
}

// usable are the addresses to try in turn: those of the preferred transport, or all if there is none of it.
func usable(addresses []string, transport string) []string {
	known := slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return transportOf(a) == "" })
	preferred := slices.DeleteFunc(slices.Clone(known), func(a string) bool { return transportOf(a) != transport })
	if len(preferred) > 0 {
		return preferred
	}
	return known
}

// moved is the address that a server's reference ("host:port") means for a device that used from.
func moved(from, reference string) string {
	u, err := url.Parse(from)
	if err != nil || reference == "" || strings.ContainsAny(reference, "/ @") {
		return ""
	}
	u.Host = reference
	return u.String()
}

// dial opens a connection that MQTT can be spoken on. ctx bounds it.
func (c *Client) dial(ctx context.Context, address string) (net.Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	secure := u.Scheme == "mqtts" || u.Scheme == "ssl" || u.Scheme == "wss"
	host := u.Host
	if u.Port() == "" {
		port := map[string]string{"tcp": "1883", "mqtt": "1883", "mqtts": "8883", "ssl": "8883", "ws": "80", "wss": "443"}[u.Scheme]
		host = net.JoinHostPort(u.Hostname(), port)
	}
	conn, err := c.o.Dial(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if secure {
		config := c.o.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		over := tls.Client(conn, config)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = over
	}
	if transportOf(address) == "ws" {
		ws, err := upgrade(ctx, conn, u)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = ws
	}
	return conn, nil
}
