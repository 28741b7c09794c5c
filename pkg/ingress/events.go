package ingress

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/exchange"
)

const (
	// eventBatch is how many events are read at a time.
	eventBatch = 200
	// eventComment is the pause after which a comment keeps a quiet stream open.
	eventComment = 15 * time.Second
	// progressEvery is the pause between two looks at how far long bodies are, progressCalls how many calls are looked at.
	progressEvery = time.Second
	progressCalls = 50
)

// stream is one server-sent event stream (WHATWG HTML section 9.2).
type stream struct {
	s     *Server
	w     http.ResponseWriter
	ctl   *http.ResponseController
	id    exchange.ID // zero: all exchanges of owner
	owner string
	last  int64
	known map[exchange.ID]*exchange.State // of the batch at hand
	told  map[exchange.ID]exchange.Transfer
}

// serveEvents streams what happens to one exchange, from the event after Last-Event-ID on, and ends after the last one.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request, state *exchange.State) {
	after, p := lastEventID(r)
	if p != nil {
		s.problem(w, r, p, about{})
		return
	}
	if state.Expired {
		s.problem(w, r, exchange.Problemf(exchange.CodeGone, "the events were deleted"), about{id: state.ID.String(), peer: state.Peer, stage: state.Stage})
		return
	}
	if state.State != exchange.StateRunning && after != 0 {
		if rest, err := s.caller.Events(r.Context(), state.ID, after, 1); err == nil && len(rest) == 0 {
			w.WriteHeader(http.StatusNoContent) // tells an EventSource not to come again
			return
		}
	}
	s.stream(w, r, &stream{id: state.ID, last: after})
}

// serveAllEvents streams what happens to all exchanges of a caller.
func (s *Server) serveAllEvents(w http.ResponseWriter, r *http.Request, name string) {
	if name == "" {
		s.problem(w, r, exchange.Problemf(exchange.CodeNameless, "the events of anonymous callers are not streamed together; ask for those of one exchange"), about{})
		return
	}
	after, p := lastEventID(r)
	if p != nil {
		s.problem(w, r, p, about{})
		return
	}
	if after == 0 {
		after = time.Now().UnixMicro() // from now on
	}
	s.stream(w, r, &stream{owner: name, last: after})
}

// lastEventID is where a stream goes on.
func lastEventID(r *http.Request) (int64, *exchange.Problem) {
	v := r.Header.Get("Last-Event-ID")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, exchange.Problemf(exchange.CodeBadRequest, "field Last-Event-ID: write the id of an event of this stream")
	}
	return n, nil
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, st *stream) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopped, cancel)()
	watch, err := s.caller.Watch(ctx, st.id)
	if err != nil {
		s.problem(w, r, s.ownFailure(err), about{})
		return
	}
	defer watch.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	st.s, st.w, st.ctl = s, w, http.NewResponseController(w)
	if !st.write("retry: 3000\n\n") || r.Method == http.MethodHead {
		return
	}
	comment := time.NewTicker(eventComment)
	defer comment.Stop()
	progress := time.NewTicker(progressEvery)
	defer progress.Stop()
	for {
		over, err := st.send(ctx)
		if over || err != nil {
			return // an error ends the stream; the client comes back with what it has seen
		}
		select {
		case <-watch.Changed():
		case <-progress.C:
			if st.progress(ctx) != nil {
				return
			}
		case <-comment.C:
			if !st.write(":\n\n") {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// send writes what is new; over says that nothing more will come.
func (st *stream) send(ctx context.Context) (over bool, err error) {
	for {
		events, err := st.s.caller.Events(ctx, st.id, st.last, eventBatch)
		if err != nil {
			return false, err
		}
		st.known = map[exchange.ID]*exchange.State{}
		for _, e := range events {
			if over, err = st.event(ctx, e); over || err != nil {
				return over, err
			}
			st.last = e.N
		}
		if len(events) < eventBatch {
			return false, nil
		}
	}
}

// progress tells how far long bodies are that have moved since the last time. These events have no id: who comes back is
// told the present state.
func (st *stream) progress(ctx context.Context) error {
	var states []*exchange.State
	if st.id != (exchange.ID{}) {
		state, err := st.s.caller.State(ctx, st.id)
		if err != nil {
			return nil //nolint:nilerr // purged meanwhile
		}
		states = append(states, state)
	} else {
		var err error
		if states, err = st.s.caller.List(ctx, exchange.Filter{Owner: st.owner, State: exchange.StateRunning, Limit: progressCalls}); err != nil {
			return err
		}
	}
	told := map[exchange.ID]exchange.Transfer{}
	for _, state := range states {
		if state.Transfer == nil {
			continue
		}
		now := *state.Transfer
		now.RateBps, now.LeftS = 0, 0 // they change by themselves
		told[state.ID] = now
		if st.told[state.ID] == now {
			continue
		}
		at := time.Now()
		e := exchange.Event{N: at.UnixMicro(), Exchange: state.ID, Type: exchange.EventProgress, At: at}
		n := strconv.FormatInt(e.N, 10) + "." + exchange.EventProgress
		data, err := json.Marshal(exchange.NewCloudEvent(st.s.site, n, e, state), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return err
		}
		if !st.write("event: exchange." + exchange.EventProgress + "\ndata: " + string(data) + "\n\n") {
			return errGone
		}
	}
	st.told = told
	return nil
}

// errGone says that nobody reads any more.
var errGone = errors.New("the reader has gone")

func (st *stream) event(ctx context.Context, e exchange.Event) (over bool, err error) {
	state := st.known[e.Exchange]
	if state == nil {
		if state, err = st.s.caller.State(ctx, e.Exchange); err != nil {
			return false, nil //nolint:nilerr // purged meanwhile: nothing is left to tell
		}
		st.known[e.Exchange] = state
	}
	if st.id == (exchange.ID{}) && state.Owner != st.owner {
		return false, nil
	}
	n := strconv.FormatInt(e.N, 10)
	data, err := json.Marshal(exchange.NewCloudEvent(st.s.site, n, e, state), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return false, err
	}
	if !st.write("id: " + n + "\nevent: exchange." + e.Type + "\ndata: " + string(data) + "\n\n") {
		return true, nil
	}
	return st.id != (exchange.ID{}) && e.Type == exchange.EventCompleted, nil
}

// write sends a piece at once; false says that nobody reads any more.
func (st *stream) write(text string) bool {
	extendWrite(st.w)
	if _, err := st.w.Write([]byte(text)); err != nil {
		return false
	}
	return st.ctl.Flush() == nil
}
