package cmd

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/demo"
	"github.com/hoft/hoft/pkg/pipe/mover"
)

// demoJSON shows the totals alone.
type demoJSON struct{ out, err io.Writer }

func (demoJSON) Begin(demo.Place)         {}
func (demoJSON) Event(demo.Event)         {}
func (s *demoJSON) Totals(t *demo.Totals) { must(printJSON(s.out, t)) }
func (s *demoJSON) Idle(p demo.Place) {
	fmt.Fprintf(s.err, "hoft: the demo stays up at %s, files in %s; press Ctrl-C to end it\n", p.Ingress, p.Dir)
}

// demoScreen shows everything, for people: one line per event, in columns.
type demoScreen struct {
	w        io.Writer
	color    bool
	commands map[string]bool // what other commands there are to look with
	many     bool
	progress time.Duration // when the next line is due, where there are too many events
	ended    int
	right    int
	calls    int
	lost     int
	cut      int
	files    int
}

func newDemoScreen(cmd *cobra.Command) *demoScreen {
	s := &demoScreen{w: cmd.OutOrStdout(), color: colored(cmd, cmd.OutOrStdout()), commands: map[string]bool{}}
	for _, c := range cmd.Root().Commands() {
		s.commands[c.Name()] = true
	}
	return s
}

// SGR codes (ECMA-48 section 8.3.117).
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	violet = "35"
	cyan   = "36"
)

