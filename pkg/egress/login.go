package egress

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/egress/credentials"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
	"github.com/hoft/hoft/pkg/guard"
)

// Secrets is where credentials of upstreams are kept, sealed. It may be zero where no upstream has any.
type Secrets struct {
	Vault  credentials.Vault
	Sealer credentials.Sealer
	Now    func() time.Time // by which tokens age; nil: time.Now
}

var errNoVault = errors.New("auth: there is nowhere to keep credentials")

// logIn prepares what the upstream is shown.
func (u *upstream) logIn(c config.Upstream, blocked []netip.AddrPort, s Secrets, log zerolog.Logger) (err error) {
	if c.Auth == nil {
		return nil
	}
	if s.Vault == nil || s.Sealer == nil {
		return errNoVault
	}
	o := credentials.Options{Vault: s.Vault, Sealer: s.Sealer, Now: s.Now, Log: log}
	if c.Auth.OAuth2 != nil {
		if o.Client, err = tokenClient(c.Auth.OAuth2, blocked); err != nil {
			return fmt.Errorf("auth: oauth2: %w", err)
		}
	}
	u.keeper, err = credentials.New(u.name, c.Auth, o)
	return err
}

// tokenClient calls a token server within the same guard as any callee: no proxy, no redirect, no forbidden address.
func tokenClient(c *config.OAuth2, blocked []netip.AddrPort) (*http.Client, error) {
	t, err := url.Parse(c.TokenURL)
	if err != nil {
		return nil, fmt.Errorf("token_url: %w", err)
	}
	server := &upstream{slots: 2, origin: httptarget.Origin{Scheme: t.Scheme, Host: t.Host}, addr: net.JoinHostPort(t.Hostname(), httptarget.Port(t.Host, t.Scheme))}
	secure, err := newTLS(config.Upstream{CAFile: c.CAFile})
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport:     server.newTransport(guard.Guard{Blocked: blocked}, secure, config.Upstream{}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// owner is for whom cookies are kept: a caller at a peer, by its name or else by its address. The peer vouches for both.
func owner(r *exchange.Request) string {
	if r.Owner != "" {
		return r.Peer.String() + "/name/" + r.Owner
	}
	return r.Peer.String() + "/address/" + r.Client
}

// where is the URL of the call as cookies see it.
func (u *upstream) where(r *exchange.Request) *url.URL {
	path, _ := httptarget.Split(r.Target)
	out := &url.URL{Scheme: u.origin.Scheme, Host: u.host(r), Path: u.origin.Path + path}
	if plain, err := url.PathUnescape(out.Path); err == nil {
		out.Path = plain
	}
	return out
}

// show puts this site's credentials into a request.
func (c *call) show(req *http.Request) (credentials.Shown, error) {
	if c.u.keeper == nil {
		return credentials.Shown{}, nil
	}
	return c.u.keeper.Show(c.ctx, req.Header, c.u.where(c.r), owner(c.r))
}

// refused says whether the call is worth one more try after a 401: the server did not act on it, the body can be sent
// again, and what was shown can be replaced.
func (c *call) refused(resp *http.Response, shown credentials.Shown) bool {
	return resp.StatusCode == http.StatusUnauthorized && c.u.keeper.Refused(shown) && c.body.rewind()
}

// keepCookies takes the cookies out of an answer.
func (c *call) keepCookies(resp *http.Response) {
	if c.u.keeper != nil {
		c.u.keeper.Keep(c.ctx, resp.Header, c.u.where(c.r), owner(c.r))
	}
}
