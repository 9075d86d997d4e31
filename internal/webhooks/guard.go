package webhooks

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// guard decides which addresses may be connected to. It is asked by the dialer
// for the address that is about to be connected, after the name was resolved:
// a name that changes its mind between a check and its use changes nothing.
type guard struct {
	allowed []netip.Prefix
}

// errAddress says that a receiver lies where none may.
var errAddress = errors.New("the address is not allowed for webhooks")

// control implements net.Dialer.Control.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !g.allows(a.Addr()) {
		return errAddress
	}
	return nil
}

// allows says whether an address may be connected to.
func (g guard) allows(a netip.Addr) bool {
	a = embedded(a.WithZone(""))
	in := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	switch {
	case !a.IsValid() || slices.Contains(metadataServices(), a):
		return false
	case in(g.allowed):
		return true
	case !a.IsGlobalUnicast() || a.IsPrivate():
		return false // loopback, link-local, multicast, unspecified; RFC 1918, ULA
	case a.Is6():
		// Everything that is in use on the Internet is in 2000::/3 (RFC 4291, IANA).
		return netip.MustParsePrefix("2000::/3").Contains(a) && !in(notPublic())
	default:
		return !in(notPublic())
	}
}

// embedded takes out the IPv4 address that an IPv6 address only wraps: mapped
// (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
func embedded(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a), netip.MustParsePrefix("::/96").Contains(a) && a != netip.IPv6Loopback() && a != netip.IPv6Unspecified():
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	default:
		return a
	}
}

// metadataServices tell machines of clouds who they are, credentials included.
// No configuration opens them.
func metadataServices() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("169.254.169.254"), // AWS, GCP, Azure, OpenStack
		netip.MustParseAddr("169.254.170.2"),   // AWS ECS
		netip.MustParseAddr("169.254.170.23"),  // AWS EKS
		netip.MustParseAddr("100.100.100.200"), // Alibaba
		netip.MustParseAddr("192.0.0.192"),     // Oracle
		netip.MustParseAddr("168.63.129.16"),   // Azure's host
		netip.MustParseAddr("fd00:ec2::254"),   // AWS
		netip.MustParseAddr("fd00:ec2::23"),    // AWS EKS
		netip.MustParseAddr("fd20:ce::254"),    // GCP
	}
}

// notPublic are networks that package netip takes for public but that are not
// (IANA's special-purpose registries).
func notPublic() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this network
		netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
		netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
		netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("3fff::/20"),       // documentation
	}
}
