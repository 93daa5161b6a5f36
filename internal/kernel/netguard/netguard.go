// Package netguard keeps connections to addresses that strangers chose out of the operator's network.
//
// A Guard is asked when a socket is connected, on what is really dialled (net.Dialer.Control), so neither a redirect nor
// a name that changes its address gets round it. Whoever uses it must not dial through a proxy, which would look up the name
// again.
package netguard

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// ErrAddress says that a name stands for an address that nothing is sent to. It does not say which: what names mean
// inside the operator's network is not the customer's to learn.
var ErrAddress = errors.New("the host has an address that is not public and not allowed here")

// special are the networks that IANA's registries of special-purpose addresses keep from the public internet, as far as
// they are not outside of global unicast anyway (::1, fe80::/10, fc00::/7, ff00::/8, the NAT64 prefixes 64:ff9b::/96 and
// 64:ff9b:1::/48, …).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network; 0.0.0.0 reaches the machine itself
	netip.MustParsePrefix("10.0.0.0/8"),      // private
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback
	netip.MustParsePrefix("169.254.0.0/16"),  // link-local, also where clouds keep their metadata
	netip.MustParsePrefix("172.16.0.0/12"),   // private
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("192.168.0.0/16"),  // private
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("224.0.0.0/4"),     // multicast
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4: carries an IPv4 address
	netip.MustParsePrefix("3fff::/20"),       // documentation
}

// Public tells whether an address belongs to the public internet.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if a.Is6() && a.As16()[0]>>5 != 1 { // outside of 2000::/3, the only part of IPv6 that is given out to the public
		return false
	}
	return a.IsValid() && a.Zone() == "" && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Guard decides where connections may go. The zero value permits public addresses only. It is immutable.
type Guard struct{ allow []netip.Prefix }

// New returns a guard that also permits the networks of allow.
func New(allow []netip.Prefix) Guard {
	var g Guard
	for _, p := range allow {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		g.allow = append(g.allow, p.Masked())
	}
	return g
}

// Permits tells whether connections may go to an address: it is public, or Listed.
func (g Guard) Permits(a netip.Addr) bool { return Public(a) || g.Listed(a) }

// Listed tells whether an address is in one of the networks that the guard was made with.
func (g Guard) Listed(a netip.Addr) bool {
	bare := a.Unmap().WithZone("")
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(bare) })
}

// Control is for net.Dialer.Control: it sees the address after every look-up, right before the connection is made. The
// error is ErrAddress.
func (g Guard) Control(_, address string, _ syscall.RawConn) error { return check(address, g.Permits) }

// ControlListed is Control that lets only listed addresses pass, also where others are public: for what is sent in clear.
func (g Guard) ControlListed(_, address string, _ syscall.RawConn) error {
	return check(address, g.Listed)
}

func check(address string, good func(netip.Addr) bool) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !good(to.Addr()) {
		return ErrAddress
	}
	return nil
}
