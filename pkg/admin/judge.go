package admin

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

// lateAfter is the silence from which on a peer is late: three heartbeats, or three times the round
// trip that its timers count with, whichever is longer.
func lateAfter(heartbeat, smoothed, variation time.Duration) time.Duration {
	return 3 * max(heartbeat, smoothed+4*variation)
}

// signs is what the state of a peer is told from.
type signs struct {
	now, started, seen time.Time // seen is zero when nothing ever came
	late               time.Duration
	stopped            string // why the link has stopped, "" if it works
	files              node.FileStats
}

// judge gives the state of a peer and, when it is blocked, why.
func judge(s signs) (state, reason string) {
	refused := ""
	if s.files.RefusedRun > 0 {
		refused = "every file that came was refused: " + string(s.files.LastReason)
	}
	switch silent := s.now.Sub(s.seen); {
	case s.stopped != "":
		return StateBlocked, s.stopped
	case s.seen.IsZero() && refused != "":
		return StateBlocked, refused
	case s.seen.IsZero():
		return StateNever, ""
	case silent <= s.late:
		return StateOK, ""
	case refused != "":
		return StateBlocked, refused
	case s.now.Sub(s.started) < s.late:
		return StateWaiting, ""
	}
	return StateLate, ""
}

// maxGaps bounds the gaps that are listed of one peer.
const maxGaps = 64

// gaps lists what is missing between what was received.
func gaps(contig uint64, ooo frame.Ranges) frame.Ranges {
	out := frame.Ranges{}
	from := contig + 1
	for _, r := range ooo {
		if len(out) == maxGaps {
			break
		}
		if r[0] > from {
			out = append(out, frame.Range{from, r[0] - 1})
		}
		from = r[1] + 1
	}
	return out
}

// logOf and clocksOf show a link's state.
func logOf(st link.State) Log {
	return Log{Sent: st.LastID, Acked: st.AckedContig, RecvContiguous: st.Contig, RecvGaps: gaps(st.Contig, st.OOO),
		PeerSent: st.PeerLast, PeerBase: st.PeerBase}
}

func clocksOf(st link.State) Clocks { return Clocks{Epoch: st.Epoch, PeerEpoch: st.PeerEpoch} }

func rttOf(smoothed, variation time.Duration) *RTT {
	return &RTT{Smoothed: smoothed.Seconds(), Variation: variation.Seconds()}
}

func countersOf(s link.Stats) *Counters {
	return &Counters{FilesWritten: s.FilesWritten, FilesRead: s.FilesRead, BytesWritten: s.BytesWritten, BytesRead: s.BytesRead,
		MessagesSent: s.MessagesSent, MessagesReceived: s.MessagesReceived, Duplicates: s.Duplicates, Resent: s.Resent,
		FilesLost: s.FilesLost, FilesCut: s.FilesCut, Spurious: s.Spurious, WrongPair: s.WrongPair, PeerResets: s.PeerResets,
		AckOnly: s.AckOnly, BadAcks: s.BadAcks, Timeouts: s.Timeouts, Forks: s.Forks}
}

func eventsOf(e link.Events) Events {
	return Events{PeerBegan: timeOrNil(e.PeerBegan), PeerDoubled: timeOrNil(e.PeerDoubled), SelfLost: timeOrNil(e.SelfLost), SelfBehind: timeOrNil(e.SelfBehind)}
}

// sealOf gives the word of the configuration.
func sealOf(signed bool) string {
	if signed {
		return SealSigned
	}
	return SealEncrypted
}

// timeOrNil gives nil for the zero time.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// ageOrNil gives the seconds since t, nil for the zero time.
func ageOrNil(now, t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	s := max(now.Sub(t).Seconds(), 0)
	return &s
}
