package egress

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptrace"
	"sync"
)

// countedConn knows whether anything was written to a callee, which decides between "not sent" and
// "may have acted".
type countedConn struct {
	net.Conn
	mu     sync.Mutex
	writes int
	sealed bool
}

// Write counts before it writes: what was tried may have arrived.
func (c *countedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.writes++
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// ReadFrom sends a long body. net/http gives it to a connection that has this method, and would otherwise write it in
// pieces of 32 KiB, each a call of the kernel.
func (c *countedConn) ReadFrom(r io.Reader) (n int64, err error) {
	buf := bodyBuffers.Get().(*[]byte)
	defer bodyBuffers.Put(buf)
	return io.CopyBuffer(onlyWriter{c}, onlyReader{r}, *buf)
}

// bodyBuffers are what bodies are copied through; they fit into a core's own cache.
var bodyBuffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// onlyWriter and onlyReader keep io.CopyBuffer from finding other ways than its buffer.
type onlyWriter struct{ io.Writer }

type onlyReader struct{ io.Reader }

func (c *countedConn) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// seal ends writing for good and gives the final count: net/http's write loop may still be about to
// write when a call has already failed.
func (c *countedConn) seal() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.writes
}

// witness follows one call through net/http, which may try several connections. Its hooks can run after
// the call is over, from dials that it started.
type witness struct {
	mu    sync.Mutex
	tries []try
	addr  string
	used  bool // the last connection had carried another call before
}

type try struct {
	conn   *countedConn
	before int  // writes when the call got the connection
	shared bool // by HTTP/2: its writes may be those of other calls, and it is theirs too
}

func (w *witness) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: w.gotConn,
	}
}

func (w *witness) gotConn(info httptrace.GotConnInfo) {
	conn, shared := info.Conn, false
	if secure, ok := conn.(*tls.Conn); ok {
		shared = secure.ConnectionState().NegotiatedProtocol == "h2"
	}
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		conn = wrapped.NetConn()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addr, w.used = info.Conn.RemoteAddr().String(), info.Reused
	if counted, ok := conn.(*countedConn); ok {
		w.tries = append(w.tries, try{counted, counted.count(), shared})
	}
}

func (w *witness) remote() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addr
}

func (w *witness) reused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used
}

// sent is called after the call failed: it stops its connections and tells whether any of them may have
// carried a byte of the request. Of a shared connection that cannot be told.
func (w *witness) sent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := false
	for _, t := range w.tries {
		if t.shared || t.conn.seal() > t.before {
			sent = true
		}
	}
	return sent
}
