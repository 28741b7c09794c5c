package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
)

// ErrNotRunning says that no site answers at the control socket of a state folder.
var ErrNotRunning = errors.New("no site runs on this state folder")

// maxAnswer bounds what is read from a site, in bytes.
const maxAnswer = 64 << 20

// Ask asks the running site of a state folder for its status: ErrNotRunning when there is none.
func Ask(ctx context.Context, stateDir string) (*Status, error) {
	var st Status
	if err := Do(ctx, stateDir, http.MethodGet, PathStatus, &st); err != nil {
		return nil, err
	}
	if st.Schema != Schema {
		return nil, fmt.Errorf("the site speaks %q, this command %q: use the hoft that the site runs", st.Schema, Schema)
	}
	return &st, nil
}

// Refused is what a running site answered instead of doing it.
type Refused struct {
	Status int    // HTTP
	Code   string // CodeUnknown and the like, "" for none
	Text   string
}

func (r *Refused) Error() string { return r.Text }

// Do asks the running site of a state folder by its control socket; path may have a query. The answer is read into out.
// ErrNotRunning says that no site runs, a *Refused that it would not.
func Do(ctx context.Context, stateDir, method, path string, out any) error {
	abs, err := filepath.Abs(stateDir)
	if err != nil {
		return err
	}
	socket := socketPath(abs)
	if len(socket) > maxSocketPath { // a running site would have noted a shorter one
		return ErrNotRunning
	}
	client := &http.Client{Timeout: 4 * patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://hoft"+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), nobodyListens(err):
		return ErrNotRunning
	case err != nil:
		return fmt.Errorf("ask the site at %s: %w", socket, err)
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode/100 != 2 {
		var said failure
		if json.NewDecoder(body).Decode(&said) != nil || said.Error == "" {
			said.Error = "the site answers " + resp.Status
		}
		return &Refused{resp.StatusCode, said.Code, said.Error}
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("read the site's answer: %w", err)
	}
	return nil
}
