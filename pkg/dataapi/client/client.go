// Package client speaks to a site's Direct Data API: for the commands hoft data.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/identity"
)

// Client is one user of one API. Safe for concurrent use.
type Client struct {
	// Base is the URL of the listener, as in http://127.0.0.1:8083.
	Base string
	// Token is shown with every request; empty: none.
	Token identity.Secret
	// HTTP makes the requests. It should have no timeout of its own: bodies may take long.
	HTTP *http.Client
	// Retries is how often a transfer goes on that broke off without getting any further; each time later.
	Retries int
	// Pause is the time before the first of them.
	Pause time.Duration
}

// Refused is what the API answered instead of doing it.
type Refused struct {
	Status int
	Code   string // "" where it was not hoft that answered
	Text   string
}

func (r *Refused) Error() string {
	if r.Code == "" {
		return fmt.Sprintf("the answer is %d: %s", r.Status, r.Text)
	}
	return fmt.Sprintf("%s (%s, %d)", r.Text, r.Code, r.Status)
}

// maxProblem bounds what is read of an answer that is no data, in bytes.
const maxProblem = 1 << 20

// request makes a request for a path below the base. The map goes in a field: command lines and logs of proxies show URLs.
func (c *Client) request(ctx context.Context, method, path, id string, query url.Values, body io.Reader) (*http.Request, error) {
	target := strings.TrimRight(c.Base, "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if id != "" {
		r.Header.Set("Safe-Data-Map", id)
	}
	if c.Token.Len() > 0 {
		r.Header.Set("Authorization", "Bearer "+string(c.Token.Reveal()))
	}
	return r, nil
}

// do sends a request and gives an answer whose status is one of those wanted; any other is a *Refused.
func (c *Client) do(r *http.Request, wanted ...int) (*http.Response, error) {
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return nil, hideURL(err)
	}
	for _, s := range wanted {
		if resp.StatusCode == s {
			return resp, nil
		}
	}
	defer resp.Body.Close()
	return nil, refused(resp)
}

// hideURL leaves the URL out of an error: it may hold a map.
func hideURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func refused(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem)) // what can be read says enough
	var p struct{ Code, Title, Detail string }
	if json.Unmarshal(text, &p) != nil || p.Code == "" {
		return &Refused{Status: resp.StatusCode, Text: http.StatusText(resp.StatusCode)}
	}
	out := &Refused{Status: resp.StatusCode, Code: p.Code, Text: p.Title}
	if p.Detail != "" {
		out.Text += ": " + p.Detail
	}
	return out
}

// Stored is data that was stored or changed.
type Stored struct {
	Map   string    // its identifier
	JSON  []byte    // the map itself
	Until time.Time // when it is released; zero: never
}

func stored(resp *http.Response) (Stored, error) {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return Stored{}, hideURL(err)
	}
	s := Stored{Map: resp.Header.Get("Safe-Data-Map"), JSON: []byte(strings.TrimSpace(string(text)))}
	if s.Map == "" {
		return s, errors.New("the answer holds no Safe-Data-Map: is this a Direct Data API?")
	}
	if until := resp.Header.Get("Hoft-Data-Until"); until != "" {
		if s.Until, err = http.ParseTime(until); err != nil {
			return s, fmt.Errorf("the answer's Hoft-Data-Until: %w", err)
		}
	}
	return s, nil
}

// Edit writes data over that of a map, or with truncate among the query cuts it; see docs/data-api.md for the query.
func (c *Client) Edit(ctx context.Context, id string, query url.Values, data io.Reader) (Stored, error) {
	r, err := c.request(ctx, http.MethodPost, "/data", id, query, data)
	if err != nil {
		return Stored{}, err
	}
	resp, err := c.do(r, http.StatusOK)
	if err != nil {
		return Stored{}, err
	}
	defer resp.Body.Close()
	return stored(resp)
}

// Delete releases what the token keeps of a map.
func (c *Client) Delete(ctx context.Context, id string) error {
	r, err := c.request(ctx, http.MethodDelete, "/data", id, nil, nil)
	if err != nil {
		return err
	}
	resp, err := c.do(r, http.StatusNoContent)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Stat looks for the data of a map without reading it, and gives its size in bytes.
func (c *Client) Stat(ctx context.Context, id string) (int64, error) {
	r, err := c.request(ctx, http.MethodHead, "/data", id, nil, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return 0, hideURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // HEAD has no body that says why
		return 0, &Refused{Status: resp.StatusCode, Text: map[int]string{404: "some of the data is not here", 400: "the map is malformed",
			401: "a token is needed", 403: "the token may not read"}[resp.StatusCode]}
	}
	return resp.ContentLength, nil
}

// Sent is what a peer says that took data.
type Sent struct {
	Size    int64     `json:"size"`    // bytes of the data
	Fetched int64     `json:"fetched"` // bytes of data in the chunks that travelled
	Until   time.Time `json:"until"`   // how long it is kept there at least
}

// Send has a peer take the data of a map, and returns when it has it.
func (c *Client) Send(ctx context.Context, id, to string) (out Sent, err error) {
	r, err := c.request(ctx, http.MethodPost, "/data/send", id, url.Values{"to": {to}}, nil)
	if err != nil {
		return out, err
	}
	resp, err := c.do(r, http.StatusOK, http.StatusAccepted)
	if err != nil {
		return out, err
	}
	defer func() { resp.Body.Close() }()
	if resp.StatusCode == http.StatusAccepted {
		place := resp.Header.Get("Location")
		if err := c.await(ctx, place); err != nil {
			return out, err
		}
		if r, err = c.request(ctx, http.MethodGet, place+"/response", "", nil, nil); err != nil {
			return out, err
		}
		resp.Body.Close()
		if resp, err = c.do(r, http.StatusOK); err != nil {
			return out, err
		}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(&out); err != nil {
		return out, fmt.Errorf("what the peer says: %w", hideURL(err))
	}
	return out, nil
}

// await asks for the state of what goes on at a site until it has ended.
func (c *Client) await(ctx context.Context, place string) error {
	if !strings.HasPrefix(place, "/") {
		return errors.New("the answer does not say where to ask for its end")
	}
	for {
		r, err := c.request(ctx, http.MethodGet, place, "", nil, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Prefer", "wait=60")
		resp, err := c.do(r, http.StatusOK)
		if err != nil {
			return err
		}
		var state struct {
			Done   bool
			Status string
			Error  *struct{ Code, Title, Detail string }
		}
		err = json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(&state)
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("the state of what goes on: %w", err)
		}
		if state.Done && state.Error != nil {
			return &Refused{Status: resp.StatusCode, Code: state.Error.Code, Text: state.Error.Title + ": " + state.Error.Detail}
		}
		if state.Done {
			return nil
		}
	}
}

// again waits before a transfer goes on that broke off with an error, or gives the error when that is of no use.
// progress says whether it got any further since the last time.
func (c *Client) again(ctx context.Context, tries *int, progress bool, err error) error {
	var no *Refused
	if errors.As(err, &no) && no.Status < 500 || ctx.Err() != nil {
		return err
	}
	if progress {
		*tries = 0
	}
	if *tries++; *tries > c.Retries {
		return err
	}
	select {
	case <-time.After(c.Pause << (*tries - 1)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
