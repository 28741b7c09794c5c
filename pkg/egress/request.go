package egress

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

// request makes the request for net/http out of one that Admit let through.
func (u *upstream) request(ctx context.Context, r *exchange.Request, site string, body *source) *http.Request {
	out := (&http.Request{
		Method:     r.Method,
		URL:        u.url(r),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     u.header(r, site),
		Host:       u.host(r),
	}).WithContext(ctx)
	setBody(out, r, body, u.allowed(httpfields.Trailers(r.Trailers)))
	return out
}

// host is the Host field: the upstream's own, or with preserve_host the caller's.
func (u *upstream) host(r *exchange.Request) string {
	if u.preserve && r.Host != "" {
		return r.Host
	}
	return u.origin.Host
}

// url carries the target untouched. Its host names the connection pool and, with TLS, the server name
// that is asked for and verified; where the connection goes is the dialer's own knowledge.
func (u *upstream) url(r *exchange.Request) *url.URL {
	target := r.Target
	if target != "*" {
		target = u.origin.Path + target
	}
	out, _ := rawURL(target)
	out.Scheme, out.Host = u.origin.Scheme, u.origin.Host
	if u.preserve && r.Host != "" && u.origin.Scheme == "https" {
		out.Host = net.JoinHostPort(httptarget.Hostname(r.Host), httptarget.Port(u.origin.Host, "https"))
	}
	return out
}

// rawURL gives a URL whose RequestURI is exactly target. net/url sends Opaque as it is, except that it
// takes a leading // for an authority; such a target must be a path that net/url finds validly encoded.
func rawURL(target string) (*url.URL, bool) {
	if !strings.HasPrefix(target, "//") {
		return &url.URL{Opaque: target}, true
	}
	path, query := httptarget.Split(target)
	u := &url.URL{RawPath: path}
	u.Path, _ = url.PathUnescape(path)
	if query != "" {
		u.ForceQuery, u.RawQuery = true, query[1:]
	}
	return u, u.RequestURI() == target
}

// header gives the fields to send: end-to-end ones, the site's Via, and nothing that net/http would add by
// itself.
func (u *upstream) header(r *exchange.Request, site string) http.Header {
	h := make(http.Header, len(r.Fields)+3)
	fields := u.allowed(r.Fields)
	httpfields.AddTo(h, httpfields.AppendVia(httpfields.Strip(fields), "1.1", site))
	if _, has := h["User-Agent"]; !has {
		h["User-Agent"] = nil // an entry without a value keeps net/http from sending its own name
	}
	if httpfields.WantsTrailers(fields) {
		h["Te"] = []string{"trailers"}
		if !u.mayBeHTTP2() {
			h["Connection"] = []string{"TE"} // RFC 9110 section 10.1.4
		}
	}
	if u.rewrite {
		back := u.mapping(r).Reverse()
		for i, v := range h["Destination"] {
			h["Destination"][i] = back.URL(v)
		}
	}
	if !retriable(r.Method) {
		hideIdempotencyKeys(h)
	}
	return h
}

// retriable are the methods that net/http itself sends again when an idle connection turns out dead.
func retriable(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// hideIdempotencyKeys keeps net/http from taking the field for a promise that the callee honours it: only
// the upstream's configuration says that, and then the exchange repeats the call. net/http looks for the
// canonical spelling; names are the same in any case (RFC 9110 section 5.1).
func hideIdempotencyKeys(h http.Header) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, has := h[name]; has {
			delete(h, name)
			h[strings.ToLower(name)] = values
		}
	}
}

// setBody frames the body as the caller did: a known length as Content-Length, an unknown one or trailers
// as chunks.
func setBody(out *http.Request, r *exchange.Request, body *source, trailers exchange.Fields) {
	if body == nil && r.Length >= 0 && len(trailers) == 0 {
		return
	}
	if body == nil {
		body = newSource(strings.NewReader(""), -1)
	}
	out.ContentLength = r.Length
	out.Body = body.open()
	if body.replayable() {
		out.GetBody = func() (io.ReadCloser, error) { return body.reopen() }
	}
	if r.Length <= 0 || len(trailers) > 0 {
		out.ContentLength, out.TransferEncoding = -1, []string{"chunked"}
	}
	if len(trailers) > 0 {
		out.Trailer = make(http.Header)
		httpfields.AddTo(out.Trailer, trailers)
	}
}

// mapping is how the caller's references and the callee's belong together.
func (u *upstream) mapping(r *exchange.Request) httptarget.Mapping {
	return httptarget.Mapping{From: u.origin, To: httptarget.Origin{Scheme: r.Scheme, Host: r.Host}}
}
