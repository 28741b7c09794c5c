package ingress

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

// check refuses what cannot cross, before it is routed, and reads the target.
func (s *Server) check(r *http.Request) (httptarget.Target, *exchange.Problem) {
	if r.Method == http.MethodConnect {
		return httptarget.Target{}, exchange.Problemf(exchange.CodeUpgrade, "CONNECT cannot cross a file pipe")
	}
	if !wellFormed(r.Host) {
		return httptarget.Target{}, exchange.Problemf(exchange.CodeBadRequest, "the host is malformed")
	}
	if !s.hosts.serves(r) {
		return httptarget.Target{}, exchange.Problemf(exchange.CodeMisdirected, "host %q is not served here", r.Host)
	}
	target, err := httptarget.Parse(r.Method, r.RequestURI)
	if err != nil {
		return target, exchange.Problemf(exchange.CodeBadRequest, "%v", err)
	}
	if !validText(target.Raw) {
		return target, exchange.Problemf(exchange.CodeBadRequest, "the request target is no UTF-8; percent-encode it")
	}
	return target, nil
}

// build makes the request that crosses; body is read by the caller of build.
func (s *Server) build(r *http.Request, rt *route, target httptarget.Target) (*exchange.Request, *exchange.Problem) {
	fields := httpfields.FromHeader(r.Header)
	if p := s.checkFields(r, target, fields); p != nil {
		return nil, p
	}
	out := &exchange.Request{
		Exchange: uuid.Must(uuid.NewV7()),
		Peer:     rt.peer,
		Upstream: rt.upstream,
		Route:    rt.pattern,
		Method:   r.Method,
		Target:   target.Raw,
		Scheme:   scheme(r, target),
		Host:     r.Host,
		Client:   s.client(r),
		Length:   r.ContentLength,

		NoCompress: rt.plain,
		Fresh:      rt.fresh,
		Fixed:      rt.fixed,
		Window:     rt.window,
	}
	if rt.stripped != "" {
		out.Target, _ = rt.strip.Strip(target.Raw)
	}
	var p *exchange.Problem
	if out.Key, p = idempotencyKey(r.Header); p != nil {
		return nil, p
	}
	if p := setDeadline(out, rt, r.Header.Get(deadlineField)); p != nil {
		return nil, p
	}
	out.Fields = s.fields(r, out.Scheme, fields, rt)
	return out, nil
}

func (s *Server) checkFields(r *http.Request, target httptarget.Target, fields exchange.Fields) *exchange.Problem {
	if n := len(target.Raw) + len(r.Host) + httpfields.Size(fields); n > s.maxHead {
		return exchange.Problemf(exchange.CodeFieldsLarge, "the request's head has %d bytes of at most %d", n, s.maxHead)
	}
	switch err := httpfields.CheckWithin(fields, s.maxFields, s.maxHead); {
	case errors.Is(err, httpfields.ErrTooLarge):
		return exchange.Problemf(exchange.CodeFieldsLarge, "%v", err)
	case err != nil:
		return exchange.Problemf(exchange.CodeBadRequest, "%v", err)
	}
	if offered := httpfields.List(fields, "Upgrade"); !onlyOptional(offered) {
		return exchange.Problemf(exchange.CodeUpgrade, "the upgrade to %s cannot cross a file pipe", strings.Join(offered, ", "))
	}
	if httpfields.Passed(fields, s.site) {
		return exchange.Problemf(exchange.CodeLoop, "site %s is already in Via", s.site)
	}
	return nil
}

// onlyOptional says whether every offered protocol is HTTP itself by other means (h2c, TLS): clients such as
// Java's offer h2c with each first request and go on without it (RFC 9110 section 7.8). WebSocket clients do not.
func onlyOptional(protocols []string) bool {
	return !slices.ContainsFunc(protocols, func(p string) bool {
		name, _, _ := strings.Cut(strings.ToLower(p), "/")
		return name != "h2c" && name != "tls" && name != "http"
	})
}

// fields are the end-to-end fields and what this hop adds.
func (s *Server) fields(r *http.Request, scheme string, fields exchange.Fields, rt *route) exchange.Fields {
	out := httpfields.Strip(fields)
	for _, name := range []string{deadlineField, callbackField, notifyField, bodyMapField, dataAuthField} {
		out = httpfields.Without(out, name)
	}
	out = passPreferences(out)
	if s.callers.Known() {
		out = httpfields.Without(out, s.callers.Field()) // it is for this site alone
	}
	if rt.stripped != "" {
		back := rt.mapping(scheme, r.Host).Reverse()
		for i, f := range out {
			if f.Name == "Destination" {
				out[i].Value = back.URL(f.Value)
			}
		}
	}
	if httpfields.WantsTrailers(fields) {
		out = append(out, exchange.Field{Name: "Te", Value: "trailers"})
	}
	out = s.forward(out, r)
	out = httpfields.AppendVia(out, protocol(r), s.site)
	return withTrace(out)
}

// protocol is the received protocol as Via writes it.
func protocol(r *http.Request) string {
	if r.ProtoMajor >= 2 {
		return fmt.Sprint(r.ProtoMajor)
	}
	return fmt.Sprintf("%d.%d", r.ProtoMajor, r.ProtoMinor)
}

// scheme is that of the target URI (RFC 9110 section 7.1).
func scheme(r *http.Request, target httptarget.Target) string {
	if target.Scheme != "" {
		return target.Scheme
	}
	return received(r)
}

// received is the scheme of the connection that the request came by.
func received(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

const (
	// deadlineField lets a caller end its call earlier than the route would.
	deadlineField = "Hoft-Deadline"
	// callbackField is where the outcome is to be sent; with notifyField "stages" each stage too.
	callbackField = "Hoft-Callback-Url"
	notifyField   = "Hoft-Callback-Events"
)

func setDeadline(out *exchange.Request, rt *route, wish string) *exchange.Problem {
	limit := rt.deadline
	if wish != "" {
		d, err := time.ParseDuration(wish)
		if err != nil || d <= 0 {
			return exchange.Problemf(exchange.CodeBadRequest, `field %s: write a duration with a unit, as in "90s"`, deadlineField)
		}
		if limit <= 0 || d < limit {
			limit = d
		}
	}
	if limit > 0 {
		out.Deadline = time.Now().Add(limit)
	}
	return nil
}
