package ingress

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/exchange"
)

// Resources answers for exchanges on another listener than the ingress, in the same way: state, long poll, response,
// events, cancel. Safe for concurrent use.
type Resources struct{ s *Server }

// NewResources makes the resources of a site's exchanges.
func NewResources(site string, caller exchange.Caller, log zerolog.Logger) *Resources {
	s := &Server{site: site, caller: caller, log: log, waitMax: defaultWaitMax, stall: stallTimeout}
	s.stopped, s.stop = context.WithCancel(context.Background())
	return &Resources{s}
}

// Serve answers a request below /.hoft/v1/exchanges for a client, whose own exchanges alone it can see.
func (x *Resources) Serve(w http.ResponseWriter, r *http.Request, client string) {
	x.s.serveOwn(w, r, r.URL.Path, client)
}

// Stop ends what waits.
func (x *Resources) Stop() { x.s.stop() }

// Accepted answers 202 with the state of an exchange that goes on, and says which preferences counted.
func (x *Resources) Accepted(w http.ResponseWriter, ctx context.Context, id exchange.ID, applied []string) *exchange.Problem {
	state, err := x.s.caller.State(ctx, id)
	if err != nil {
		return x.s.ownFailure(err)
	}
	h, url := w.Header(), about{id: id.String()}.statusURL()
	h.Set("Location", url)
	h.Set("Operation-Location", url)
	h.Set("Link", "<"+url+`>; rel="status"`)
	if len(applied) > 0 {
		h.Set("Preference-Applied", strings.Join(applied, ", "))
	}
	x.s.pending(w, ctx, http.StatusAccepted, state)
	return nil
}

// Wait says how long a request prefers to be waited for: the default, or what Prefer says, up to the most that is
// allowed. applied is for Preference-Applied (RFC 7240 section 3).
func (x *Resources) Wait(h http.Header, usual time.Duration) (wait time.Duration, applied []string) {
	p := readPreferences(h)
	wait = usual
	if p.async {
		wait, applied = 0, append(applied, "respond-async")
	}
	if p.hasWait {
		wait = min(p.wait, x.s.waitMax)
		applied = append(applied, "wait="+strconv.Itoa(int(wait/time.Second)))
	}
	return wait, applied
}
