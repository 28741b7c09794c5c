package ingress

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
)

// conditional says whether a request asks for a part, or only for what it has not got (RFC 9110 sections 13 and 14).
func conditional(r *http.Request) bool {
	for _, name := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// replay gives the stored answer as it was. It never changes, so its exchange's id is a strong validator where the
// callee sent none, and parts of it can be had.
func (s *Server) replay(w http.ResponseWriter, r *http.Request, state *exchange.State, resp *exchange.Response) {
	h := w.Header()
	noBody := state.Method == http.MethodHead
	if noBody {
		resp.Length = 0 // there is no body to be of that length
	}
	o := &reply{w: w, method: r.Method, resp: resp}
	o.head(h)
	h.Add("Proxy-Status", s.answered(state.Peer, resp.Status))
	h.Set("Hoft-Exchange", state.ID.String())
	if h.Get("Etag") == "" {
		h.Set("Etag", `"`+state.ID.String()+`"`)
	}
	if resp.Status == http.StatusOK && !noBody {
		h.Set("Accept-Ranges", "bytes")
		r = httpfields.BytesRange(r)
		if conditional(r) {
			s.replayPart(w, r, state, resp)
			return
		}
	}
	if err := o.send(); err != nil {
		reset(r)
		panic(http.ErrAbortHandler)
	}
}

// replayPart answers a conditional request, or one for ranges.
func (s *Server) replayPart(w http.ResponseWriter, r *http.Request, state *exchange.State, resp *exchange.Response) {
	h := w.Header()
	h.Del("Content-Length") // of the part, then
	h.Del("Trailer")
	modified, _ := http.ParseTime(h.Get("Last-Modified"))
	body := &answerReader{open: func() (*exchange.Response, error) { return s.caller.Result(r.Context(), state.ID) }, now: resp, size: state.ResBytes}
	defer body.Close()
	extendWrite(w)
	out := &part{httpproblem.Holding{ResponseWriter: w}}
	http.ServeContent(out, r, "", modified, body)
	if body.failed() {
		reset(r)
		panic(http.ErrAbortHandler)
	}
	if out.Refused != 0 {
		s.refusePart(w, state, out.Refused)
	}
}

// refusePart says in hoft's own way that a condition is not fulfilled or a range not there.
func (s *Server) refusePart(w http.ResponseWriter, state *exchange.State, status int) {
	p := exchange.Problemf(exchange.CodePrecondition, "If-Match or If-Unmodified-Since is not fulfilled")
	h := w.Header()
	clear(h)
	if status == http.StatusRequestedRangeNotSatisfiable {
		p = exchange.Problemf(exchange.CodeRange, "the answer has %d bytes", state.ResBytes)
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(state.ResBytes, 10))
	}
	httpproblem.Fields(h, p)
	d := describe(p, about{id: state.ID.String(), peer: state.Peer})
	h.Set("Hoft-Exchange", d.Exchange)
	writeJSON(w, d.Status, d)
}

// part gives the caller time for every piece, and holds refusals back.
type part struct{ httpproblem.Holding }

// Write implements io.Writer.
func (p *part) Write(b []byte) (int, error) {
	if p.Refused == 0 {
		extendWrite(p.ResponseWriter)
	}
	return p.Holding.Write(b)
}

// answerReader reads a stored body from any place: to go back it opens the answer again. It has a lock because net/http reads
// several ranges beside the handler, and may still do so when that has given up a caller who left.
type answerReader struct {
	open func() (*exchange.Response, error)
	mu   sync.Mutex
	now  *exchange.Response
	at   int64 // what now gives next
	want int64 // what Read gives next
	size int64
	err  error
	over bool // closed
}

var errSeek = errors.New("seek before the beginning")

// Seek implements io.Seeker.
func (a *answerReader) Seek(offset int64, whence int) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += a.want
	case io.SeekEnd:
		offset += a.size
	}
	if offset < 0 {
		return 0, errSeek
	}
	a.want = offset
	return offset, nil
}

// Read implements io.Reader.
func (a *answerReader) Read(p []byte) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return 0, io.ErrClosedPipe
	case a.want >= a.size:
		return 0, io.EOF
	}
	if err := a.moveTo(a.want); err != nil {
		a.err = err
		return 0, err
	}
	n, err = a.now.Body.Read(p)
	a.at += int64(n)
	a.want = a.at
	if err != nil && err != io.EOF {
		a.err = err
	}
	return n, err
}

func (a *answerReader) moveTo(offset int64) error {
	if a.at > offset {
		again, err := a.open() // before the other is closed: what is read does not expire
		if err != nil {
			return err
		}
		_ = a.now.Body.Close()
		a.now, a.at = again, 0
	}
	n, err := io.CopyN(io.Discard, a.now.Body, offset-a.at)
	a.at += n
	return err
}

// Close gives the answer free.
func (a *answerReader) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.now.Body.Close()
}

// failed says whether the answer could not be read.
func (a *answerReader) failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err != nil
}

// serveCancel gives up an exchange and answers with what is known then: canceling means that the other site was told.
func (s *Server) serveCancel(w http.ResponseWriter, r *http.Request, id exchange.ID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 30*time.Second)
	defer cancel()
	err := s.caller.Cancel(ctx, id)
	var state *exchange.State
	if err == nil {
		state, err = s.caller.State(ctx, id)
	}
	if err != nil {
		s.problem(w, r, s.ownFailure(err), about{})
		return
	}
	status := http.StatusOK
	if state.State == exchange.StateRunning {
		status = http.StatusAccepted
	}
	s.pending(w, r.Context(), status, state)
}
