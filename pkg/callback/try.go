package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// maxInline is the longest body in a callback; longer ones are fetched. Standard Webhooks advises less than 20 kB in all.
const maxInline = 16 << 10

// outcome is what came of one try.
type outcome struct {
	row     store.Callback
	disable bool // the receiver wants nothing any more
	cut     bool // the site stopped meanwhile
}

// try sends a callback once. Success is 2xx; a redirect is none and is never followed; 410 ends it for the receiver.
func (s *Sender) try(ctx context.Context, c *store.Callback) outcome {
	row := *c
	row.Tries++
	row.Status, row.Error = 0, ""
	dead := func(why string) outcome {
		row.State, row.Error = store.CallbackDead, why
		s.log.Warn().Str("webhook_id", row.ID).Str("exchange", exchange.ID(row.Exchange).String()).Int("tries", row.Tries).Str("err", why).Msg("callback given up")
		return outcome{row: row}
	}
	client, err := s.receivers.find(c.URL)
	if err != nil {
		return dead(err.Error())
	}
	if since, err := s.store.Disabled(ctx, c.URL); err == nil && !since.IsZero() {
		return dead("its receiver has answered 410 before")
	}
	body, err := s.payload(ctx, c)
	if errors.Is(err, exchange.ErrUnknown) {
		return dead("its exchange is forgotten")
	}
	var header http.Header
	if err == nil {
		row.Status, header, err = s.post(ctx, client, c, body)
	}
	switch {
	case ctx.Err() != nil && row.Status == 0:
		return outcome{cut: true}
	case row.Status/100 == 2:
		row.State, row.Next = store.CallbackDelivered, s.now()
		s.log.Info().Str("webhook_id", row.ID).Int("status", row.Status).Int("tries", row.Tries).Msg("callback delivered")
		return outcome{row: row}
	case row.Status == http.StatusGone:
		out := dead("its receiver answered 410")
		out.disable = true
		return out
	case err == nil:
		err = fmt.Errorf("its receiver answered %d", row.Status)
	}
	d, over := pause(row.Tries, retryAfter(header, s.now()), chance())
	if over {
		return dead(err.Error())
	}
	row.Error, row.Next = err.Error(), s.now().Add(d)
	s.log.Debug().Str("webhook_id", row.ID).Int("tries", row.Tries).Err(err).Time("next", row.Next).Msg("callback failed")
	return outcome{row: row}
}

func (s *Sender) post(ctx context.Context, client *http.Client, c *store.Callback, body []byte) (status int, h http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	now := s.now()
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("User-Agent", "hoft")
	req.Header.Set("Webhook-Id", c.ID)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", s.signing().sign(c.ID, now, body))
	resp, err := client.Do(req)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the URL, which may hold a secret
	}
	if err != nil {
		return 0, nil, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again; what is said does not matter
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Header, nil
}

// payload is the message: all that a receiver needs is in the signed body, nothing in header fields.
func (s *Sender) payload(ctx context.Context, c *store.Callback) ([]byte, error) {
	st, err := s.answers.State(ctx, c.Exchange)
	if err != nil {
		return nil, err
	}
	e := exchange.NewCloudEvent(s.site, c.ID, exchange.Event{Exchange: c.Exchange, Type: c.Type, At: c.At}, st)
	if r := e.Data.Response; r != nil && !st.Expired {
		if err := s.addAnswer(ctx, c.Exchange, r); err != nil {
			return nil, err
		}
	}
	return json.Marshal(e, jsontext.AllowInvalidUTF8(true))
}

// addAnswer adds header fields and, if it is short, the body of the callee's answer.
func (s *Sender) addAnswer(ctx context.Context, id exchange.ID, r *exchange.EventResponse) error {
	resp, err := s.answers.Result(ctx, id)
	if errors.Is(err, exchange.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r.Headers = map[string][]string{}
	for _, f := range resp.Fields {
		r.Headers[f.Name] = append(r.Headers[f.Name], f.Value)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxInline+1))
	switch {
	case err != nil:
		return err
	case len(body) > maxInline:
	case utf8.Valid(body):
		text := string(body)
		r.Body = &text
	default:
		r.Base64 = body
	}
	return nil
}
