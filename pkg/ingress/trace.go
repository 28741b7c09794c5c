package ingress

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// withTrace makes sure that there is one valid traceparent (W3C Trace Context section 3.2). Where a trace has to be
// begun, tracestate belongs to nothing and goes (section 4.3).
func withTrace(fields exchange.Fields) exchange.Fields {
	values := httpfields.Values(fields, "Traceparent")
	if len(values) == 1 && validTrace(values[0]) {
		return fields
	}
	fields = httpfields.Without(httpfields.Without(fields, "Traceparent"), "Tracestate")
	return append(fields, exchange.Field{Name: "Traceparent", Value: newTrace()})
}

// newTrace begins a trace that nobody has decided to sample.
func newTrace() string {
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-00"
}

// validTrace checks the form of version 00; later versions may have more after it.
func validTrace(s string) bool {
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, trace, parent, flags := s[:2], s[3:35], s[36:52], s[53:55]
	if version == "ff" || version == "00" && len(s) != 55 || len(s) > 55 && s[55] != '-' {
		return false
	}
	for _, part := range []string{version, trace, parent, flags} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return false
		}
	}
	return strings.Trim(trace, "0") != "" && strings.Trim(parent, "0") != ""
}

// traceID is the trace's id for the log.
func traceID(fields exchange.Fields) string {
	if v := httpfields.Get(fields, "Traceparent"); len(v) >= 35 {
		return v[3:35]
	}
	return ""
}
