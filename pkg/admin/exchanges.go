package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/callback"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// Work is what an operator may do to exchanges of callers here; *exchange.Manager has it.
type Work interface {
	List(ctx context.Context, f exchange.Filter) ([]*exchange.State, error)
	State(ctx context.Context, id exchange.ID) (*exchange.State, error)
	Cancel(ctx context.Context, id exchange.ID) error
	Replay(ctx context.Context, id exchange.ID, force bool) (exchange.ID, error)
	Watch(ctx context.Context, id exchange.ID) (*exchange.Watch, error)
	Events(ctx context.Context, id exchange.ID, after int64, limit int) ([]exchange.Event, error)
}

// Hooks sends callbacks again; *callback.Sender does.
type Hooks interface {
	Replay(ctx context.Context, id string) error
}

// ExchangesSchema names the form of ExchangeList in JSON. Members are only ever added.
const ExchangesSchema = "hoft.exchanges/1"

// ExchangeList is a page of exchanges that callers here made, the newest first.
type ExchangeList struct {
	Schema    string        `json:"schema"`
	Running   bool          `json:"running"` // false: read from the state of a site that does not run
	Exchanges []ExchangeRow `json:"exchanges"`
	Next      string        `json:"next,omitempty"` // id to go on after
}

// ExchangeRow is one exchange in a list. It holds no query, field or body.
type ExchangeRow struct {
	ID       string     `json:"id"`
	State    string     `json:"state"`
	Stage    string     `json:"stage"`
	Peer     string     `json:"peer"`
	Upstream string     `json:"upstream"`
	Route    string     `json:"route"`
	Method   string     `json:"method"`
	Target   string     `json:"target"`
	Owner    string     `json:"owner,omitempty"`
	Caller   string     `json:"caller,omitempty"`
	Created  time.Time  `json:"created"`
	Ended    *time.Time `json:"ended,omitempty"`
	Deadline *time.Time `json:"deadline,omitempty"`
	Status   int        `json:"status,omitempty"`
	Problem  string     `json:"problem,omitempty"`
	ReqBytes int64      `json:"req_bytes"`
	ResBytes int64      `json:"res_bytes"`
	Expired  bool       `json:"expired,omitempty"`
	ReplayOf string     `json:"replay_of,omitempty"`
	Repeat   Repeat     `json:"repeat"`
	// Transfer is how far a long body of a running exchange is; only from a site that runs.
	Transfer *exchange.Transfer `json:"transfer,omitempty"`
}

// Repeat says whether an exchange may be made again without --force, and why.
type Repeat struct {
	Safe bool   `json:"safe"`
	Why  string `json:"why"`
}

func exchangeRow(st *exchange.State) ExchangeRow {
	r := ExchangeRow{ID: st.ID.String(), State: st.State, Stage: st.Stage, Peer: st.Peer, Upstream: st.Upstream, Route: st.Route, Method: st.Method,
		Target: exchange.CutTarget(st.Target), Owner: st.Owner, Caller: st.Client, Created: st.Created, Ended: timeOrNil(st.Ended), Deadline: timeOrNil(st.Deadline),
		Status: st.Status, ReqBytes: st.ReqBytes, ResBytes: st.ResBytes, Expired: st.Expired, Transfer: st.Transfer}
	if st.Problem != nil {
		r.Problem = st.Problem.Code
	}
	if st.ReplayOf != (exchange.ID{}) {
		r.ReplayOf = st.ReplayOf.String()
	}
	r.Repeat.Safe, r.Repeat.Why = st.Repeat()
	if st.Expired {
		r.Repeat = Repeat{false, "the request is no longer stored"}
	}
	return r
}

// listMax is the longest page.
const listMax = 1000

// list gives one page.
func list(ctx context.Context, w interface {
	List(ctx context.Context, f exchange.Filter) ([]*exchange.State, error)
}, f exchange.Filter) (*ExchangeList, error) {
	out := &ExchangeList{Schema: ExchangesSchema, Exchanges: []ExchangeRow{}}
	limit := f.Limit
	f.Limit++
	states, err := w.List(ctx, f)
	if err != nil {
		return nil, err
	}
	for i, st := range states {
		if i == limit {
			out.Next = states[i-1].ID.String()
			break
		}
		out.Exchanges = append(out.Exchanges, exchangeRow(st))
	}
	return out, nil
}

// Query gives the query of a list.
func Query(f exchange.Filter) url.Values {
	q := url.Values{}
	for name, v := range map[string]string{"peer": f.Peer, "state": f.State, "route": f.Route} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if f.After != (exchange.ID{}) {
		q.Set("after", f.After.String())
	}
	q.Set("limit", strconv.Itoa(f.Limit))
	return q
}

