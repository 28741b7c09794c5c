package egress

import (
	"context"
	"net"

	"github.com/hoft/hoft/pkg/guard"
)

// dialer connects to addr whatever host the transport asks for: with preserve_host the transport's host is the
// caller's.
func dialer(g guard.Guard, addr string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout, ControlContext: g.Control}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn}, nil
	}
}
