package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/exchange/httpproblem"
)

// Listeners are the places where operators are answered, bound but not served yet.
type Listeners struct {
	socket *socket
	tcp    net.Listener // nil without admin.listen
	host   string       // of admin.listen as configured
	token  string
}

// Bind makes the control socket of a state folder, which the caller must have locked, and, where listen
// is not "", binds that address; its token is made at the first start.
func Bind(stateDir, listen string) (l *Listeners, err error) {
	l = &Listeners{}
	if l.socket, err = bindSocket(stateDir); err != nil {
		return nil, err
	}
	if listen == "" {
		return l, nil
	}
	if l.host, _, err = net.SplitHostPort(listen); err == nil {
		l.token, err = loadToken(stateDir)
	}
	if err == nil {
		if l.tcp, err = net.Listen("tcp", listen); err != nil {
			err = fmt.Errorf("admin.listen %s: %w; is another program on this port?", listen, err)
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Addr is the TCP address, nil without one.
func (l *Listeners) Addr() net.Addr {
	if l.tcp == nil {
		return nil
	}
	return l.tcp.Addr()
}

// Listen says where this is, for Status.
func (l *Listeners) Listen() Listen {
	out := Listen{Socket: l.socket.path}
	if l.tcp != nil {
		out.Admin = l.tcp.Addr().String()
	}
	return out
}

// Close gives the places free.
func (l *Listeners) Close() {
	l.socket.close()
	if l.tcp != nil {
		l.tcp.Close()
	}
}

// Server answers operators. Who reaches the control socket may see everything: its file belongs to
// hoft's user alone. At the TCP address only the health of the site is free, and only on loopback; all
// else needs the token.
type Server struct {
	l        *Listeners
	servers  []*http.Server
	listener []net.Listener
}

// NewServer prepares serving m at l.
func NewServer(l *Listeners, m *Monitor, log zerolog.Logger) *Server {
	s := &Server{l: l}
	mux := routes(m)
	s.serve(l.socket.listener, mux, log)
	if l.tcp != nil {
		s.serve(l.tcp, &gate{next: mux, token: l.token, free: isLoopback(l.tcp.Addr()), host: l.host}, log)
	}
	return s
}

func (s *Server) serve(l net.Listener, h http.Handler, log zerolog.Logger) {
	s.listener = append(s.listener, l)
	s.servers = append(s.servers, &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: httpproblem.ErrorLog(log)})
}

// Serve answers until Close; then it returns nil.
func (s *Server) Serve() error {
	errs := make([]error, len(s.servers))
	var wg sync.WaitGroup
	for i := range s.servers {
		wg.Go(func() {
			err := s.servers[i].Serve(s.listener[i])
			if !errors.Is(err, http.ErrServerClosed) {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close ends Serve and gives the places free.
func (s *Server) Close() {
	for _, h := range s.servers {
		h.Close()
	}
	s.l.Close()
}

// Paths of the operator's interface.
const (
	PathStatus = "/.hoft/v1/status"
	PathLive   = "/.hoft/livez"
	PathReady  = "/.hoft/readyz"
	PathHealth = "/healthz" // the same as PathReady
)

func routes(m *Monitor) http.Handler { // what changes something is refused to pages of other origins
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathLive, serveHealth(m.Live))
	mux.HandleFunc("GET "+PathReady, serveHealth(m.Ready))
	mux.HandleFunc("GET "+PathHealth, serveHealth(m.Ready))
	mux.HandleFunc("GET "+PathStatus, func(w http.ResponseWriter, r *http.Request) {
		st, err := m.Status(r.Context())
		if err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, st)
	})
	m.routeWork(mux)
	return http.NewCrossOriginProtection().Handler(mux)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // a client that went away needs no answer
}

func isLoopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
