package admin

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/seal"
)

// minFree is the share of free room in the outbox below which it is a problem.
const minFree = 0.1

// diagnose fills in Problems and Healthy from the rest.
func (s *Status) diagnose() {
	s.Problems = []Problem{}
	s.diagnoseStore()
	s.diagnoseChunks()
	s.diagnosePipe()
	for i := range s.Peers {
		s.diagnosePeer(&s.Peers[i])
	}
	s.diagnoseCalls()
	s.diagnoseUpstreams()
	if n := s.CallbacksDead; n > 0 {
		s.add("callbacks-given-up", LevelWarn, "", "hoft status --callbacks", "%s given up", count(uint64(n), "callback was", "callbacks were"))
	}
	s.Healthy = len(s.Problems) == 0
}

func (s *Status) add(code, level, peer, hint, format string, args ...any) {
	s.Problems = append(s.Problems, Problem{Code: code, Level: level, Peer: peer, Text: fmt.Sprintf(format, args...), Hint: hint})
}

func (s *Status) diagnoseStore() {
	if !s.Running {
		s.add("not-running", LevelCritical, "", "hoft serve", "the site does not run; this is its stored state")
	}
	if at := s.DB.FailingSince; at != nil {
		s.add("store-failing", LevelCritical, "", diskCommand(s.StateDir),
			"nothing can be stored for %s, so nothing is accepted or acknowledged: free space on the disk of the state folder", Age(s.Time.Sub(*at)))
	}
}

func (s *Status) diagnosePipe() {
	p := s.Pipe
	if p == nil {
		return
	}
	if p.ScanError != "" {
		s.add("inbox-unreadable", LevelCritical, "", listCommand(p.Inbox), "the inbox cannot be read: %s", p.ScanError)
	}
	if p.TotalBytes > 0 && float64(p.FreeBytes) < minFree*float64(p.TotalBytes) {
		s.add("outbox-low", LevelWarn, "", diskCommand(p.Outbox), "the disk of the outbox has %s left", Bytes(int64(p.FreeBytes)))
	}
	if n := p.Skipped[pipe.SkipOverflow]; n > 0 {
		s.add("inbox-crowded", LevelCritical, "", listCommand(p.Inbox), "%s not read, because more lie there than hoft keeps track of: remove what is older than a day",
			count(uint64(n), "file of the inbox is", "files of the inbox are"))
	}
	if p.Stuck > 0 {
		s.add("inbox-stuck", LevelWarn, "", listCommand(p.Inbox), "%d handled files cannot be removed from the inbox", p.Stuck)
	}
}

