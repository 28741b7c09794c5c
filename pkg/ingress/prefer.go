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

// preference is one entry of Prefer.
type preference struct {
	name, value string
	params      map[string]string
	text        string // as it was
}

// readPreferences gives what is understood of Prefer.
func readPreferences(h http.Header) (p preferences) {
	var seen []string
	for _, x := range parsePrefer(h["Prefer"]) {
		if slices.Contains(seen, x.name) {
			continue
		}
		seen = append(seen, x.name)
		switch x.name {
		case "wait":
			if n, err := strconv.ParseUint(x.value, 10, 31); err == nil {
				p.wait, p.hasWait = time.Duration(n)*time.Second, true
			}
		case "respond-async":
			p.async = true
		case "handling":
			p.strict = strings.EqualFold(x.value, "strict")
		case "return":
			p.dataMap = strings.EqualFold(x.value, "data-map")
		case "callback", "odata.callback":
			if p.callback == "" {
				p.callback = x.params["url"]
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
	for _, x := range parsePrefer(lines) {
		if own(x.name) || x.name == "return" && strings.EqualFold(x.value, "data-map") {
			mine = true
		} else {
			left = append(left, x.text)
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

func parsePrefer(lines []string) (out []preference) {
	for _, line := range lines {
		for _, text := range splitQuoted(line, ',') {
			parts := splitQuoted(text, ';')
			name, value, _ := strings.Cut(parts[0], "=")
			x := preference{name: strings.ToLower(strings.TrimSpace(name)), value: unquote(value), params: map[string]string{}, text: strings.TrimSpace(text)}
			for _, part := range parts[1:] {
				name, value, _ := strings.Cut(part, "=")
				x.params[strings.ToLower(strings.TrimSpace(name))] = unquote(value)
			}
			if x.name != "" {
				out = append(out, x)
			}
		}
	}
	return out
}

// splitQuoted splits at sep outside of quoted strings (RFC 9110 section 5.6.4).
func splitQuoted(s string, sep byte) (out []string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// unquote gives the value of a token or quoted string.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
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
