package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// ask makes all calls through the ingress, o.Concurrency at once, and returns when all have ended or ctx has.
func (d *demo) ask(ctx context.Context) {
	transport := &http.Transport{MaxIdleConnsPerHost: d.o.Concurrency, MaxIdleConns: d.o.Concurrency, DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: wait + time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer transport.CloseIdleConnections()
	var next atomic.Int64
	var callers sync.WaitGroup
	for range min(d.o.Concurrency, d.o.Calls) {
		callers.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1))
				if n > d.o.Calls {
					return
				}
				d.call(ctx, client, NewQuestion(d.o.Seed, n))
			}
		})
	}
	callers.Wait()
}

// call makes one call and checks its answer. A call that ctx interrupts has not ended.
func (d *demo) call(ctx context.Context, client *http.Client, q *Question) {
	d.event(Event{Call: &CallEvent{Question: q}})
	e := &CallEvent{Question: q, Ended: true}
	begun := time.Now()
	body, kind, err := e.exchange(ctx, client, d.place.Ingress+q.target())
	e.Took = time.Since(begun)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		e.Lost, e.Fault = true, "no answer: "+err.Error()
	case e.Status == http.StatusGatewayTimeout:
		e.Lost, e.Fault = true, "no answer in time"
	default:
		if e.Fault = q.want.wrong(e.Status, kind, body); e.Fault != "" && kind == "application/problem+json" {
			e.Fault += ": " + clip(body)
		}
	}
	e.Bytes = len(body)
	d.event(Event{Call: e})
}

func (e *CallEvent) exchange(ctx context.Context, client *http.Client, target string) (body []byte, kind string, err error) {
	q := e.Question
	var send io.Reader
	if q.body != nil {
		send = bytes.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, target, send)
	if err != nil {
		return nil, "", err
	}
	if q.kind != "" {
		req.Header.Set("Content-Type", q.kind)
	}
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL is told anyway
		}
		return nil, "", err
	}
	defer resp.Body.Close()
	e.Status = resp.StatusCode
	if body, err = io.ReadAll(resp.Body); err != nil {
		return nil, "", fmt.Errorf("the answer broke off after %d bytes: %w", len(body), err)
	}
	return body, resp.Header.Get("Content-Type"), nil
}

// clip shortens a problem's text for a line.
func clip(b []byte) string {
	const most = 300
	b = bytes.TrimSpace(b)
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}
