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
	"time"
)

// ErrNotRunning says that no site answers at the control socket of a state folder.
var ErrNotRunning = errors.New("no site runs on this state folder")

// maxAnswer bounds what is read from a site, in bytes.
const maxAnswer = 64 << 20

// Ask asks the running site of a state folder for its status: ErrNotRunning when there is none.
func Ask(ctx context.Context, stateDir string) (*Status, error) {
	abs, err := filepath.Abs(stateDir)
	if err != nil {
		return nil, err
	}
	path := socketPath(abs)
	if len(path) > maxSocketPath { // a running site would have noted a shorter one
		return nil, ErrNotRunning
	}
	client := &http.Client{Timeout: 4 * patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
		}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hoft"+PathStatus, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), nobodyListens(err):
		return nil, ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("ask the site at %s: %w", path, err)
	}
	defer resp.Body.Close()
	return readStatus(resp)
}

func readStatus(resp *http.Response) (*Status, error) {
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode != http.StatusOK {
		var said struct {
			Error string `json:"error"`
		}
		_ = json.NewDecoder(body).Decode(&said) // what is said without it is the status code
		return nil, fmt.Errorf("the site answers %s: %s", resp.Status, said.Error)
	}
	var st Status
	if err := json.NewDecoder(body).Decode(&st); err != nil {
		return nil, fmt.Errorf("read the site's answer: %w", err)
	}
	if st.Schema != Schema {
		return nil, fmt.Errorf("the site speaks %q, this command %q: use the hoft that the site runs", st.Schema, Schema)
	}
	return &st, nil
}
