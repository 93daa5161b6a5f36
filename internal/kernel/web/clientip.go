package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// ParseProxies reads networks such as "10.0.0.0/8".
func ParseProxies(cidrs []string) (Proxies, error) {
	list := make(Proxies, 0, len(cidrs))
	for _, c := range cidrs {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy: %w", err)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// maxHops is how many entries of X-Forwarded-For are looked at, from the near end.
const maxHops = 16

// ClientIP is the address of the caller: the peer of the connection, or, where that is a trusted proxy, the last
// address in X-Forwarded-For that is not one. The zero Addr if the peer has none (a Unix socket).
func (p Proxies) ClientIP(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip := peer.Addr().Unmap()
	if !p.trust(ip) {
		return ip
	}
	// What stands to the left of the first untrusted address was written by anybody.
	hops := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for range maxHops {
		i := strings.LastIndexByte(hops, ',')
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i+1:]))
		if err != nil {
			return ip
		}
		ip = next.Unmap().WithZone("")
		if i < 0 || !p.trust(ip) {
			return ip
		}
		hops = hops[:i]
	}
	return ip
}

func (p Proxies) trust(ip netip.Addr) bool {
	for _, n := range p {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}
