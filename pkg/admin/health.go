package admin

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Outcomes of a check.
const (
	checkPass = "pass"
	checkWarn = "warn" // works, less well than usual: still ready
	checkFail = "fail"
)

// Health is the answer of /.hoft/livez and /.hoft/readyz.
type Health struct {
	Status string  `json:"status"` // the worst of the checks
	Checks []Check `json:"checks,omitempty"`
}

// Check is one thing looked at.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (h *Health) add(name, status, detail string) {
	h.Checks = append(h.Checks, Check{name, status, detail})
	if status == checkFail || h.Status != checkFail && status == checkWarn {
		h.Status = status
	}
}

// Live says whether the site's loop answers.
func (m *Monitor) Live(ctx context.Context) *Health {
	h := &Health{Status: checkPass}
	if _, err := m.lookLinks(ctx); err != nil {
		h.add("loop", checkFail, err.Error())
		return h
	}
	h.add("loop", checkPass, "")
	return h
}

// Ready says whether the site can take calls: its state is loaded and can be written, its keys are
// loaded, its folders can be used and were looked at once. A silent peer is a warning.
func (m *Monitor) Ready(ctx context.Context) *Health {
	h := &Health{Status: checkPass}
	h.add("keys", checkPass, fmt.Sprintf("own and of %d peers", len(m.site.Peers)))
	select {
	case <-m.site.Loop.Ready():
		h.add("start", checkPass, "")
	default:
		h.add("start", checkFail, "the inbox was not looked at yet")
	}
	in, err := m.lookLinks(ctx)
	if err != nil {
		h.add("loop", checkFail, err.Error())
		return h
	}
	h.add("loop", checkPass, "")
	if in.failing.IsZero() {
		h.add("store", checkPass, "")
	} else {
		h.add("store", checkFail, "commits fail since "+in.failing.UTC().Format(time.RFC3339))
	}
	m.readyPipe(ctx, h, in.peers)
	readyPeers(h, in.peers)
	return h
}

func (m *Monitor) readyPipe(ctx context.Context, h *Health, peers []Peer) {
	p, err := m.lookFolders(ctx)
	if err != nil {
		h.add("pipe", checkFail, err.Error())
		return
	}
	var wrong []string
	if p.ScanError != "" {
		wrong = append(wrong, p.ScanError)
	}
	for _, peer := range peers {
		if peer.WriteError != "" {
			wrong = append(wrong, peer.WriteError)
		}
	}
	switch {
	case len(wrong) > 0:
		h.add("pipe", checkFail, strings.Join(wrong, "; "))
	case p.TotalBytes > 0 && float64(p.FreeBytes) < minFree*float64(p.TotalBytes):
		h.add("pipe", checkWarn, Bytes(int64(p.FreeBytes))+" left on the disk of the outbox")
	default:
		h.add("pipe", checkPass, "")
	}
}

// readyPeers never fails: calls to a silent peer are accepted and queued.
func readyPeers(h *Health, peers []Peer) {
	for _, p := range peers {
		switch p.State {
		case StateOK, StateWaiting:
			h.add("peer "+p.Name, checkPass, "")
		case StateBlocked:
			h.add("peer "+p.Name, checkWarn, p.State+": "+p.Reason)
		default:
			h.add("peer "+p.Name, checkWarn, p.State)
		}
	}
}

// serveHealth answers with 200, or 503 when the check fails; checks are listed only for ?verbose.
func serveHealth(look func(context.Context) *Health) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := look(r.Context())
		code := http.StatusOK
		if h.Status == checkFail {
			code = http.StatusServiceUnavailable
		}
		if !r.URL.Query().Has("verbose") {
			h = &Health{Status: h.Status}
		}
		writeJSON(w, code, h)
	}
}
