package ingress

import (
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/hoft/hoft/pkg/config"
)

// connections counts who holds how many, so that one caller cannot take all of them. Safe for concurrent use.
type connections struct {
	most, perAddress, perCaller int // 0: no limit
	exempt                      func(host string) bool

	mu       sync.Mutex
	open     map[net.Conn]*held
	byAddr   map[netip.Addr]int
	byCaller map[string]int
}

// held is one connection.
type held struct {
	addr    netip.Addr      // zero: not counted by address
	callers map[string]bool // named on it so far
}

func newConnections(cfg config.Ingress, exempt func(string) bool) *connections {
	return &connections{most: cfg.Connections, perAddress: cfg.PerAddress, perCaller: cfg.PerCaller, exempt: exempt,
		open: map[net.Conn]*held{}, byAddr: map[netip.Addr]int{}, byCaller: map[string]int{}}
}

// changed is net/http's ConnState. A connection too many is closed before anything is read from it.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if !c.take(conn) {
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		c.release(conn)
	}
}

func (c *connections) take(conn net.Conn) bool {
	h := &held{}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		if addr := a.AddrPort().Addr().Unmap().WithZone(""); !c.exempt(addr.String()) {
			h.addr = addr
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && len(c.open) >= c.most || c.perAddress > 0 && h.addr.IsValid() && c.byAddr[h.addr] >= c.perAddress {
		return false
	}
	c.open[conn] = h
	if h.addr.IsValid() {
		c.byAddr[h.addr]++
	}
	return true
}

func (c *connections) release(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.open[conn]
	if h == nil {
		return // it was one too many
	}
	delete(c.open, conn)
	if h.addr.IsValid() {
		less(c.byAddr, h.addr)
	}
	for name := range h.callers {
		less(c.byCaller, name)
	}
}

// less takes one off and forgets what is at zero.
func less[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// named counts the connection for a caller that showed its name on it; false: it has too many. A request that came
// in another way than by Serve holds no connection that could be counted.
func (c *connections) named(r *http.Request, caller string) bool {
	conn, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok || caller == "" || c.perCaller <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.open[conn]
	if h == nil || h.callers[caller] {
		return true
	}
	if c.byCaller[caller] >= c.perCaller {
		return false
	}
	if h.callers == nil {
		h.callers = map[string]bool{}
	}
	h.callers[caller] = true
	c.byCaller[caller]++
	return true
}
