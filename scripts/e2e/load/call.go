package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Outcomes that are no problem code of hoft.
const (
	right = "right" // 200 with exactly what the callee must say
	wrong = "wrong" // 200 with anything else
	late  = "late"  // 504 first, right when it was fetched by the status link
	cut   = "connection-lost"
	never = "no-answer" // nothing for as long as a call may take
)

type load struct {
	url, prefix, canary string
	calls, atOnce, size int
	large, every        int
	methods             []string
	patience, pause     time.Duration
	client              *http.Client
}

type result struct {
	id, method, outcome, exchange, detail string
	size                                  int // of the body
	took                                  time.Duration
	dials                                 int // connections that were refused before one was made
}

// run makes calls until enough ends, and gives the results of those that were begun, in order.
func (l *load) run(ctx, enough context.Context) []result {
	l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.atOnce, MaxConnsPerHost: 2 * l.atOnce},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	results := make([]result, l.calls)
	next := make(chan int)
	var wg sync.WaitGroup
	for range l.atOnce {
		wg.Go(func() {
			for i := range next {
				results[i] = l.call(ctx, i)
				wait(ctx, l.pause)
			}
		})
	}
	begun := 0
	for begun < l.calls && enough.Err() == nil {
		select {
		case next <- begun:
			begun++
		case <-enough.Done():
		}
	}
	close(next)
	wg.Wait()
	return results[:begun]
}

// call makes one call and follows it to its end.
func (l *load) call(ctx context.Context, i int) (r result) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	r = result{id: fmt.Sprintf("%s-%06d", l.prefix, i), method: l.methods[i%len(l.methods)]}
	if r.size = l.size; l.large > 0 && i%l.every == l.every-1 {
		r.size = max(l.large, l.size)
	}
	body := l.body(r)
	begun := time.Now()
	defer func() { r.took = time.Since(begun) }()
	for {
		resp, text, err := l.send(ctx, r, body)
		switch {
		case dialFailed(err) && ctx.Err() == nil:
			r.dials++ // nothing was sent, so the call may be made as if for the first time
			wait(ctx, 20*time.Millisecond)
			continue
		case err != nil && ctx.Err() != nil:
			r.outcome, r.detail = never, err.Error()
		case err != nil:
			r.outcome, r.detail = cut, err.Error()
		default:
			l.judge(ctx, &r, resp, text, body)
		}
		return r
	}
}

func (l *load) send(ctx context.Context, r result, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, l.url+l.target(r), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if len(body) == 0 {
		req.Body = http.NoBody
	}
	req.GetBody = nil // the transport is not to send a call again by itself
	req.Header.Set("Content-Type", "application/octet-stream")
	if l.canary != "" {
		req.Header.Set("Authorization", "Bearer "+l.canary)
		req.Header.Set("Cookie", "session="+l.canary)
		req.Header.Set("X-Canary", l.canary)
	}
	return l.get(req)
}

func (l *load) get(req *http.Request) (*http.Response, []byte, error) {
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, text, err
}

// judge says what an answer means.
func (l *load) judge(ctx context.Context, r *result, resp *http.Response, text, body []byte) {
	r.exchange = resp.Header.Get("Hoft-Exchange")
	switch {
	case resp.StatusCode == http.StatusOK && string(text) == l.expected(*r, body):
		r.outcome = right
	case resp.StatusCode == http.StatusOK:
		r.outcome, r.detail = wrong, fmt.Sprintf("%.200q", text)
	case resp.StatusCode == http.StatusGatewayTimeout && r.exchange != "":
		l.follow(ctx, r, body)
	default:
		r.outcome, r.detail = problemCode(resp, text), fmt.Sprintf("%.200s", text)
	}
}

// follow polls an exchange that was not answered in time until it has ended.
func (l *load) follow(ctx context.Context, r *result, body []byte) {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/.hoft/v1/exchanges/"+r.exchange+"/response", nil)
		if err != nil {
			r.outcome, r.detail = wrong, err.Error()
			return
		}
		resp, text, err := l.get(req)
		switch {
		case ctx.Err() != nil:
			r.outcome = never
			return
		case err != nil || resp.StatusCode == http.StatusAccepted:
			wait(ctx, 100*time.Millisecond)
			continue
		case resp.StatusCode == http.StatusOK && string(text) == l.expected(*r, body):
			r.outcome = late
		case resp.StatusCode == http.StatusOK:
			r.outcome, r.detail = wrong, fmt.Sprintf("%.200q", text)
		default:
			r.outcome, r.detail = problemCode(resp, text), fmt.Sprintf("%.200s", text)
		}
		return
	}
}

func problemCode(resp *http.Response, text []byte) string {
	var p struct{ Code string }
	if resp.Header.Get("Content-Type") == "application/problem+json" && json.Unmarshal(text, &p) == nil && p.Code != "" {
		return p.Code
	}
	return "status-" + strconv.Itoa(resp.StatusCode)
}

// dialFailed says that no connection was made, so that nothing of a request can have been sent.
func dialFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (l *load) target(r result) string {
	if l.canary == "" {
		return "/job/" + r.id
	}
	return "/job/" + r.id + "?path=" + l.canary
}

// body is the canary and bytes that follow from the id; a GET has none.
func (l *load) body(r result) []byte {
	if r.method == http.MethodGet || r.method == http.MethodHead {
		return nil
	}
	out := make([]byte, r.size)
	seed := sha256.Sum256([]byte(r.id))
	_, _ = rand.NewChaCha8(seed).Read(out)
	copy(out, l.canary)
	return out
}

// expected is what the callee says to a call.
func (l *load) expected(r result, body []byte) string {
	sum := sha256.Sum256(body)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %x\n", r.method, l.target(r), sum)
	auth, cookie := "", ""
	if l.canary != "" {
		auth, cookie = "Bearer "+l.canary, "session="+l.canary
	}
	fmt.Fprintf(&b, "Authorization: %s\nCookie: %s\nX-Canary: %s\n", auth, cookie, l.canary)
	for i := range 8 {
		part := sha256.Sum256([]byte(r.id + strconv.Itoa(i)))
		b.WriteString(hex.EncodeToString(part[:]))
	}
	return b.String()
}
