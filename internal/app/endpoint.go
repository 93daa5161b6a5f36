package app

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"borealis/internal/kernel/config"
)

// endpoints tells a device that registered by the given Host where to connect, the preferred address first. With
// public-url its host, and its port for WebSocket, are told instead of those of the request.
func (a *App) endpoints(host string) []string {
	secure := a.cfg.TLS()
	if public, err := url.Parse(a.cfg.PublicURL); err == nil && public.Host != "" {
		host, secure = public.Host, public.Scheme == "https"
	}
	name, httpPort, err := net.SplitHostPort(host)
	if err != nil {
		name, httpPort = host, ""
	}
	var out []string
	if a.cfg.TLS() && a.cfg.MQTTSAddr != "" {
		out = append(out, "mqtts://"+net.JoinHostPort(name, a.port(a.cfg.MQTTSAddr, (*edgeNode).TLSAddr)))
	}
	if a.cfg.MQTTAddr != "" {
		out = append(out, "tcp://"+net.JoinHostPort(name, a.port(a.cfg.MQTTAddr, (*edgeNode).Addr)))
	}
	scheme := "ws://"
	if secure {
		scheme = "wss://"
	}
	if httpPort != "" {
		name = net.JoinHostPort(name, httpPort)
	}
	return append(out, scheme+name+"/mqtt")
}

// port is the port of a configured address, or of the listener where the configuration leaves it open.
func (a *App) port(configured string, listening func(*edgeNode) net.Addr) string {
	_, port, _ := net.SplitHostPort(configured)
	if port == "0" && a.edge != nil {
		if addr, ok := listening(a.edge).(*net.TCPAddr); ok {
			_, port, _ = net.SplitHostPort(addr.String())
		}
	}
	return port
}

// publicURL is the base of the addresses that callers are told: the configured one, or that of their request.
func publicURL(cfg *config.Config) func(*http.Request) string {
	return func(r *http.Request) string {
		if cfg.PublicURL != "" {
			return strings.TrimRight(cfg.PublicURL, "/")
		}
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		return scheme + r.Host
	}
}
