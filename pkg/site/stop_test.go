package site_test

import (
	"io"
	"net/http"
	"testing"
)

// A site that is stopped in order in the middle of an answer cuts its caller's connection, and the call goes on: when the site runs
// again, the whole answer is stored.
func TestStopInTheMiddleOfAnAnswer(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.callee.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write([]byte("beginning, "))
		_ = http.NewResponseController(rw).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = rw.Write([]byte("end"))
	})
	s, stop := launch(t, w.configA())
	launch(t, w.configB())
	resp, err := http.Post("http://"+s.Addr().String()+"/x", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 11)); err != nil {
		t.Fatal(err)
	}
	stop()
	if rest, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a cut answer looks whole: %q", rest)
	}
	s, _ = launch(t, w.configA())
	close(release)
	where := "/.hoft/v1/exchanges/" + resp.Header.Get("Hoft-Exchange") + "/response"
	got, body := request(t, "http://"+s.Addr().String(), http.MethodGet, where, nil, "Prefer", "wait=60")
	if got.StatusCode != http.StatusOK || string(body) != "beginning, end" {
		t.Errorf("%s, %q", got.Status, body)
	}
}
