package exchange

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
)

// Links in signed mode: whoever looks into the pipe is to see every body as it is. So bodies travel as plain chunks alone, and
// what comes in any other form is refused: it would have passed by the scanner.

var errMode = errors.New("not in the form that the seal of this link demands")

// readable tests that the body in a message, or the chunks that it lists, have the form of the link.
func (m *Manager) readable(d *node.Delivery) error {
	signed := m.cfg.Signed[d.Peer]
	if signed && len(d.Body) > 0 {
		return fmt.Errorf("%w: a body inside of a %s message on a link in signed mode", errMode, d.Kind)
	}
	if d.Kind != frame.KindBody || !signed && !bytes.ContainsAny(d.Data, `\`) && !bytes.Contains(d.Data, []byte(`"plain"`)) {
		return nil // in the encrypted mode most parts need no second look
	}
	b, err := decode[bodyData](d.Data)
	if err != nil || b.Map == nil {
		return nil // said by whoever handles it
	}
	entries, _, err := entriesOf(b)
	switch plain := err == nil && entries[0].Alg == chunk.AlgPlain; {
	case err != nil || plain == signed:
		return nil
	case signed:
		return fmt.Errorf("%w: encrypted chunks on a link in signed mode", errMode)
	default:
		return fmt.Errorf("%w: plain chunks on a link that is encrypted", errMode)
	}
}

// endUnreadable ends a call of ours whose answer has not the form of the link; false: it is none.
func (m *Manager) endUnreadable(s *node.Step, d *node.Delivery, err error) bool {
	x, bad := peekExchange(d.Data)
	c := m.calls[x]
	if bad != nil || c == nil || c.peer != d.Peer {
		return false
	}
	m.giveUpOn(s, c, Problemf(CodeSeal, "%v", err))
	return true
}
