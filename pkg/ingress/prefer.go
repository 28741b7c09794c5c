package ingress

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// preferences are what a caller prefers (RFC 7240), as far as this site can do it. Of several of one name the first
// counts (section 2).
type preferences struct {
	wait     time.Duration
	hasWait  bool
	async    bool   // respond-async
	strict   bool   // handling=strict
	dataMap  bool   // return=data-map
	callback string // callback; url="…" (OData 4.01 part 1 section 8.2.8)
}

// readPreferences gives what is understood of Prefer.
func readPreferences(h http.Header) (p preferences) {
	var seen []string
	for _, x := range httpfields.Preferences(h["Prefer"]) {
		if slices.Contains(seen, x.Name) {
			continue
		}
		seen = append(seen, x.Name)
		switch x.Name {
		case "wait":
			if n, err := strconv.ParseUint(x.Value, 10, 31); err == nil {
				p.wait, p.hasWait = time.Duration(n)*time.Second, true
			}
		case "respond-async":
			p.async = true
		case "handling":
			p.strict = strings.EqualFold(x.Value, "strict")
		case "return":
			p.dataMap = strings.EqualFold(x.Value, "data-map")
		case "callback", "odata.callback":
			if p.callback == "" {
				p.callback = x.Params["url"]
			}
		}
	}
	return p
}

// own are the preferences that this site acts on. The callee does not see them: it would answer 202 itself, or give
// up on a caller who waits here.
func own(name string) bool {
	return name == "wait" || name == "respond-async" || name == "callback" || name == "odata.callback"
}

// passPreferences leaves what the callee may act on in Prefer.
func passPreferences(fields exchange.Fields) exchange.Fields {
	lines := httpfields.Values(fields, "Prefer")
	if len(lines) == 0 {
		return fields
	}
	var left []string
	mine := false
	for _, x := range httpfields.Preferences(lines) {
		if own(x.Name) || x.Name == "return" && strings.EqualFold(x.Value, "data-map") {
			mine = true
		} else {
			left = append(left, x.Text)
		}
	}
	if !mine {
		return fields
	}
	fields = httpfields.Without(fields, "Prefer")
	if len(left) > 0 {
		fields = append(fields, exchange.Field{Name: "Prefer", Value: strings.Join(left, ", ")})
	}
	return fields
}

// patience is how a call is waited for.
type patience struct {
	wait    time.Duration // how long the connection is held
	async   bool          // then 202 is the answer, not 504
	applied []string      // for Preference-Applied (RFC 7240 section 3)
}

// wait decides how long a call's connection is held: the route's time, or what the caller prefers up to wait_max; for
// a caller who wants no answer here, not at all, unless it says so.
func (s *Server) wait(p preferences, rt *route) (out patience) {
	out.wait = rt.wait
	if !rt.transient { // else there would be nothing to ask for later
		out.async = p.async || p.callback != "" || rt.async
	}
	if out.async {
		out.wait = 0
		if p.async {
			out.applied = append(out.applied, "respond-async")
		}
		if p.callback != "" {
			out.applied = append(out.applied, "callback")
		}
	}
	if p.hasWait {
		out.wait = min(p.wait, s.waitMax)
		out.applied = append(out.applied, "wait="+strconv.Itoa(int(out.wait/time.Second)))
	}
	return out
}
