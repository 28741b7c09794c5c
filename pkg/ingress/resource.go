package ingress

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpproblem"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

const (
	ownPath       = "/.hoft"
	exchangesRoot = "/.hoft/v1/exchanges"
	exchangesPath = exchangesRoot + "/"
	eventsPath    = "/.hoft/v1/events"
	problemsPath  = httpproblem.TypePrefix
)

// ownPrefix is the first path segment that never reaches a callee, however it is written.
var ownPrefix, _ = httptarget.ParsePrefix(ownPath)

// reservedPath says whether a raw path is hoft's own: as it stands, or as a server might read it that decodes it, takes
// backslashes and empty segments for single slashes, and follows dot segments.
func reservedPath(raw string) bool {
	if _, ok := ownPrefix.Cut(raw); ok {
		return true
	}
	plain, err := url.PathUnescape(raw)
	if err != nil || !strings.Contains(plain, ownPath[1:]) {
		return false
	}
	plain = path.Clean("/" + strings.ReplaceAll(plain, `\`, "/"))
	return plain == ownPath || strings.HasPrefix(plain, ownPath+"/")
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
func (s *Server) serveOwn(w http.ResponseWriter, r *http.Request, path, name string) {
	if p := sameOrigin(r); p != nil {
		s.problem(w, r, p, about{})
		return
	}
	rest, below := strings.CutPrefix(path, exchangesPath)
	one := below && !strings.Contains(rest, "/")
	if !readOnly(r) && !(one && r.Method == http.MethodDelete) {
		allow := "GET, HEAD"
		if one {
			allow += ", DELETE"
		}
		p := exchange.Problemf(exchange.CodeMethod, "here are %s", allow)
		d := describe(p, about{})
		w.Header().Set("Allow", allow)
		httpproblem.Fields(w.Header(), p)
		writeJSON(w, d.Status, d)
		return
	}
	switch {
	case path == exchangesRoot:
		s.serveList(w, r, name)
	case path == eventsPath:
		s.serveAllEvents(w, r, name)
	case below:
		s.serveExchange(w, r, rest, name)
	default:
		s.problem(w, r, exchange.Problemf(exchange.CodeNoRoute, "there is no such resource below %s/", ownPath), about{})
	}
}

// serveExchange answers for one exchange: its state, response or events. One that belongs to another caller is unknown.
func (s *Server) serveExchange(w http.ResponseWriter, r *http.Request, rest, name string) {
	text, what, sub := strings.Cut(rest, "/")
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		s.problem(w, r, unknownExchange(), about{})
		return
	}
	if sub && what != "response" && what != "events" {
		s.problem(w, r, exchange.Problemf(exchange.CodeNoRoute, "there is no such resource below %s/", ownPath), about{})
		return
	}
	state, err := s.caller.State(r.Context(), id)
	if err == nil && !mayAsk(name, state) {
		err = exchange.ErrUnknown
	}
	if err == nil && r.Method == http.MethodDelete {
		s.serveCancel(w, r, id)
		return
	}
	if err == nil && what != "events" && state.State == exchange.StateRunning {
		if err = s.longPoll(w, r, id); err == nil {
			state, err = s.caller.State(r.Context(), id)
		}
	}
	switch {
	case err != nil:
		s.problem(w, r, s.ownFailure(err), about{})
	case !sub:
		s.pending(w, r.Context(), http.StatusOK, state)
	case what == "response":
		s.serveResponse(w, r, state)
	default:
		s.serveEvents(w, r, state)
	}
}

func unknownExchange() *exchange.Problem {
	return exchange.Problemf(exchange.CodeUnknownExchange, "no exchange of this id is known here")
}

// stateJSON is the state resource. Its status is Azure's, done is Google's; either is enough to poll by.
type stateJSON struct {
	ID        string               `json:"id"`
	Name      string               `json:"name"`
	Status    string               `json:"status"` // NotStarted, Running, Succeeded, Failed, Canceled
	Done      bool                 `json:"done"`
	Stage     string               `json:"stage"`
	CreatedAt time.Time            `json:"createdAt"`
	EndedAt   time.Time            `json:"endedAt,omitzero"`
	Deadline  time.Time            `json:"deadline,omitzero"` // not begun after it
	ReplayOf  string               `json:"replayOf,omitzero"`
	Metadata  metadataJSON         `json:"metadata"`
	Response  *responseJSON        `json:"response,omitzero"`
	Error     *httpproblem.Details `json:"error,omitzero"`
}

type metadataJSON struct {
	Bytes    bytesJSON            `json:"bytes"`
	Peer     string               `json:"peer"`
	Upstream string               `json:"upstream"`
	Method   string               `json:"method"`
	Stages   map[string]time.Time `json:"stages,omitzero"`
	Transfer *exchange.Transfer   `json:"transfer,omitzero"` // of a long body on its way
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

func (s *Server) describeState(ctx context.Context, state *exchange.State) stateJSON {
	id := state.ID.String()
	out := stateJSON{ID: id, Name: "exchanges/" + id, Status: statusWord(state), Done: state.State != "running", Stage: state.Stage,
		CreatedAt: state.Created.UTC(), EndedAt: state.Ended.UTC(), Metadata: metadataJSON{Bytes: bytesJSON{state.ReqBytes, state.ResBytes},
			Peer: state.Peer, Upstream: state.Upstream, Method: state.Method, Stages: state.Stages, Transfer: state.Transfer}}
	if state.Ended.IsZero() {
		out.EndedAt = time.Time{}
	}
	if !state.Deadline.IsZero() {
		out.Deadline = state.Deadline.UTC()
	}
	if state.ReplayOf != (exchange.ID{}) {
		out.ReplayOf = state.ReplayOf.String()
	}
	switch {
	case !out.Done, state.Local && state.State == "succeeded":
	case state.State == "succeeded":
		out.Response = &responseJSON{Status: state.Status, Href: exchangesPath + id + "/response"}
		if state.Expired {
			break
		}
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
func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request, state *exchange.State) {
	a := about{id: state.ID.String(), peer: state.Peer, stage: state.Stage}
	resp, err := s.caller.Result(r.Context(), state.ID)
	if errors.Is(err, exchange.ErrPending) {
		s.pending(w, r.Context(), http.StatusAccepted, state)
		return
	}
	if err != nil {
		s.problem(w, r, s.ownFailure(err), a)
		return
	}
	defer resp.Body.Close()
	if state.State == exchange.StateRunning { // it has ended since that was read, and only now has a length
		if state, err = s.caller.State(r.Context(), state.ID); err != nil {
			s.problem(w, r, s.ownFailure(err), a)
			return
		}
	}
	if p := checkResponse(resp); p != nil {
		s.problem(w, r, p, a)
		return
	}
	s.replay(w, r, state, resp)
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
