package admin

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/seal"
)

var at = time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	bad := node.FileStats{Quarantined: 3, RefusedRun: 3, LastReason: seal.Signature}
	for _, c := range []struct {
		name          string
		up, silent    time.Duration // silent below 0: never seen
		stopped       string
		files         node.FileStats
		state, reason string
	}{
		{"heard of just now", time.Hour, time.Second, "", node.FileStats{}, StateOK, ""},
		{"at the limit", time.Hour, time.Minute, "", node.FileStats{}, StateOK, ""},
		{"silent", time.Hour, time.Minute + 1, "", node.FileStats{}, StateLate, ""},
		{"silent, just started", time.Second, 5 * time.Hour, "", node.FileStats{}, StateWaiting, ""},
		{"never", time.Hour, -1, "", node.FileStats{}, StateNever, ""},
		{"refused at first contact", time.Hour, -1, "", bad, StateBlocked, "every file that came was refused: signature"},
		{"refused since long", time.Hour, 2 * time.Hour, "", bad, StateBlocked, "every file that came was refused: signature"},
		{"somebody forges, the peer is there", time.Hour, time.Second, "", bad, StateOK, ""},
		{"good again", time.Hour, time.Hour, "", node.FileStats{Quarantined: 3, LastReason: seal.Name}, StateLate, ""},
		{"stopped", time.Hour, time.Second, "two copies", node.FileStats{}, StateBlocked, "two copies"},
	} {
		s := signs{now: at, started: at.Add(-c.up), late: time.Minute, stopped: c.stopped, files: c.files}
		if c.silent >= 0 {
			s.seen = at.Add(-c.silent)
		}
		if state, reason := judge(s); state != c.state || reason != c.reason {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, state, reason, c.state, c.reason)
		}
	}
}

func TestLateAfter(t *testing.T) {
	if got := lateAfter(time.Minute, time.Second, time.Second); got != 3*time.Minute {
		t.Errorf("three heartbeats: %v", got)
	}
	if got := lateAfter(time.Minute, time.Hour, 15*time.Minute); got != 6*time.Hour {
		t.Errorf("three long round trips: %v", got)
	}
}

func TestGaps(t *testing.T) {
	for _, c := range []struct {
		contig uint64
		ooo    frame.Ranges
		want   frame.Ranges
	}{
		{7, nil, frame.Ranges{}},
		{7710, frame.Ranges{{7712, 7713}}, frame.Ranges{{7711, 7711}}},
		{0, frame.Ranges{{5, 6}, {9, 9}}, frame.Ranges{{1, 4}, {7, 8}}},
	} {
		if d := cmp.Diff(c.want, gaps(c.contig, c.ooo)); d != "" {
			t.Errorf("after %d %v: %s", c.contig, c.ooo, d)
		}
	}
	var many frame.Ranges
	for i := uint64(1); i <= 500; i++ {
		many = append(many, frame.Range{2 * i, 2 * i})
	}
	if got := gaps(0, many); len(got) != maxGaps {
		t.Errorf("%d gaps listed", len(got))
	}
}

func TestTexts(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Hour: "0s", 400 * time.Millisecond: "0s", 4 * time.Second: "4s", 65 * time.Second: "1m5s",
		2 * time.Minute: "2m", 131 * time.Minute: "2h11m", 76 * time.Hour: "3d4h", 48 * time.Hour: "2d"} {
		if got := Age(d); got != want {
			t.Errorf("Age(%v) = %s, want %s", d, got, want)
		}
	}
	for s, want := range map[float64]string{0.00034: "340µs", 0.0127: "12ms", 3.14: "3.1s", 6000: "1h40m"} {
		if got := Seconds(s); got != want {
			t.Errorf("Seconds(%v) = %s, want %s", s, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 512: "512 B", 1000: "1.0 KiB", 4096: "4.0 KiB", 18 << 20: "18 MiB", 1288490188: "1.2 GiB", 1 << 50: "1024 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
}
