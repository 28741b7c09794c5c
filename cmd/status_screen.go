package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/frame"
)

// status prints the overview.
func (s *screen) status(st *admin.Status) error {
	s.head(st)
	columns := []column{{"PEER", 0}, {"STATE", 0}, {"LAST SEEN", 0}, {"OUTBOX", 0}, {"IN FLIGHT", 3}, {"RTT", 4}, {"RX / TX", 5}, {"SAFE SIZE", 6}, {"FAULTS", 2}}
	var rows [][]cell
	for i := range st.Peers {
		p := &st.Peers[i]
		rows = append(rows, []cell{{text: p.Name}, s.state(p.State), {text: seen(st, p)}, {text: s.ascii(waiting(p))},
			{text: inFlight(p)}, {text: s.ascii(roundTrip(p))}, {text: traffic(p)}, {text: safeSize(p)}, {text: orDash(faults(p))}})
	}
	if err := s.table(columns, rows); err != nil {
		return err
	}
	if err := s.upstreams(st.Upstreams); err != nil {
		return err
	}
	s.bulk(st.Peers)
	s.chunks(st.Chunks)
	s.calls(st.Exchanges)
	return s.problems(append(slices.Clone(st.Notices), st.Problems...))
}

// head prints the line about the site itself.
func (s *screen) head(st *admin.Status) {
	parts := []string{strings.TrimSpace("hoft " + st.Version), st.Site}
	if st.Running {
		parts = append(parts, "up "+admin.Age(time.Duration(st.UptimeS*float64(time.Second))), strings.Join(st.Roles, "+"))
	} else {
		parts = append(parts, "not running")
	}
	if p := st.Pipe; p != nil {
		how := p.Mode
		if p.Mode == "poll" {
			how = "polling " + admin.Seconds(p.IntervalS)
		}
		parts = append(parts, fmt.Sprintf("pipe %s (%s)", p.Outbox, how))
	}
	parts = append(parts, "db "+admin.Bytes(st.DB.Bytes))
	fmt.Fprintf(s.out, "%s\n\n", s.ascii(strings.Join(parts, " · ")))
}

// state gives the word of a state with its mark; the colour only repeats it.
func (s *screen) state(word string) cell {
	switch word {
	case admin.StateOK:
		return cell{s.either("● ", "") + word, green}
	case admin.StateLate, admin.StateNever:
		return cell{s.either("▲ ", "! ") + word, yellow}
	case admin.StateBlocked:
		return cell{s.either("✗ ", "x ") + word, red}
	}
	return cell{s.either("○ ", "- ") + word, dim}
}

func seen(st *admin.Status, p *admin.Peer) string {
	if p.LastSeen == nil {
		return "never"
	}
	return admin.Age(st.Time.Sub(*p.LastSeen)) + " ago"
}

func waiting(p *admin.Peer) string {
	if p.Outbox.Messages == 0 {
		return "0"
	}
	return fmt.Sprintf("%d · %s", p.Outbox.Messages, admin.Bytes(p.Outbox.Bytes))
}

func roundTrip(p *admin.Peer) string {
	if p.RTT == nil {
		return "-"
	}
	return admin.Seconds(p.RTT.Smoothed) + " ±" + admin.Seconds(p.RTT.Variation)
}

// safeSize is the largest file that the pipe is trusted with.
func safeSize(p *admin.Peer) string {
	if p.Size.Safe == 0 {
		return "-"
	}
	return admin.Bytes(p.Size.Safe)
}

func traffic(p *admin.Peer) string {
	if p.Counters == nil {
		return "-"
	}
	return admin.Bytes(int64(p.Counters.BytesRead)) + " / " + admin.Bytes(int64(p.Counters.BytesWritten))
}

// faults tells what went wrong on the way since the start.
func faults(p *admin.Peer) string {
	var parts []string
	add := func(n uint64, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	if p.Files != nil {
		add(p.Files.Truncated, "truncated")
		for _, r := range slices.Sorted(maps.Keys(p.Files.Refused)) {
			add(p.Files.Refused[r], "bad "+string(r))
		}
	}
	if c := p.Counters; c != nil {
		add(c.FilesLost, "lost")
		add(c.FilesCut, "cut")
	}
	return strings.Join(parts, ", ")
}

// calls prints what is under way, and what went wrong in the last 24 hours.
func (s *screen) calls(x *admin.Exchanges) {
	if x == nil {
		return
	}
	line := func(title string, stages map[string]int) {
		var parts []string
		for _, stage := range []string{"accepted", "queued", "written", "arrived", "calling", "answered", "returned"} {
			if n := stages[stage]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, stage))
			}
		}
		if len(parts) > 0 {
			fmt.Fprintf(s.out, "\n%s: %s", title, strings.Join(parts, ", "))
		}
	}
	line("calls under way", x.Calls)
	line("calls for peers", x.Jobs)
	var wrong []string
	for _, state := range slices.Sorted(maps.Keys(x.Day)) {
		wrong = append(wrong, fmt.Sprintf("%d %s", x.Day[state], state))
	}
	if len(wrong) > 0 {
		fmt.Fprintf(s.out, "\nin the last 24 hours: %s", strings.Join(wrong, ", "))
	}
	if len(wrong)+len(x.Calls)+len(x.Jobs) > 0 {
		fmt.Fprintln(s.out)
	}
}

