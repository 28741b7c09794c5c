package callback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/guard"
)

const (
	// answerTime is how long a receiver may take.
	answerTime = 20 * time.Second
	maxURL     = 2048
)

// receivers are the places where callbacks may go: a pattern and the client that dials no other.
type receivers []receiver

type receiver struct {
	pattern config.URLPattern
	client  *http.Client
}

func newReceivers(allow []string, blocked []netip.AddrPort) (out receivers, err error) {
	for _, s := range allow {
		p, err := config.ParseURLPattern(s)
		if err != nil {
			return nil, fmt.Errorf("callbacks.allow: %q: %w", s, err)
		}
		// A name may be made to resolve to this host; only one that is written out means it.
		g := guard.Guard{Allow: p.Addr(), Blocked: blocked, NoLoopback: true}
		d := &net.Dialer{Timeout: answerTime / 2, ControlContext: g.Control}
		out = append(out, receiver{p, &http.Client{
			Timeout:       answerTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{DialContext: d.DialContext, TLSHandshakeTimeout: answerTime / 2, MaxIdleConnsPerHost: 2, MaxConnsPerHost: perHost,
				IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10, ForceAttemptHTTP2: true},
		}})
	}
	return out, nil
}

var (
	errURL      = errors.New("write a whole http or https URL without user and fragment")
	errNotThere = errors.New("callbacks.allow has no pattern for it")
)

// find gives the client for a URL.
func (rs receivers) find(text string) (*http.Client, error) {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Host == "" || u.User != nil || strings.Contains(text, "#") || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errURL
	}
	for _, r := range rs {
		if r.pattern.Covers(u) {
			return r.client, nil
		}
	}
	return nil, errNotThere
}

func (rs receivers) close() {
	for _, r := range rs {
		r.client.CloseIdleConnections()
	}
}

// Check says why nothing may be sent to a URL, nil if it may.
func (s *Sender) Check(text string) *exchange.Problem {
	_, err := s.receivers.find(text)
	switch {
	case errors.Is(err, errURL):
		return exchange.Problemf(exchange.CodeBadRequest, "the callback's URL: %v", err)
	case err != nil:
		return exchange.Problemf(exchange.CodeCallback, "the callback's URL: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	since, err := s.store.Disabled(ctx, text)
	switch {
	case err != nil:
		s.log.Error().Err(err).Msg("a receiver could not be looked up")
		return exchange.Problemf(exchange.CodeStoreFailed, "the site's store could not be read; its log says why")
	case !since.IsZero():
		return exchange.Problemf(exchange.CodeCallback, "the callback's URL: its receiver answered 410 at %s and gets nothing any more", since.Format(time.RFC3339))
	}
	return nil
}
