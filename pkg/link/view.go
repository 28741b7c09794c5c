package link

import "time"

// NextResend is when the oldest file in transit is written again although nothing says that it is
// lost; zero: nothing waits for that.
func (l *Link) NextResend() time.Time {
	at, _ := l.probeAt()
	return at
}

// Events tells what happened to the state of either side in this run.
func (l *Link) Events() Events { return l.events }

// WriteFailures is how many writes to this peer failed in a row; 0: the last one succeeded.
func (l *Link) WriteFailures() int { return l.failures }

// Met says whether the peer has compared what this run has without finding that it knows a later life of this site:
// our state is no older copy of what it was.
func (l *Link) Met() bool { return l.met }

// PeerFull says that the peer takes nothing but its lowest missing messages for now.
func (l *Link) PeerFull() bool { return l.peerFull }

// Sizes is what a link keeps at present, each bounded by Config.
type Sizes struct {
	Window int    // messages in memory that are not acked
	Bytes  int    // their bytes
	Files  int    // own files with messages, also those that are given up
	Ranges int    // of ids received out of order
	Full   bool   // no new range is taken
	Fork   bool   // the peer is told that its state is doubled or was set back
	Base   uint64 // the lowest id that the peer still holds, as it said last
}

// Sizes gives what the link keeps.
func (l *Link) Sizes() Sizes {
	return Sizes{Window: len(l.items), Bytes: l.winBytes, Files: l.withMessages(), Ranges: len(l.st.OOO), Full: l.full, Fork: l.fork, Base: l.peerBase}
}
