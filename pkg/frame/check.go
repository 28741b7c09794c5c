package frame

import "errors"

// check tests ranges and invariants that the types alone do not give.
func (c *Claims) check() error {
	switch {
	case c.Iss.IsZero() || c.Aud.IsZero():
		return errors.New("iss or aud missing")
	case c.Iss == c.Aud:
		return errors.New("iss and aud are the same site")
	case len(c.Rkt) != 43 || !isToken64(c.Rkt):
		return errors.New("rkt is not a key thumbprint")
	case c.Ep == 0 || c.Ep >= MaxEpoch || c.Pep >= MaxEpoch:
		return errors.New("epoch out of range")
	case c.Seq > MaxSeq || c.Seq/SeqPerEpoch < c.Ep:
		return errors.New("seq does not belong to the epoch")
	case c.Idx < 0 || c.Idx >= MaxLines:
		return errors.New("idx out of range")
	case c.Iat < 0 || c.Iat >= MaxEpoch:
		return errors.New("iat out of range")
	case len(c.Jti) != 22 || !isToken64(c.Jti):
		return errors.New("jti is not 128 bits in base64url")
	case c.Base == 0 || c.Base > MaxID+1:
		return errors.New("base out of range")
	case c.Run.FirstSeq > MaxSeq || c.Run.FirstID > MaxID+1:
		return errors.New("run out of range")
	case !c.unmetValid():
		return errors.New("unmet out of range")
	}
	if err := c.checkAcks(); err != nil {
		return err
	}
	if err := checkCaps(c.Caps); err != nil {
		return err
	}
	return c.checkMessages()
}

// unmetValid says whether the runs are in their order: all before this one, of the epoch, none with ids below the one before it.
func (c *Claims) unmetValid() bool {
	last := Run{FirstSeq: max(c.Ep*SeqPerEpoch, 1) - 1, FirstID: 1}
	for _, u := range c.Unmet {
		if u.FirstSeq <= last.FirstSeq || u.FirstID < last.FirstID {
			return false
		}
		last = u
	}
	n := len(c.Unmet)
	return n <= MaxUnmet && (n == 0 || last.FirstSeq < c.Run.FirstSeq && last.FirstID <= c.Run.FirstID)
}

func (c *Claims) checkAcks() error {
	if (c.Last == nil) != (c.Ack == nil) || (c.Ack == nil) != (c.Rx == nil) {
		return errors.New("last, ack and rx come together")
	}
	if c.Idx == 0 && c.Ack == nil || c.Fin && c.Ack == nil {
		return errors.New("first and last line need last, ack and rx")
	}
	if c.Ack == nil {
		return nil
	}
	a, x := c.Ack, c.Rx
	switch {
	case *c.Last > MaxID || c.Base > *c.Last+1:
		return errors.New("last out of range")
	case a.Contig > MaxID || len(a.OOO) > MaxOOO || !a.OOO.Valid():
		return errors.New("ack out of range")
	case len(a.OOO) > 0 && (a.OOO[0][0] <= a.Contig+1 || a.OOO[len(a.OOO)-1][1] > MaxID):
		return errors.New("ack ranges out of range")
	case x.Top > MaxSeq || x.Dly < 0 || x.Dly >= MaxEpoch:
		return errors.New("rx out of range")
	case len(x.Seen) > MaxSeen || !x.Seen.Valid() || len(x.Cut) > MaxCut:
		return errors.New("rx lists out of range")
	}
	for _, cut := range x.Cut {
		if cut[0] > MaxSeq || cut[1] > MaxID {
			return errors.New("rx.cut out of range")
		}
	}
	if m, ok := x.Seen.Max(); ok && m > x.Top {
		return errors.New("rx.seen above rx.top")
	}
	return nil
}

const (
	maxCaps    = 64
	maxCapText = 32
	maxKind    = 16
)

func checkCaps(caps []string) error {
	if len(caps) > maxCaps {
		return errors.New("too many caps")
	}
	for _, s := range caps {
		if len(s) == 0 || len(s) > maxCapText || !isWord(s) {
			return errors.New("bad word in caps")
		}
	}
	return nil
}

func (c *Claims) checkMessages() error {
	var prev uint64
	for i := range c.Msg {
		m := &c.Msg[i]
		switch {
		case m.ID <= prev || m.ID > MaxID:
			return errors.New("message ids must be 1 or more and ascend within a line")
		case m.ID < c.Base || c.Last != nil && m.ID > *c.Last:
			return errors.New("message id outside base and last")
		case len(m.Kind) == 0 || len(m.Kind) > maxKind || !isWord(string(m.Kind)):
			return errors.New("bad message kind")
		case m.Data.Kind() != '{':
			return errors.New("message data is not an object")
		case len(m.Data)+len(m.Body)*4/3 > MaxMessage:
			return errors.New("message too large")
		case m.Enc != EncNone && (m.Enc != EncZstd || len(m.Body) == 0):
			return errors.New("bad message coding")
		}
		prev = m.ID
	}
	return nil
}

// isToken64 says whether s is made of base64url characters only.
func isToken64(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isWord says whether s is made of lower-case letters, digits, dots and hyphens.
func isWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
