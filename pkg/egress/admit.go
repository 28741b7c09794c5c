package egress

import (
	"errors"
	"net/http"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

// Admit checks a request against the allow-list without any I/O: nil, or why it is refused. What it lets
// through is what Do sends: nothing is normalised in between.
func (e *Egress) Admit(r *exchange.Request) *exchange.Problem {
	u := e.upstreams[r.Upstream]
	if u == nil {
		return exchange.Problemf(exchange.CodeNoUpstream, "there is no upstream %q here", r.Upstream)
	}
	if name, known := e.peers[r.Peer]; !known || !u.peers[name] {
		return exchange.Problemf(exchange.CodeDenied, "upstream %q is not open to this peer", u.name)
	}
	if p := u.admitMethod(r.Method); p != nil {
		return p
	}
	if u.maxBody > 0 && max(r.Size, r.Length) > u.maxBody {
		return exchange.Problemf(exchange.CodeTooLarge, "upstream %q takes at most %d bytes of body", u.name, u.maxBody)
	}
	if p := u.admitTarget(r); p != nil {
		return p
	}
	return e.admitFields(u, r)
}

func (u *upstream) admitMethod(method string) *exchange.Problem {
	switch {
	case !httpfields.Token(method):
		return exchange.Problemf(exchange.CodeBadRequest, "the method is no token")
	case method == http.MethodConnect:
		return exchange.Problemf(exchange.CodeUpgrade, "CONNECT cannot cross a file pipe")
	case u.keeper != nil && method == http.MethodTrace:
		return exchange.Problemf(exchange.CodeDenied, "upstream %q does not allow TRACE, which would show what is kept from callers", u.name)
	case u.methods != nil && !u.methods[method]:
		return exchange.Problemf(exchange.CodeDenied, "upstream %q does not allow %s", u.name, method)
	}
	return nil
}

func (u *upstream) admitTarget(r *exchange.Request) *exchange.Problem {
	if err := httptarget.Check(r.Target); err != nil {
		return exchange.Problemf(exchange.CodeBadRequest, "%v", err)
	}
	path, _ := httptarget.Split(r.Target)
	if r.Target == "*" {
		if r.Method != http.MethodOptions {
			return exchange.Problemf(exchange.CodeBadRequest, "the target * is for OPTIONS only")
		}
		if u.paths != nil {
			return exchange.Problemf(exchange.CodeDenied, "upstream %q allows certain paths only", u.name)
		}
		return nil
	}
	if _, ok := rawURL(u.origin.Path + r.Target); !ok {
		return exchange.Problemf(exchange.CodeBadRequest, "a target that begins with // may hold only the characters of RFC 3986")
	}
	return u.admitPath(path)
}

func (u *upstream) admitPath(path string) *exchange.Problem {
	if u.origin.Path != "" && httptarget.Climbs(path) {
		return exchange.Problemf(exchange.CodeBadRequest, "the path leaves the folder of upstream %q", u.name)
	}
	if u.paths == nil {
		return nil
	}
	switch allowed, err := u.paths.Allow(path); {
	case err != nil:
		return exchange.Problemf(exchange.CodeBadRequest, "%v", err)
	case !allowed:
		return exchange.Problemf(exchange.CodeDenied, "upstream %q does not allow this path", u.name)
	}
	return nil
}

func (e *Egress) admitFields(u *upstream, r *exchange.Request) *exchange.Problem {
	for _, fields := range []exchange.Fields{r.Fields, r.Trailers} {
		if err := httpfields.Check(fields); errors.Is(err, httpfields.ErrTooLarge) {
			return exchange.Problemf(exchange.CodeFieldsLarge, "%v", err)
		} else if err != nil {
			return exchange.Problemf(exchange.CodeBadRequest, "%v", err)
		}
	}
	if len(httpfields.Values(r.Fields, "Host")) > 0 {
		return exchange.Problemf(exchange.CodeBadRequest, "field Host is given twice")
	}
	if u.preserve && !validHost(r.Host) {
		return exchange.Problemf(exchange.CodeBadRequest, "the host is malformed")
	}
	if httpfields.Passed(r.Fields, e.site) {
		return exchange.Problemf(exchange.CodeLoop, "site %s is already in Via", e.site)
	}
	return u.admitDestination(r)
}

// admitDestination applies the path rules to the second target that WebDAV's COPY and MOVE carry
// (RFC 4918 section 10.3).
func (u *upstream) admitDestination(r *exchange.Request) *exchange.Problem {
	if u.paths == nil && u.origin.Path == "" {
		return nil
	}
	for _, value := range httpfields.Values(r.Fields, "Destination") {
		t, err := httptarget.Parse(r.Method, value)
		if err != nil {
			return exchange.Problemf(exchange.CodeBadRequest, "field Destination: %v", err)
		}
		path, _ := httptarget.Split(t.Raw)
		if p := u.admitPath(path); p != nil {
			return p
		}
	}
	return nil
}

// validHost accepts the characters of an authority without userinfo (RFC 3986 section 3.2); "" stands for
// the upstream's own host.
func validHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~:[]%!$&'()*+,;=", c) >= 0:
		default:
			return false
		}
	}
	return true
}
