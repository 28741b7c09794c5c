package inspect

import (
	"bytes"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/seal"
)

// Line is one line of a file.
type Line struct {
	Bytes    int    `json:"bytes"`
	Signed   bool   `json:"signed_only,omitempty"` // a token that is signed and not encrypted
	Alg      string `json:"alg,omitempty"`
	Enc      string `json:"enc,omitempty"`
	Kid      string `json:"kid,omitempty"`       // of the key that it is sealed to
	SealedTo string `json:"sealed_to,omitempty"` // whose key that is, where it is known
	SigAlg   string `json:"sig_alg,omitempty"`
	SigKid   string `json:"sig_kid,omitempty"`
	// Verified says that every check passed: the line is whole and its signature good.
	Verified bool     `json:"verified"`
	Failed   *Failure `json:"failed,omitempty"`
	// Cut says that the line ends the file without a newline and is no whole line.
	Cut    bool    `json:"cut,omitempty"`
	Claims *Claims `json:"claims,omitempty"`
}

// Failure says which check refused a line; docs/security.md numbers them.
type Failure struct {
	Check  int    `json:"check"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

func failureOf(e *seal.Error) *Failure {
	if e == nil {
		return nil
	}
	return &Failure{e.Check, string(e.Reason), e.Detail}
}

// Claims is what a verified line says, messages included.
type Claims struct {
	Iss      Party     `json:"iss"`
	Aud      Party     `json:"aud"`
	Ep       uint64    `json:"ep"`
	Pep      uint64    `json:"pep"`
	Seq      uint64    `json:"seq"`
	Idx      int       `json:"idx"`
	Fin      bool      `json:"fin"`
	Sent     time.Time `json:"iat"`
	AheadS   float64   `json:"ahead_s,omitempty"` // how far the sender's clock is ahead of this one, at least
	Jti      string    `json:"jti"`
	Base     uint64    `json:"base"`
	Last     *uint64   `json:"last,omitempty"`
	Ack      *Ack      `json:"ack,omitempty"`
	Rx       *Rx       `json:"rx,omitempty"`
	Caps     []string  `json:"caps,omitempty"`
	Fork     bool      `json:"fork,omitempty"`
	Messages []Message `json:"messages"`
}

// Ack and Rx are frame.Ack and frame.Rx as the protocol names them.
type (
	Ack struct {
		Contig uint64       `json:"contig"`
		OOO    frame.Ranges `json:"ooo,omitempty"`
		Full   bool         `json:"full,omitempty"`
	}
	Rx struct {
		Top  uint64       `json:"top"`
		Dly  int64        `json:"dly"`
		Seen frame.Ranges `json:"seen,omitempty"`
		Cut  []frame.Cut  `json:"cut,omitempty"`
		Run  string       `json:"run,omitempty"`
	}
)

// Message is one message of a line: sizes in bytes, never the body.
type Message struct {
	ID       uint64      `json:"id"`
	Kind     string      `json:"kind"`
	Data     int         `json:"data_bytes"`
	Body     int         `json:"body_bytes"`
	Enc      string      `json:"enc,omitempty"`
	Plain    *int        `json:"plain_bytes,omitempty"` // of the body decompressed
	Exchange string      `json:"exchange,omitempty"`
	Attempt  int         `json:"attempt,omitempty"`
	Method   string      `json:"method,omitempty"`
	Target   string      `json:"target,omitempty"` // without its query, unless fields are asked for
	Upstream string      `json:"upstream,omitempty"`
	Status   int         `json:"status,omitempty"`
	Problem  string      `json:"problem,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	Stage    string      `json:"stage,omitempty"`
	Offset   *int64      `json:"offset,omitempty"`
	Total    *int64      `json:"total,omitempty"`
	Fields   [][2]string `json:"fields,omitempty"`
	Odd      string      `json:"odd,omitempty"` // what cannot be read in it
}

// look opens one line as far as the keys go.
func (k *Keys) look(n *Name, line []byte, o Options) Line {
	line = bytes.TrimSuffix(line, []byte("\n"))
	var in seal.Inner
	if k.opens(n) {
		in = k.Opener.Inspect(n.parsed, line)
	} else {
		in.Outer = seal.Inspect(line)
	}
	out := Line{Bytes: in.Bytes, Signed: in.Signed, Alg: in.Alg, Enc: in.Enc, Kid: in.Kid, SealedTo: k.enc[in.Kid], SigAlg: in.SigAlg, SigKid: in.SigKid, Failed: failureOf(in.Err)}
	if in.PSK && n != nil && in.Kid != "" {
		out.SealedTo = "the secret shared between the two sites"
	}
	if in.Claims != nil {
		out.Verified = true
		out.Claims = k.claims(in.Claims, o)
	}
	return out
}

func (k *Keys) claims(c *frame.Claims, o Options) *Claims {
	out := &Claims{Iss: k.party(c.Iss), Aud: k.party(c.Aud), Ep: c.Ep, Pep: c.Pep, Seq: c.Seq, Idx: c.Idx, Fin: c.Fin, Sent: time.Unix(c.Iat, 0).UTC(),
		Jti: c.Jti, Base: c.Base, Last: c.Last, Caps: c.Caps, Fork: c.Fork, Messages: []Message{}}
	if ahead := out.Sent.Sub(o.Now).Seconds(); ahead >= 1 { // iat has whole seconds
		out.AheadS = ahead
	}
	if c.Ack != nil {
		out.Ack = &Ack{c.Ack.Contig, c.Ack.OOO, c.Ack.Full}
	}
	if c.Rx != nil {
		out.Rx = &Rx{c.Rx.Top, c.Rx.Dly, c.Rx.Seen, c.Rx.Cut, c.Rx.Run.String()}
	}
	for i := range c.Msg {
		out.Messages = append(out.Messages, messageOf(&c.Msg[i], o))
	}
	return out
}

// messageOf tells of a message what may be told.
func messageOf(m *frame.Message, o Options) Message {
	out := Message{ID: m.ID, Kind: string(m.Kind), Data: len(m.Data), Body: len(m.Body), Enc: string(m.Enc)}
	if len(m.Body) > 0 {
		if plain, err := m.Plain(); err != nil {
			out.Odd = "its body does not decompress"
		} else {
			n := len(plain)
			out.Plain = &n
		}
	}
	s, err := exchange.Summarize(m.Kind, m.Data)
	if err != nil {
		out.Odd = "its data has not the form of its kind"
		return out
	}
	if s.Exchange != (exchange.ID{}) {
		out.Exchange = s.Exchange.String()
	}
	out.Attempt, out.Method, out.Upstream, out.Status, out.Stage, out.Reason = s.Attempt, s.Method, s.Upstream, s.Status, s.Stage, s.Reason
	out.Target = exchange.CutTarget(s.Target)
	if s.Problem != nil {
		out.Problem = s.Problem.Code
	}
	if m.Kind == frame.KindBody {
		out.Offset = &s.Offset
	}
	if s.Total >= 0 && m.Kind != frame.KindStage {
		out.Total = &s.Total
	}
	if o.Headers {
		out.Target = exchange.RedactTarget(s.Target)
		for _, f := range append(s.Fields, s.Trailers...) {
			out.Fields = append(out.Fields, [2]string{f.Name, f.Value})
		}
	}
	return out
}
