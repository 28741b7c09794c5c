// Package guard decides which addresses hoft may connect to, at each dial.
package guard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// Guard decides after a name was resolved. Checking there closes DNS rebinding: what is checked is what is connected to.
// The zero Guard allows everything that is not forbidden to all: link-local, metadata and multicast addresses.
type Guard struct {
	Allow      []netip.Prefix   // empty: everything that is not forbidden
	Blocked    []netip.AddrPort // hoft's own listeners
	NoLoopback bool             // this host is forbidden, but where Allow names it
}

// Refusal is why an address is not connected to.
type Refusal struct {
	Addr netip.AddrPort
	Why  string
}

func (e *Refusal) Error() string { return fmt.Sprintf("address %s refused: %s", e.Addr, e.Why) }

// Control is for net.Dialer.ControlContext: it refuses a connection before it is made.
func (g Guard) Control(_ context.Context, _, address string, _ syscall.RawConn) error {
	return g.Check(address)
}

// Check gives a *Refusal for an address, host:port in digits, that must not be connected to.
func (g Guard) Check(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check address %q: %w", address, err)
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	for _, a := range forms(ap.Addr()) {
		if why := forbidden(a); why != "" {
			return &Refusal{ap, why}
		}
		for _, b := range g.Blocked {
			if b.Port() == ap.Port() && reaches(a, b.Addr().Unmap()) {
				return &Refusal{ap, "it is a listener of hoft itself"}
			}
		}
	}
	if len(g.Allow) == 0 {
		if g.NoLoopback && anyLoopback(forms(ap.Addr())) {
			return &Refusal{ap, "it is this host itself"}
		}
		return nil
	}
	for _, p := range g.Allow {
		if p.Contains(ap.Addr().WithZone("")) {
			return nil
		}
	}
	return &Refusal{ap, "it is not among the allowed addresses"}
}

func anyLoopback(addrs []netip.Addr) bool { return slices.ContainsFunc(addrs, netip.Addr.IsLoopback) }

// reaches says whether a connection to a arrives at a listener on l.
func reaches(a, l netip.Addr) bool {
	if a == l {
		return true
	}
	if !l.IsUnspecified() {
		return false
	}
	if a.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true // it cannot be ruled out
	}
	for _, n := range own {
		if p, err := netip.ParsePrefix(n.String()); err == nil && p.Addr().Unmap() == a {
			return true
		}
	}
	return false
}

var (
	nat64    = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64loc = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixTo4   = netip.MustParsePrefix("2002::/16")      // RFC 3056
	oldv4    = netip.MustParsePrefix("::/96")          // RFC 4291 section 2.5.5.1
	mapped   = netip.MustParsePrefix("::ffff:0:0/96")  // RFC 4291 section 2.5.5.2
	xlat     = netip.MustParsePrefix("::ffff:0:0:0/96")

	metadata = []netip.Addr{
		netip.MustParseAddr("169.254.169.254"),
		netip.MustParseAddr("fd00:ec2::254"),
		netip.MustParseAddr("100.100.100.200"),
	}
)

// forms gives the address and the IPv4 address that it carries, if a translator would unpack one.
func forms(a netip.Addr) []netip.Addr {
	a = a.WithZone("").Unmap()
	if a.Is4() {
		return []netip.Addr{a}
	}
	b := a.As16()
	v4 := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	switch {
	case a.IsUnspecified() || a.IsLoopback():
		return []netip.Addr{a}
	case nat64.Contains(a), nat64loc.Contains(a), oldv4.Contains(a), mapped.Contains(a), xlat.Contains(a):
		return []netip.Addr{a, v4(12)}
	case sixTo4.Contains(a):
		return []netip.Addr{a, v4(2)}
	}
	return []netip.Addr{a}
}

// forbidden says why nothing may ever be called at this address, or "".
func forbidden(a netip.Addr) string {
	switch {
	case a.IsUnspecified():
		return "it is the unspecified address"
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "it is a multicast address"
	case a.IsLinkLocalUnicast():
		return "it is link-local"
	case a.Is4() && a.As4()[0] == 0:
		return "it is in 0.0.0.0/8"
	}
	for _, m := range metadata {
		if a == m {
			return "it is a metadata service"
		}
	}
	return ""
}
