package ingress

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

const (
	ownPath       = "/.hoft"
	exchangesPath = "/.hoft/v1/exchanges/"
	problemsPath  = "/.hoft/problems/"
)

// own is the first path segment that never reaches a callee, however it is written.
var own, _ = httptarget.ParsePrefix(ownPath)

func reservedPath(path string) bool {
	_, ok := own.Cut(path)
	return ok
}

func reserved(r *http.Request) bool {
	t, err := httptarget.Parse(r.Method, r.RequestURI)
	if err != nil {
		return false
	}
	path, _ := httptarget.Split(t.Raw)
	return reservedPath(path)
}

func readOnly(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// serveOwn answers below /.hoft/.
func (s *Server) serveOwn(w http.ResponseWriter, r *http.Request, path string) {
	if p := sameOrigin(r); p != nil {
		s.problem(w, r, p, about{})
		return
	}
	if !readOnly(r) {
		w.Header().Set("Content-Length", "0")
		w.Header().Set("Allow", "GET, HEAD")
		extendWrite(w)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if rest, ok := strings.CutPrefix(path, exchangesPath); ok {
		name, what, sub := strings.Cut(rest, "/")
		id, err := uuid.Parse(name)
		switch {
		case err != nil || id.String() != name:
			s.problem(w, r, unknownExchange(), about{})
			return
		case !sub:
			s.serveState(w, r, id)
			return
		case what == "response":
			s.serveResponse(w, r, id)
			return
		}
	}
	s.problem(w, r, exchange.Problemf(exchange.CodeNoRoute, "there is no such resource below %s/", ownPath), about{})
}

func unknownExchange() *exchange.Problem {
	return exchange.Problemf(exchange.CodeUnknownExchange, "no exchange of this id is known here")
}

// stateJSON is the state resource. Its status is Azure's, done is Google's; either is enough to poll by.
type stateJSON struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Status    string        `json:"status"` // NotStarted, Running, Succeeded, Failed, Canceled
	Done      bool          `json:"done"`
	Stage     string        `json:"stage"`
	CreatedAt time.Time     `json:"createdAt"`
	EndedAt   time.Time     `json:"endedAt,omitzero"`
	Metadata  metadataJSON  `json:"metadata"`
	Response  *responseJSON `json:"response,omitzero"`
	Error     *problemJSON  `json:"error,omitzero"`
}

type metadataJSON struct {
	Bytes    bytesJSON            `json:"bytes"`
	Peer     string               `json:"peer"`
	Upstream string               `json:"upstream"`
	Method   string               `json:"method"`
	Stages   map[string]time.Time `json:"stages,omitzero"`
}

type bytesJSON struct {
	Request  int64 `json:"request"`
	Response int64 `json:"response"`
}

type responseJSON struct {
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers,omitzero"`
	Href    string              `json:"href"`
}

// serveState answers 200 for every known exchange, whatever became of it.
func (s *Server) serveState(w http.ResponseWriter, r *http.Request, id exchange.ID) {
	state, err := s.caller.State(r.Context(), id)
	if err != nil {
		s.problem(w, r, s.ownFailure(err), about{})
		return
	}
	body := s.describeState(r.Context(), state)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Hoft-Exchange", id.String())
	if !body.Done {
		h.Set("Retry-After", strconv.Itoa(s.trips.retryAfter(state.Peer, time.Since(state.Created))))
	}
	writeJSON(w, http.StatusOK, body)
}

func (s *Server) describeState(ctx context.Context, state *exchange.State) stateJSON {
	id := state.ID.String()
	out := stateJSON{ID: id, Name: "exchanges/" + id, Status: statusWord(state), Done: state.State != "running", Stage: state.Stage,
		CreatedAt: state.Created.UTC(), EndedAt: state.Ended.UTC(), Metadata: metadataJSON{Bytes: bytesJSON{state.ReqBytes, state.ResBytes},
			Peer: state.Peer, Upstream: state.Upstream, Method: state.Method, Stages: state.Stages}}
	if state.Ended.IsZero() {
		out.EndedAt = time.Time{}
	}
	switch {
	case !out.Done:
	case state.State == "succeeded":
		out.Response = &responseJSON{Status: state.Status, Href: exchangesPath + id + "/response"}
		if resp, err := s.caller.Result(ctx, state.ID); err == nil {
			out.Response.Headers = headerMap(resp.Fields)
			_ = resp.Body.Close()
		}
	default:
		p := state.Problem
		if p == nil {
			p = &exchange.Problem{Code: endCode(state.State)}
		}
		e := describe(p, about{id: id, peer: state.Peer, stage: state.Stage})
		out.Error = &e
	}
	return out
}

func statusWord(state *exchange.State) string {
	switch state.State {
	case "succeeded":
		return "Succeeded"
	case "canceled":
		return "Canceled"
	case "failed", "uncertain":
		return "Failed"
	}
	if state.Stage == "accepted" || state.Stage == "queued" {
		return "NotStarted"
	}
	return "Running"
}

// endCode is the code of an exchange that ended without a problem of its own.
func endCode(state string) string {
	switch state {
	case "canceled":
		return exchange.CodeCanceled
	case "uncertain":
		return exchange.CodeUncertain
	}
	return exchange.CodeInternal
}

func headerMap(fields exchange.Fields) map[string][]string {
	m := make(map[string][]string, len(fields))
	for _, f := range fields {
		m[f.Name] = append(m[f.Name], f.Value)
	}
	return m
}

// serveResponse gives the stored answer as it was: status, fields, body.
func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request, id exchange.ID) {
	state, err := s.caller.State(r.Context(), id)
	if err != nil {
		s.problem(w, r, s.ownFailure(err), about{})
		return
	}
	a := about{id: id.String(), peer: state.Peer, stage: state.Stage}
	resp, err := s.caller.Result(r.Context(), id)
	if errors.Is(err, exchange.ErrPending) {
		w.Header().Set("Retry-After", strconv.Itoa(s.trips.retryAfter(state.Peer, time.Since(state.Created))))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Hoft-Exchange", a.id)
		writeJSON(w, http.StatusAccepted, s.describeState(r.Context(), state))
		return
	}
	if err != nil {
		s.problem(w, r, s.ownFailure(err), a)
		return
	}
	defer resp.Body.Close()
	if p := checkResponse(resp); p != nil {
		s.problem(w, r, p, a)
		return
	}
	s.replay(w, r, state, resp)
}

func (s *Server) replay(w http.ResponseWriter, r *http.Request, state *exchange.State, resp *exchange.Response) {
	if state.Method == http.MethodHead {
		resp.Length = 0 // there is no body to be of that length
	}
	o := &reply{w: w, method: r.Method, resp: resp}
	o.head(w.Header())
	w.Header().Add("Proxy-Status", s.answered(state.Peer, resp.Status))
	w.Header().Set("Hoft-Exchange", state.ID.String())
	if err := o.send(); err != nil {
		reset(r)
		panic(http.ErrAbortHandler)
	}
}

// ownFailure gives the problem for an error of State or Result.
func (s *Server) ownFailure(err error) *exchange.Problem {
	var p *exchange.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, exchange.ErrUnknown):
		return unknownExchange()
	case errors.Is(err, exchange.ErrGone):
		return exchange.Problemf(exchange.CodeGone, "the answer was deleted")
	case errors.Is(err, context.Canceled):
		return exchange.Problemf(exchange.CodeCanceled, "the caller left")
	}
	s.log.Error().Err(err).Msg("an exchange could not be read")
	return exchange.Problemf(exchange.CodeStoreFailed, "the site's store could not be read; its log says why")
}