func (s *Status) diagnosePeer(p *Peer) {
	details := "hoft status " + p.Name
	if p.Seal == SealSigned {
		s.Notices = append(s.Notices, Problem{Code: "readable", Level: LevelNotice, Peer: p.Name, Hint: "hoft config show",
			Text: "seal: signed: whoever reaches the pipe's folders can read every call to and from it"})
	}
	if p.WriteError != "" {
		s.add("outbox-unwritable", LevelCritical, p.Name, listCommand(s.outbox()), "files for it cannot be written: %s", p.WriteError)
	}
	if p.State == StateBlocked && p.Files != nil && p.Files.RefusedRun > 0 && p.Files.LastReason == seal.Mode {
		s.add("seal-mismatch", LevelCritical, p.Name, s.inspectHint(p, details), "%s", mixedText(p.Seal))
		return
	}
	switch p.State {
	case StateBlocked:
		s.add("peer-blocked", LevelCritical, p.Name, s.blockedHint(p), "%s", p.Reason)
	case StateNever:
		s.add("peer-never", LevelWarn, p.Name, "hoft keys verify "+p.Name, "nothing has ever come; %s", cmp.Or(s.strangers(), "does the other side run, and the mover?"))
	case StateLate:
		text, strangers := s.lateText(p), s.strangers()
		if strangers != "" {
			text, details = text+"; "+strangers, "hoft keys verify "+p.Name
		}
		s.add("peer-late", LevelWarn, p.Name, details, "%s", text)
	case StateOK:
		if n := refused(p); n > 0 {
			s.add("files-refused", LevelWarn, p.Name, s.inspectHint(p, details), "%s since the start: %s", count(n, "file was refused", "files were refused"), refusals(p))
		}
	}
	if p.Mistakes > 0 {
		s.add("bad-messages", LevelWarn, p.Name, details, "%s since the start could not be used: malformed, about calls of others, or beyond limits.peer_stored; is its version right, and is it still to be trusted?",
			count(p.Mistakes, "message of it", "messages of it"))
	}
	if p.Outbox.Full {
		s.add("outbox-full", LevelCritical, p.Name, details, "%s wait, new calls are refused", count(uint64(p.Outbox.Messages), "message", "messages"))
	}
	if p.SetAside > 0 {
		s.add("set-aside", LevelWarn, p.Name, "hoft explain "+exchange.CodePoison, "%s could not be handled; report this with the log",
			count(uint64(p.SetAside), "message", "messages"))
	}
	if at := p.InFlight.WaitingSince; at != nil && s.Time.Sub(*at).Seconds() > max(p.LateS, 1) {
		s.add("mover-waits", LevelWarn, p.Name, listCommand(s.outbox()), "%s for %s in the outbox and nobody takes them; does the mover run?",
			count(uint64(p.InFlight.Waiting), "file has lain", "files have lain"), Age(s.Time.Sub(*at)))
	}
	s.diagnoseState(p, details)
}

// tellFor is how long something that happened once is told as a problem.
const tellFor = 24 * time.Hour

// diagnoseState tells what happened to the state of either side. Each mends itself; what was under way may have ended uncertain.
func (s *Status) diagnoseState(p *Peer, details string) {
	tell := func(at *time.Time, code, text string) {
		if at != nil && s.Time.Sub(*at) < tellFor {
			s.add(code, LevelWarn, p.Name, details, "%s ago "+text, Age(s.Time.Sub(*at)))
		}
	}
	e := p.Events
	tell(e.PeerDoubled, "peer-doubled", "two lives of it were seen: a copy of it runs, or its state was set back; it has been told to begin anew")
	tell(e.PeerBegan, "peer-began-anew", "it began anew: its state was lost, restored or doubled; calls that may not be made twice ended uncertain")
	tell(e.SelfLost, "state-lost", "the peer was found to know an earlier life of this site, whose state is gone; the link began anew")
	tell(e.SelfBehind, "state-behind", "the peer was found to know more of this site than the site itself: its state is an older copy, or a second copy runs; the link began anew")
}

// strangers tells of files that are addressed to this site by sites that are no peers, "" if there are none. Other tenants of the
// folder may write such ones, so they are a sign only where a peer is missed.
func (s *Status) strangers() string {
	if s.Pipe == nil || s.Pipe.Skipped[pipe.SkipStranger] == 0 {
		return ""
	}
	return fmt.Sprintf("but %s for this site, of a site that is no peer: has the other side new keys, or another identity?",
		count(uint64(s.Pipe.Skipped[pipe.SkipStranger]), "file lies in the inbox", "files lie in the inbox"))
}

// mixedText says what to do about a peer whose files are sealed in the other way.
func mixedText(own string) string {
	theirs := SealSigned
	if own == SealSigned {
		theirs = SealEncrypted
	}
	return fmt.Sprintf("its files are %s and this site has seal: %s for it, so all of them are refused: set the same seal at both sites and restart", theirs, own)
}

func (s *Status) outbox() string {
	if s.Pipe == nil {
		return s.StateDir
	}
	return s.Pipe.Outbox
}

// lateText says what a late peer holds up, and when something happens next.
func (s *Status) lateText(p *Peer) string {
	text := "nothing came for " + Age(s.Time.Sub(*p.LastSeen))
	if p.RTT != nil {
		text += ", usual round trip " + Seconds(p.RTT.Smoothed)
	}
	if p.Outbox.Messages > 0 {
		text += fmt.Sprintf("; %s", count(uint64(p.Outbox.Messages), "message waits", "messages wait"))
		if p.Outbox.OldestS != nil {
			text += ", the oldest for " + Seconds(*p.Outbox.OldestS)
		}
	}
	if next := p.InFlight.NextResend; next != nil && next.After(s.Time) {
		text += "; next resend in " + Age(next.Sub(s.Time))
	}
	return text
}

