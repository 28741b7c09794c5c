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

// PeerFull says that the peer takes nothing but its lowest missing messages for now.
func (l *Link) PeerFull() bool { return l.peerFull }
