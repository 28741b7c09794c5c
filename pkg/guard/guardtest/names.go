// Package guardtest has names resolve to what a test says, from one look-up to the next.
package guardtest

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Names has every name of this process resolve, until the test ends, to the address that lies in the channel. A test puts one in
// and takes it out again; a look-up waits for one. Not for tests that run in parallel.
func Names(t *testing.T) chan netip.Addr {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := make(chan netip.Addr, 1)
	over, done := make(chan struct{}), make(chan struct{})
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = old
		close(over)
		conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if out := answer(buf[:n], to, over); out != nil {
				_, _ = conn.WriteTo(out, from) // who asked has gone
			}
		}
	}()
	return to
}

// answer gives the address for a question about an A record, and nothing for others; nil for what is no question.
func answer(question []byte, to chan netip.Addr, over chan struct{}) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Additionals = true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		select {
		case addr := <-to:
			to <- addr
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0}, Body: &dnsmessage.AResource{A: addr.As4()}}}
		case <-over:
			return nil
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}
