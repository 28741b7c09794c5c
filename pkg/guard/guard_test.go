package guard_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/hoft/hoft/pkg/guard"
)

func TestGuard(t *testing.T) {
	for address, refused := range map[string]bool{
		"127.0.0.1:80": false, "10.1.2.3:80": false, "192.168.0.1:80": false, "[fd00::1]:80": false, "[::1]:80": false, "8.8.8.8:443": false, "[64:ff9b::808:808]:80": false,
		"169.254.1.1:80": true, "169.254.169.254:80": true, "100.100.100.200:80": true, "[fd00:ec2::254]:80": true, "[fe80::1%lo]:80": true, "224.0.0.1:80": true,
		"255.255.255.255:80": true, "[ff02::1]:80": true, "0.0.0.0:80": true, "0.1.2.3:80": true, "[::]:80": true, "[::ffff:169.254.169.254]:80": true,
		"[64:ff9b::a9fe:a9fe]:80": true, "[64:ff9b:1::a9fe:a9fe]:80": true, "[::169.254.169.254]:80": true, "[2002:a9fe:a9fe::1]:80": true, "[::ffff:0:169.254.169.254]:80": true,
		"[64:ff9b::]:80": true, "nonsense": true,
	} {
		if err := (guard.Guard{}).Check(address); (err != nil) != refused {
			t.Errorf("%s: %v, want refused %v", address, err, refused)
		}
	}
	narrow := guard.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16")}}
	for address, refused := range map[string]bool{"10.9.9.9:1": false, "[::ffff:10.9.9.9]:1": false, "127.0.0.1:1": true, "169.254.169.254:1": true} {
		if err := narrow.Check(address); (err != nil) != refused {
			t.Errorf("narrowed: %s: %v", address, err)
		}
	}
	own := guard.Guard{Blocked: []netip.AddrPort{netip.MustParseAddrPort("[::]:8080"), netip.MustParseAddrPort("127.0.0.1:9")}}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		p := netip.MustParsePrefix(a.String())
		if err := own.Check(netip.AddrPortFrom(p.Addr(), 8080).String()); err == nil {
			t.Errorf("own listener at %s reachable", p.Addr())
		}
	}
	if err := own.Check("127.0.0.1:8081"); err != nil {
		t.Error(err)
	}
	if err := own.Check("[64:ff9b::7f00:1]:9"); err == nil {
		t.Error("own listener reachable through NAT64")
	}
	outside := guard.Guard{NoLoopback: true}
	for address, refused := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "[64:ff9b::7f00:1]:80": true, "[::ffff:127.0.0.1]:80": true, "10.0.0.1:80": false} {
		if err := outside.Check(address); (err != nil) != refused {
			t.Errorf("not here: %s: %v", address, err)
		}
	}
	outside.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	if err := outside.Check("127.0.0.1:80"); err != nil {
		t.Errorf("named: %v", err)
	}
}