// readQuery is the reverse of Query.
func readQuery(q url.Values) (f exchange.Filter, err error) {
	f = exchange.Filter{Peer: q.Get("peer"), State: q.Get("state"), Route: q.Get("route"), Limit: 100}
	if v := q.Get("since"); v != "" && err == nil {
		f.Since, err = time.Parse(time.RFC3339Nano, v)
	}
	if v := q.Get("after"); v != "" && err == nil {
		f.After, err = uuid.Parse(v)
	}
	if v := q.Get("limit"); v != "" && err == nil {
		f.Limit, err = strconv.Atoi(v)
	}
	if err == nil && (f.Limit < 1 || f.Limit > listMax) {
		err = errors.New("limit: write a number from 1 to 1000")
	}
	return f, err
}

// failure is an error as the commands read it.
type failure struct {
	Error string `json:"error"`
	Code  string `json:"code,omitempty"` // unknown, running, unsafe, gone, or that of a problem
}

// Codes of failures.
const (
	CodeUnknown = "unknown"
	CodeRunning = "running"
	CodeUnsafe  = "unsafe"
	CodeGone    = "gone"
)

func failed(w http.ResponseWriter, err error) {
	var p *exchange.Problem
	status, code := http.StatusServiceUnavailable, ""
	switch {
	case errors.Is(err, exchange.ErrUnknown), errors.Is(err, callback.ErrUnknown), errors.Is(err, store.ErrNotFound):
		status, code = http.StatusNotFound, CodeUnknown
	case errors.Is(err, exchange.ErrRunning):
		status, code = http.StatusConflict, CodeRunning
	case errors.Is(err, exchange.ErrUnsafe):
		status, code = http.StatusConflict, CodeUnsafe
	case errors.Is(err, exchange.ErrGone):
		status, code = http.StatusGone, CodeGone
	case errors.As(err, &p):
		status, code = exchange.Kinds[p.Code].Status, p.Code
	}
	writeJSON(w, status, failure{err.Error(), code})
}

// Paths of what an operator may look at and do.
const (
	PathExchanges = "/.hoft/v1/exchanges"
	PathCallbacks = "/.hoft/v1/callbacks"
	PathEvents    = "/.hoft/v1/events"
)

// Done is what became of one wish.
type Done struct {
	ID    string `json:"id"`
	State string `json:"state,omitempty"`
	Stage string `json:"stage,omitempty"`
	NewID string `json:"new_id,omitempty"`
}

func (m *Monitor) routeWork(mux *http.ServeMux) {
	work := m.site.Work
	if work == nil {
		return
	}
	mux.HandleFunc("GET "+PathExchanges, func(w http.ResponseWriter, r *http.Request) {
		f, err := readQuery(r.URL.Query())
		if err != nil {
			writeJSON(w, http.StatusBadRequest, failure{Error: err.Error()})
			return
		}
		out, err := list(r.Context(), work, f)
		if err != nil {
			failed(w, err)
			return
		}
		out.Running = true
		writeJSON(w, http.StatusOK, out)
	})
	one := func(do func(ctx context.Context, id exchange.ID, r *http.Request) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			id, err := uuid.Parse(r.PathValue("id"))
			if err != nil {
				failed(w, exchange.ErrUnknown)
				return
			}
			out, err := do(r.Context(), id, r)
			if err != nil {
				failed(w, err)
				return
			}
			writeJSON(w, http.StatusOK, out)
		}
	}
	mux.HandleFunc("GET "+PathExchanges+"/{id}", one(func(ctx context.Context, id exchange.ID, _ *http.Request) (any, error) {
		st, err := work.State(ctx, id)
		if err != nil {
			return nil, err
		}
		return exchangeRow(st), nil
	}))
	mux.HandleFunc("DELETE "+PathExchanges+"/{id}", one(func(ctx context.Context, id exchange.ID, _ *http.Request) (any, error) {
		if err := work.Cancel(ctx, id); err != nil {
			return nil, err
		}
		st, err := work.State(ctx, id)
		if err != nil {
			return nil, err
		}
		return Done{ID: id.String(), State: st.State, Stage: st.Stage}, nil
	}))
	mux.HandleFunc("POST "+PathExchanges+"/{id}/replay", one(func(ctx context.Context, id exchange.ID, r *http.Request) (any, error) {
		again, err := work.Replay(ctx, id, r.URL.Query().Get("force") == "true")
		return Done{ID: id.String(), NewID: again.String()}, err
	}))
	mux.HandleFunc("GET "+PathEvents, m.serveEvents)
	m.routeCallbacks(mux)
}
