package cmd

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/admin/inspect"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
)

const clock = "2006-01-02 15:04:05.000Z"

// file prints what is known of a file: about itself first, then line by line.
func (s *screen) file(f *inspect.File, now time.Time) error {
	list := [][2]string{{"file", printable(f.Path)}, {"size", fmt.Sprintf("%s, changed %s", admin.Bytes(f.Bytes), f.Modified.Format(clock))}}
	if n := f.Name; n != nil {
		list = append(list, [2]string{"name", fmt.Sprintf("%s → %s, number %d%s", n.Sender, n.Recipient, n.Seq, n.Ext)})
		if q := n.Quarantined; q != nil {
			list = append(list, [2]string{"set aside", fmt.Sprintf("%s, refused: %s", q.At.Format(clock), q.Reason)})
		}
		if n.Odd != "" {
			list = append(list, [2]string{"odd name", n.Odd})
		}
	}
	marks := map[string]string{inspect.Whole: s.either("✓ ", ""), inspect.Partly: s.either("▲ ", "! "), inspect.NoKeys: s.either("○ ", "? "), inspect.Refused: s.either("✗ ", "x ")}
	colors := map[string]string{inspect.Whole: green, inspect.Partly: yellow, inspect.Refused: red}
	list = append(list, [2]string{"verdict", s.paint(colors[f.Verdict], marks[f.Verdict]) + f.Text})
	if f.Next != "" {
		list = append(list, [2]string{"next", f.Next + s.same(f.Next)})
	}
	if err := s.facts(list); err != nil {
		return err
	}
	if f.Sent != nil {
		s.sent(f.Sent)
	}
	for i := range f.Lines {
		s.line(i, &f.Lines[i], now)
	}
	return nil
}

// say prints one indented line.
func (s *screen) say(indent int, format string, args ...any) {
	fmt.Fprintf(s.out, "%s%s\n", strings.Repeat("  ", indent), s.ascii(fmt.Sprintf(format, args...)))
}

func (s *screen) sent(x *inspect.Sent) {
	s.say(0, "")
	s.say(0, "written %s, %s, %s; messages %s", x.At.UTC().Format(clock), admin.Bytes(x.Bytes), x.State, idsText(x.IDs))
	for _, h := range x.Held {
		text := fmt.Sprintf("#%d  %s  %s, not acknowledged since %s", h.ID, h.Kind, admin.Bytes(int64(h.Bytes)), h.Created.Format(clock))
		if h.Exchange != "" {
			text += ", exchange " + h.Exchange
		}
		s.say(1, "%s", text)
	}
}

func (s *screen) line(i int, l *inspect.Line, now time.Time) {
	s.say(0, "")
	head := fmt.Sprintf("line %d  %s", i+1, admin.Bytes(int64(l.Bytes)))
	if l.Signed {
		head += "  signed, not encrypted"
	}
	if l.Alg != "" {
		head += fmt.Sprintf("  JWE %s %s, sealed to %s%s", l.Alg, l.Enc, l.Kid, ofWhom(l.SealedTo))
	}
	s.say(0, "%s", head)
	if l.SigKid != "" {
		s.say(1, "JWS %s by %s", l.SigAlg, l.SigKid)
	}
	switch {
	case l.Verified:
		s.say(1, "%s", s.paint(green, s.either("✓ ", "")+"verified"))
	case l.Cut:
		s.say(1, "%s", s.paint(yellow, s.either("▲ ", "! ")+"cut: no whole line"))
	case l.Failed != nil:
		s.say(1, "%s check %d (%s): %s", s.paint(red, s.either("✗", "x")), l.Failed.Check, l.Failed.Reason, l.Failed.Detail)
	}
	if c := l.Claims; c != nil {
		s.claims(c, now)
	}
}

