package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// guard decides, at each dial and after the name was resolved, which addresses a call may reach. Checking
// there closes DNS rebinding: what is checked is what is connected to.
type guard struct {
	allow   []netip.Prefix   // empty: everything that is not forbidden
	blocked []netip.AddrPort // hoft's own listeners
}

// addressError is a refusal by the guard.
type addressError struct {
	addr netip.AddrPort
	why  string
}

func (e *addressError) Error() string { return fmt.Sprintf("address %s refused: %s", e.addr, e.why) }

// dialer connects to addr whatever host the transport asks for: with preserve_host the transport's host is the
// caller's.
func (g guard) dialer(addr string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return g.check(address)
	}}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn}, nil
	}
}

func (g guard) check(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check address %q: %w", address, err)
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	for _, a := range forms(ap.Addr()) {
		if why := forbidden(a); why != "" {
			return &addressError{ap, why}
		}
		for _, b := range g.blocked {
			if b.Port() == ap.Port() && reaches(a, b.Addr().Unmap()) {
				return &addressError{ap, "it is a listener of hoft itself"}
			}
		}
	}
	if len(g.allow) == 0 {
		return nil
	}
	for _, p := range g.allow {
		if p.Contains(ap.Addr().WithZone("")) {
			return nil
		}
	}
	return &addressError{ap, "it is not among the upstream's addresses"}
}

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

// forbidden says why no upstream may ever have this address, or "".
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
