package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
)

const (
	eventBatch = 200
	// eventComment is the pause after which a comment keeps a quiet stream open.
	eventComment = 15 * time.Second
)

// serveEvents streams what happens to all exchanges, from Last-Event-ID or now on, as server-sent events (WHATWG HTML
// section 9.2) in the form that the ingress has for one exchange.
func (m *Monitor) serveEvents(w http.ResponseWriter, r *http.Request) {
	last := time.Now().UnixMicro()
	if v := r.Header.Get("Last-Event-ID"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, failure{Error: "Last-Event-ID: write the id of an event"})
			return
		}
		last = n
	}
	watch, err := m.site.Work.Watch(r.Context(), exchange.ID{})
	if err != nil {
		failed(w, err)
		return
	}
	defer watch.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	s := &eventStream{m: m, w: w, ctl: http.NewResponseController(w), last: last}
	_ = s.ctl.SetReadDeadline(time.Time{}) // the server's own is for requests; when it passes, this one would be over
	if !s.write("retry: 3000\n\n") {
		return
	}
	comment := time.NewTicker(eventComment)
	defer comment.Stop()
	for s.send(r.Context()) {
		select {
		case <-watch.Changed():
		case <-comment.C:
			if !s.write(":\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

type eventStream struct {
	m    *Monitor
	w    http.ResponseWriter
	ctl  *http.ResponseController
	last int64
}

// send writes what is new; false says that the stream has ended.
func (s *eventStream) send(ctx context.Context) bool {
	for {
		events, err := s.m.site.Work.Events(ctx, exchange.ID{}, s.last, eventBatch)
		if err != nil {
			return false
		}
		for _, e := range events {
			s.last = e.N
			st, err := s.m.site.Work.State(ctx, e.Exchange)
			if err != nil {
				continue // forgotten meanwhile
			}
			n := strconv.FormatInt(e.N, 10)
			data, err := json.Marshal(exchange.NewCloudEvent(s.m.site.Name, n, e, st))
			if err != nil || !s.write(fmt.Sprintf("id: %s\nevent: exchange.%s\ndata: %s\n\n", n, e.Type, data)) {
				return false
			}
		}
		if len(events) < eventBatch {
			return true
		}
	}
}

func (s *eventStream) write(text string) bool {
	_ = s.ctl.SetWriteDeadline(time.Now().Add(time.Minute))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return s.ctl.Flush() == nil
}