// blockedHint names what to do about a peer from which nothing can be taken.
func (s *Status) blockedHint(p *Peer) string {
	if p.Files == nil || p.Files.RefusedRun == 0 {
		return "hoft status " + p.Name
	}
	switch p.Files.LastReason {
	case "signature", "decrypt":
		return "hoft keys verify " + p.Name
	}
	return s.inspectHint(p, "hoft status "+p.Name)
}

// inspectHint names the newest refused file of a peer, or gives other.
func (s *Status) inspectHint(p *Peer, other string) string {
	dir := quarantineDir(s.StateDir)
	entries, err := os.ReadDir(dir) // sorted, and names begin with the time
	if err != nil {
		return other
	}
	for _, e := range slices.Backward(entries) {
		if strings.Contains(e.Name(), "--"+p.ID+"--") {
			return "hoft inspect " + filepath.Join(dir, e.Name())
		}
	}
	return other
}

func (s *Status) diagnoseCalls() {
	x := s.Exchanges
	if x == nil || x.Day[exchange.StateUncertain] == 0 {
		return
	}
	hint := "hoft explain " + exchange.CodeUncertain
	if len(x.Uncertain) > 0 {
		hint = "hoft inspect " + x.Uncertain[0]
	}
	s.add("calls-uncertain", LevelWarn, "", hint, "%s in the last 24 hours with nobody knowing whether the server acted",
		count(uint64(x.Day[exchange.StateUncertain]), "call ended", "calls ended"))
}

func refused(p *Peer) (n uint64) {
	if p.Files == nil {
		return 0
	}
	return p.Files.Quarantined
}

// refusals lists reasons with their numbers, most frequent first.
func refusals(p *Peer) string {
	reasons := slices.Collect(maps.Keys(p.Files.Refused))
	slices.SortFunc(reasons, func(a, b seal.Reason) int {
		if d := int(p.Files.Refused[b]) - int(p.Files.Refused[a]); d != 0 {
			return d
		}
		return strings.Compare(string(a), string(b))
	})
	parts := make([]string, len(reasons))
	for i, r := range reasons {
		parts[i] = fmt.Sprintf("%d %s", p.Files.Refused[r], r)
	}
	return strings.Join(parts, ", ")
}

func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(n, 10) + " " + many
}

// listCommand and diskCommand are what an operator runs to see a folder's owner and mode, and its room.
func listCommand(dir string) string {
	if runtime.GOOS == "windows" {
		return "icacls " + dir
	}
	return "ls -la " + dir
}

func diskCommand(dir string) string {
	if runtime.GOOS == "windows" {
		return "dir " + dir
	}
	return "df -h " + dir
}

// Age tells a duration in at most two units: 4s, 1m5s, 2h11m, 3d4h. Below a second it is 0s.
func Age(d time.Duration) string {
	d = max(d, 0)
	unit := func(big, small time.Duration, b, s string) string {
		text := strconv.FormatInt(int64(d/big), 10) + b
		if rest := d % big / small; rest > 0 {
			text += strconv.FormatInt(int64(rest), 10) + s
		}
		return text
	}
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return unit(day, time.Hour, "d", "h")
	case d >= time.Hour:
		return unit(time.Hour, time.Minute, "h", "m")
	case d >= time.Minute:
		return unit(time.Minute, time.Second, "m", "s")
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// Seconds tells a duration given in seconds as people measure round trips: 340µs, 12ms, 3.1s, 1h40m.
func Seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + "µs"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return Age(d)
}

// Bytes tells a size in the largest binary unit that leaves a number of one to three digits: 512 B, 4.0 KiB, 18 MiB.
func Bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i == 0 || f >= 9.95 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