func ofWhom(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

func (s *screen) claims(c *inspect.Claims, now time.Time) {
	when := admin.Age(now.Sub(c.Sent)) + " ago"
	if c.AheadS > 0 {
		when = "in the future: the sender's clock is ahead by at least " + admin.Seconds(c.AheadS)
	}
	last := ""
	if c.Fin {
		last = ", the last"
	}
	s.say(1, "from %s to %s, idx %d of file %d%s, sent %s (%s), nonce %s", c.Iss, c.Aud, c.Idx, c.Seq, last, c.Sent.Format(time.DateTime+"Z"), when, c.Jti)
	s.say(1, "epochs %d for %d; holds ids from %d", c.Ep, c.Pep, c.Base)
	if c.Ack != nil && c.Last != nil {
		text := fmt.Sprintf("sent ids to %d; received to %d", *c.Last, c.Ack.Contig)
		if len(c.Ack.OOO) > 0 {
			text += " and " + idsText(c.Ack.OOO)
		}
		if c.Ack.Full {
			text += ", takes only the lowest now"
		}
		s.say(1, "%s", text)
	}
	if c.Rx != nil && c.Rx.Top > 0 {
		s.say(1, "saw files to %d (%d ms before), whole %d, cut %d", c.Rx.Top, c.Rx.Dly, c.Rx.Seen.Count(), len(c.Rx.Cut))
	}
	if len(c.Caps) > 0 {
		s.say(1, "hello: takes %s", strings.Join(c.Caps, " "))
	}
	if c.Fork {
		s.say(1, "says that two copies of the recipient run")
	}
	for i := range c.Messages {
		s.message(&c.Messages[i])
	}
}

func (s *screen) message(m *inspect.Message) {
	parts := []string{fmt.Sprintf("#%d  %s", m.ID, m.Kind)}
	add := func(ok bool, format string, args ...any) {
		if ok {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(m.Method != "", "%s %s to upstream %s", m.Method, printable(m.Target), printable(m.Upstream))
	add(m.Status != 0, "status %d", m.Status)
	add(m.Problem != "", "problem %s", printable(m.Problem))
	add(m.Reason != "", "reason %s", printable(m.Reason))
	add(m.Stage != "", "stage %s", printable(m.Stage))
	add(m.Offset != nil, "from byte %d", deref(m.Offset))
	add(m.Exchange != "", "exchange %s", m.Exchange)
	add(m.Attempt > 0, "attempt %d", m.Attempt)
	size := fmt.Sprintf("data %s", admin.Bytes(int64(m.Data)))
	if m.Body > 0 {
		size += ", body " + admin.Bytes(int64(m.Body))
		if m.Plain != nil && m.Enc != "" {
			size += fmt.Sprintf(" (%s, %s plain)", m.Enc, admin.Bytes(int64(*m.Plain)))
		}
	}
	parts = append(parts, size)
	add(m.Odd != "", "%s", m.Odd)
	s.say(1, "%s", strings.Join(parts, ", "))
	for _, f := range m.Fields {
		s.say(3, "%s: %s", printable(f[0]), printable(f[1]))
	}
}

// printable quotes what another site or caller chose where it could move the cursor or mislead the eye.
func printable(text string) string {
	if text != "" && utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// harmless is text in which what could move the cursor or mislead the eye, in the name of somebody else's file say, is written out.
func harmless(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

func deref(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

func idsText(ids frame.Ranges) string {
	var parts []string
	for _, r := range ids {
		if r[0] == r[1] {
			parts = append(parts, fmt.Sprintf("#%d", r[0]))
			continue
		}
		parts = append(parts, fmt.Sprintf("#%d-#%d", r[0], r[1]))
	}
	return orDash(strings.Join(parts, " "))
}

// exchange prints how far a call got.
func (s *screen) exchange(x *inspect.Exchange) error {
	s.say(0, "exchange %s", x.ID)
	for i := range x.Sides {
		s.side(&x.Sides[i])
	}
	if x.Progress != nil {
		s.progress(x.Progress)
	}
	for i := range x.Transfers {
		s.transfer(&x.Transfers[i])
	}
	for _, m := range x.Sent {
		acked := "not acknowledged"
		if m.Acked != nil {
			acked = "acknowledged " + m.Acked.Format(clock)
		}
		s.say(1, "sent      #%d  %s  %s, stored %s, %s", m.ID, m.Kind, admin.Bytes(int64(m.Bytes)), m.Created.Format(clock), acked)
		for _, f := range m.Files {
			s.say(3, "%s  %s in %s, %s", f.At.Format(clock), admin.Bytes(f.Bytes), f.Name, f.State)
		}
	}
	for _, m := range x.Received {
		text := fmt.Sprintf("received  #%d  %s  %s, %s", m.ID, m.Kind, admin.Bytes(int64(m.Bytes)), m.Received.Format(clock))
		if m.Attempt > 0 {
			text += fmt.Sprintf(", attempt %d", m.Attempt)
		}
		if m.State != "handled" {
			text += fmt.Sprintf(", %s after %d tries", m.State, m.Tries)
		}
		s.say(1, "%s", text)
	}
	for _, c := range x.Told {
		text := fmt.Sprintf("callback  %s, %s: %s after %d tries", c.Type, c.At.UTC().Format(clock), c.State, c.Tries)
		if c.Error != "" {
			text += ": " + printable(c.Error)
		}
		s.say(1, "%s", text)
	}
	return nil
}

func (s *screen) side(d *inspect.Side) {
	from := "called by a caller here, for " + d.Peer.String()
	if d.Role == "egress" {
		from = "asked for by " + d.Peer.String()
	}
	s.say(0, "")
	s.say(1, "%s · %s: %s", d.State, d.Stage, from)
	text := fmt.Sprintf("%s %s to upstream %s", d.Method, printable(d.Target), printable(d.Upstream))
	if d.Caller != "" {
		text += ", caller " + printable(d.Caller)
	}
	if d.Owner != "" {
		text += " (" + printable(d.Owner) + ")"
	}
	if d.Keyed {
		text += ", with an Idempotency-Key"
	}
	if d.ReplayOf != "" {
		text += ", repeats " + d.ReplayOf
	}
	s.say(1, "%s", text)
	answer := "no answer yet"
	if d.Status != 0 {
		answer = fmt.Sprintf("status %d", d.Status)
	} else if d.Problem != "" {
		answer = "no answer"
	}
	if d.Upstream == exchange.FetchUpstream {
		s.say(1, "stored data, fetched for a client here: %s", admin.Bytes(d.ResBytes))
	} else {
		s.say(1, "request body %s; %s, %s", admin.Bytes(d.ReqBytes), answer, admin.Bytes(d.ResBytes))
	}
	if len(d.Stages) == 0 { // the callees' side keeps no times of stages
		s.say(2, "%s  arrived", d.Created.UTC().Format(clock))
	}
	for _, r := range d.Stages {
		s.say(2, "%s  %s", r.At.Format(clock), r.Stage)
	}
	if d.Ended != nil {
		s.say(2, "%s  ended, %s", d.Ended.UTC().Format(clock), d.State)
	} else if d.Deadline != nil {
		s.say(2, "%s  deadline", d.Deadline.UTC().Format(clock))
	}
	if d.Expired {
		s.say(1, "what was sent and received for it is deleted (results.ttl)")
	}
	if d.Problem != "" {
		s.say(1, "%s %s (%s): %s", s.paint(red, "!"), d.Title, d.Problem, printable(d.Detail))
		s.say(1, "%s", d.Mend)
	}
}
