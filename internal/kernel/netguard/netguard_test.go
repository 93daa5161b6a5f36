package netguard_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/kernel/netguard"
)

func TestOnlyPublicAddressesArePermitted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.0": true, "172.15.255.255": true, "172.32.0.1": true,
		"11.0.0.0": true, "2606:4700:4700::1111": true, "2400:3200::1": true, "::ffff:8.8.8.8": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false, "100.64.0.1": false, "100.127.255.255": false,
		"127.0.0.1": false, "127.255.255.254": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.0.0.1": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.9": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false, "::8.8.8.8": false,
		"64:ff9b::7f00:1": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:db8::1": false,
		"2002:7f00:1::": false, "2002:808:808::1": false, "3fff::1": false, "5f00::1": false, "fc00::1": false, "fd12:3456::1": false, "fe80::1": false,
		"fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "2606:4700::1%eth0": false,
	} {
		if got := (netguard.Guard{}).Permits(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: permitted %v", text, got)
		}
	}
	if (netguard.Guard{}).Permits(netip.Addr{}) {
		t.Error("no address at all is permitted")
	}
}

func TestAllowedNetworksOpenWhatTheyContainAndNoMore(t *testing.T) {
	t.Parallel()
	g := netguard.New([]netip.Prefix{
		netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::ffff:192.168.7.0/120"), netip.MustParsePrefix("fe80::/10"),
	})
	for text, want := range map[string]bool{
		"10.9.9.9": true, "::ffff:10.9.9.9": true, "fd00::1": true, "192.168.7.200": true, "::ffff:192.168.7.1": true, "fe80::1%eth0": true,
		"192.168.8.1": false, "127.0.0.1": false, "fc00::1": false, "::1": false,
	} {
		if got := g.Permits(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: permitted %v", text, got)
		}
	}
	for _, address := range []string{"10.9.9.9:80", "[fd00::1]:443"} {
		if err := g.Control("tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if err := g.ControlListed("tcp", address, nil); err != nil {
			t.Errorf("%s is not listed: %v", address, err)
		}
	}
	if g.Control("tcp", "8.8.8.8:80", nil) != nil || g.ControlListed("tcp", "8.8.8.8:80", nil) == nil {
		t.Error("a public address is permitted and not listed")
	}
	for _, address := range []string{"127.0.0.1:80", "[::1]:80", "localhost:80", "", "/run/socket"} {
		if g.Control("tcp", address, nil) == nil {
			t.Errorf("%q is permitted", address)
		}
		if g.ControlListed("tcp", address, nil) == nil {
			t.Errorf("%q is listed", address)
		}
	}
}

// An IPv4 address means the same however it is written.
func TestMappedAddressesAreTheirIPv4Addresses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], rapid.Uint32().Draw(t, "address"))
		g := netguard.New([]netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(b), rapid.IntRange(0, 32).Draw(t, "bits"))})
		binary.BigEndian.PutUint32(b[:], rapid.Uint32().Draw(t, "asked"))
		plain := netip.AddrFrom4(b)
		mapped := netip.AddrFrom16(plain.As16())
		if !mapped.Is4In6() || netguard.Public(plain) != netguard.Public(mapped) || g.Permits(plain) != g.Permits(mapped) {
			t.Fatalf("%s and %s differ", plain, mapped)
		}
		if plain.IsPrivate() || plain.IsLoopback() || plain.IsLinkLocalUnicast() || plain.IsMulticast() || plain.IsUnspecified() {
			if netguard.Public(plain) {
				t.Fatalf("%s is public", plain)
			}
		}
	})
}