// problems prints one line each, with the command to run next at its end.
func (s *screen) problems(list []admin.Problem) error {
	for i, p := range list {
		if i == 0 {
			fmt.Fprintln(s.out)
		}
		who := ""
		if p.Peer != "" {
			who = p.Peer + ": "
		}
		color := yellow
		if p.Level == admin.LevelCritical {
			color = red
		}
		text := s.ascii(p.Text)
		if !strings.HasSuffix(text, "?") {
			text += "."
		}
		if _, err := fmt.Fprintf(s.out, "%s %s%s Next: %s\n", s.paint(color, "!"), who, text, p.Hint+s.same(p.Hint)); err != nil {
			return err
		}
	}
	return nil
}

// peer prints everything about one link.
func (s *screen) peer(st *admin.Status, p *admin.Peer) error {
	s.head(st)
	list := [][2]string{{"peer", p.Name + " · " + p.ID}, {"state", s.state(p.State).text}}
	add := func(name, format string, args ...any) {
		list = append(list, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if p.Reason != "" {
		add("reason", "%s", p.Reason)
	}
	add("last seen", "%s", seen(st, p))
	if p.LateS > 0 {
		add("late after", "%s of silence", admin.Age(time.Duration(p.LateS*float64(time.Second))))
	}
	add("outbox", "%s", s.outboxText(p))
	add("in flight", "%s", flight(st, p))
	add("round trip", "%s", roundTrip(p))
	add("safe size", "%s", sizeText(p))
	add("sent", "ids to %d, acknowledged to %d", p.Log.Sent, p.Log.Acked)
	add("received", "ids to %d, gaps %s; the peer sent to %d and knows of our acks below %d", p.Log.RecvContiguous, gapText(p.Log.RecvGaps), p.Log.PeerSent, p.Log.PeerBase)
	add("epochs", "own %s, peer %s", epoch(p.Clocks.Epoch), epoch(p.Clocks.PeerEpoch))
	if len(p.Caps) > 0 {
		add("takes", "%s", strings.Join(p.Caps, " "))
	}
	if c := p.Counters; c != nil {
		add("since start", "%d files and %s written, %d files and %s read", c.FilesWritten, admin.Bytes(int64(c.BytesWritten)), c.FilesRead, admin.Bytes(int64(c.BytesRead)))
		add("", "%d messages sent, %d sent again, %d received, %d received again", c.MessagesSent, c.Resent, c.MessagesReceived, c.Duplicates)
		add("", "%d files only with acks, %d of another epoch, %d timeouts, %d spurious losses", c.AckOnly, c.WrongPair, c.Timeouts, c.Spurious)
	}
	add("faults", "%s", orDash(faults(p)))
	if p.SetAside > 0 {
		add("set aside", "%d messages that could not be handled", p.SetAside)
	}
	if p.WriteError != "" {
		add("writing", "%s", p.WriteError)
	}
	if err := s.facts(list); err != nil {
		return err
	}
	return s.problems(st.Problems)
}

func (s *screen) outboxText(p *admin.Peer) string {
	text := waiting(p)
	if p.Outbox.OldestS != nil {
		text += ", the oldest for " + admin.Seconds(*p.Outbox.OldestS)
	}
	if p.Outbox.Full {
		text += "; full, new calls are refused"
	}
	return text
}

// inFlight counts files; of those that wait for the mover it says so.
func inFlight(p *admin.Peer) string {
	if n := p.InFlight.Waiting; n > 0 {
		return fmt.Sprintf("%d (%d waiting)", p.InFlight.Files, n)
	}
	return fmt.Sprint(p.InFlight.Files)
}

// sizeText says what was learned of the sizes that the pipe carries.
func sizeText(p *admin.Peer) string {
	text := safeSize(p)
	if p.Size.CutAt > 0 {
		text += fmt.Sprintf(", larger files are cut at %d bytes or lost", p.Size.CutAt)
	}
	return text
}

func flight(st *admin.Status, p *admin.Peer) string {
	text := fmt.Sprintf("%d files", p.InFlight.Files)
	if n := p.InFlight.Waiting; n > 0 {
		text += fmt.Sprintf(", %d waiting for the mover", n)
		if at := p.InFlight.WaitingSince; at != nil {
			text += " for " + admin.Age(st.Time.Sub(*at))
		}
	}
	if next := p.InFlight.NextResend; next != nil {
		text += ", next resend in " + admin.Age(next.Sub(st.Time))
	}
	return text
}

func gapText(gaps frame.Ranges) string {
	var parts []string
	for _, g := range gaps {
		parts = append(parts, fmt.Sprintf("%d-%d", g[0], g[1]))
	}
	return orDash(strings.Join(parts, " "))
}

// epoch shows a clock with the time that it was taken from.
func epoch(ms uint64) string {
	if ms == 0 {
		return "not known yet"
	}
	return fmt.Sprintf("%d (%s)", ms, time.UnixMilli(int64(ms)).UTC().Format(time.DateTime))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