func (s *demoScreen) paint(code, text string) string {
	if !s.color || code == plain {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *demoScreen) say(format string, args ...any) { fmt.Fprintf(s.w, format+"\n", args...) }

// Begin explains what is to be seen.
func (s *demoScreen) Begin(p demo.Place) {
	s.many, s.calls = p.Many, p.Calls
	s.say("%s", s.paint(bold, "Two networks, joined by nothing but files"))
	s.say("")
	s.say("  caller  -->  site-a  ==files==>  mover  ==files==>  site-b  -->  callee")
	s.say("  caller  <--  site-a  <==files==  mover  <==files==  site-b  <--  callee")
	s.say("")
	s.say("  site-a   takes calls in at %s", p.Ingress)
	s.say("  site-b   makes them to an ordinary HTTP server at %s", p.Callee)
	s.say("  mover    carries files from site-a/outbox to site-b/inbox, and from site-b/outbox to site-a/inbox, below")
	s.say("           %s", p.Dir)
	s.say("           Its faults: %s", faultsText(p.Faults))
	s.say("           The same calls and faults again: --seed %d", p.Seed)
	s.say("")
	if p.Many {
		s.say("Making %d calls. That is too much to show each of them.", p.Calls)
		return
	}
	s.say("Making %d calls. The columns: seconds; who; what; what became of it.", p.Calls)
	s.say("")
}

func faultsText(f demo.Faults) string {
	var parts []string
	share := func(p float64, what string) {
		if p > 0 {
			parts = append(parts, fmt.Sprintf("%.3g %% of files %s", 100*p, what))
		}
	}
	share(f.Drop, "lost")
	share(f.Truncate, "cut")
	share(f.Duplicate, "repeated")
	share(f.Reorder, "overtaken")
	share(f.Partial, "shown half-written")
	if f.DelayMax > 0 {
		parts = append(parts, fmt.Sprintf("all up to %v late", f.DelayMax))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// Event prints a line.
func (s *demoScreen) Event(e demo.Event) {
	s.count(e)
	switch {
	case s.many && e.Served == nil:
		s.tick(e.At)
	case e.Call != nil:
		s.call(e.At, e.Call)
	case e.File != nil:
		s.file(e.At, e.File)
	case e.Link != nil:
		s.line(e.At, cyan, e.Link.Site, counted(e.Link.Messages, "message")+" written again", linkReason(e.Link))
	case e.Served != nil:
		s.line(e.At, plain, "callee", e.Served.Method+" "+e.Served.Path, fmt.Sprintf("answered %d", e.Served.Status))
	}
}

func (s *demoScreen) count(e demo.Event) {
	switch {
	case e.Call != nil && e.Call.Ended:
		s.ended++
		if e.Call.Fault == "" {
			s.right++
		}
	case e.File != nil && (e.File.What == mover.Moved || e.File.What == mover.Cut || e.File.What == mover.Lost):
		s.files++
		if e.File.What == mover.Lost {
			s.lost++
		}
		if e.File.What == mover.Cut {
			s.cut++
		}
	}
}

// tick prints how far it is, each second.
func (s *demoScreen) tick(at time.Duration) {
	if at < s.progress {
		return
	}
	s.progress = at.Truncate(time.Second) + time.Second
	s.say("%7.0fs  %d of %d calls answered, %d right; %d files: %d lost, %d cut", at.Seconds(), s.ended, s.calls, s.right, s.files, s.lost, s.cut)
}

// line prints one event; code colours what became of it.
func (s *demoScreen) line(at time.Duration, code, who, what, became string) {
	text := fmt.Sprintf("%8.3f  %-12s %-34s ", at.Seconds(), who, what)
	if code == dim {
		s.say("%s", s.paint(dim, text+became))
		return
	}
	s.say("%s%s", text, s.paint(code, became))
}

func (s *demoScreen) call(at time.Duration, e *demo.CallEvent) {
	q := e.Question
	who, what := fmt.Sprintf("call %d", q.N), q.Method+" "+q.Path
	switch {
	case !e.Ended:
		s.line(at, plain, who, what, "called")
	case e.Lost:
		s.line(at, bold+";"+red, who, what, "NOT ANSWERED: "+e.Fault)
	case e.Fault != "":
		s.line(at, bold+";"+red, who, what, "WRONG: "+e.Fault)
	default:
		became := fmt.Sprintf("%d right, %s after %s", e.Status, bytesText(int64(e.Bytes)), timeText(e.Took))
		if e.Status == http.StatusServiceUnavailable {
			became += " (the callee's own refusal)"
		}
		s.line(at, green, who, what, became)
	}
}

func (s *demoScreen) file(at time.Duration, e *demo.FileEvent) {
	who := strings.TrimPrefix(e.From, "site-") + " -> " + strings.TrimPrefix(e.To, "site-")
	what := fmt.Sprintf("file %d, %s", e.N, bytesText(e.Size))
	code, became := fileText(e)
	s.line(at, code, who, what, became)
}

func fileText(e *demo.FileEvent) (code, text string) {
	switch e.What {
	case mover.Moved:
		return dim, "carried"
	case mover.Lost:
		return red, "LOST"
	case mover.Cut:
		return yellow, "CUT after " + bytesText(e.Came)
	case mover.Repeated:
		return violet, "REPEATED"
	case mover.Delayed:
		return violet, "HELD BACK, later ones overtake it"
	case mover.Half:
		return violet, "SHOWN HALF-WRITTEN, the rest follows"
	case mover.Vanished:
		return dim, "withdrawn by its sender, not needed any more"
	case mover.Failed:
		return red, fmt.Sprintf("not carried: %v", e.Err)
	}
	return plain, e.What
}

func linkReason(e *demo.LinkEvent) string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		text string
	}{{e.Lost, "lost"}, {e.Cut, "cut"}} {
		if p.n > 0 {
			parts = append(parts, counted(p.n, "file")+" "+p.text)
		}
	}
	if e.Timeouts > 0 {
		parts = append(parts, "nothing was heard")
	}
	if len(parts) == 0 {
		return "missing on the other side"
	}
	return strings.Join(parts, ", ")
}

// Totals prints what came of it all.
func (s *demoScreen) Totals(t *demo.Totals) {
	s.say("")
	row := func(name, format string, args ...any) { s.say("  %-12s %s", name, fmt.Sprintf(format, args...)) }
	verdict, code := fmt.Sprintf("All %d answers are right, and nothing was executed twice.", t.Calls), green
	switch {
	case t.Ended < t.Calls:
		verdict, code = fmt.Sprintf("Interrupted after %d of %d calls.", t.Ended, t.Calls), yellow
	case !t.Good():
		verdict, code = "Not everything is right.", bold+";"+red
	case t.Calls == 0:
		verdict, code = "No calls were asked for.", plain
	}
	s.say("%s", s.paint(code, verdict))
	row("calls", "%d in %.1f s: %d right, %d wrong, %d not answered", t.Ended, t.Seconds, t.Right, t.Wrong, t.Lost)
	row("executed", "%d by the callee, %d twice", t.Executions, t.ExecutedTwice)
	r := t.RoundTrip
	row("round trips", "p50 %s, p95 %s, p99 %s, longest %s", msText(r.P50), msText(r.P95), msText(r.P99), msText(r.Max))
	f := t.Files
	row("files", "%d written, %s for bodies of %s", f.Written, bytesText(int64(f.Bytes)), bytesText(t.Bodies.Requests+t.Bodies.Answers))
	row("faults", "%d lost, %d cut, %d repeated, %d overtaken, %d shown half-written", f.Lost, f.Cut, f.Repeated, f.Delayed, f.Half)
	row("resends", "%s; %s found lost, %s found cut, %s", counted(t.Resends.Messages, "message"), counted(t.Resends.FilesLost, "file"),
		counted(t.Resends.FilesCut, "file"), counted(t.Resends.Timeouts, "timeout"))
	for _, p := range t.Problems {
		row("problem", "%s", p)
	}
}

// Idle says what there is to try.
func (s *demoScreen) Idle(p demo.Place) {
	s.say("")
	s.say("%s", s.paint(bold, "It stays up. In another terminal, try:"))
	s.say("")
	s.say("  curl %s/v1/items", p.Ingress)
	s.say("  curl -i --json '{\"id\":7,\"item\":\"tea\",\"quantity\":2}' %s/v1/orders", p.Ingress)
	if s.commands["status"] {
		s.say("  hoft status --config %s", p.ConfigA)
	}
	if s.commands["inspect"] {
		s.say("  hoft inspect --config %s %s/*", p.ConfigB, p.Samples)
	}
	s.say("  ls -R %s", p.Dir)
	s.say("")
	s.say("Your calls and their files are shown here. Press Ctrl-C to end.")
	s.say("")
	s.many = false
}

func counted(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// bytesText gives a size in decimal units, three digits.
func bytesText(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/unit, 0
	for ; v >= 999.5 && i < len(sizeUnits)-1; i++ {
		v /= unit
	}
	return fmt.Sprintf("%.3g %s", v, sizeUnits[i])
}

var sizeUnits = []string{"kB", "MB", "GB", "TB"}

func timeText(d time.Duration) string { return msText(float64(d.Microseconds()) / 1000) }

func msText(ms float64) string {
	if ms < 1000 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f s", ms/1000)
}
