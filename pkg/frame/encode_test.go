package frame_test

import (
	"encoding/base64"
	"fmt"

	"github.com/hoft/hoft/pkg/frame"
)

// encodeMessage writes a message whose body is coded already, which EncodeTail never is given.
func encodeMessage(m *frame.Message) []byte {
	b := fmt.Appendf(nil, `{"id":%d,"kind":"%s","data":%s`, m.ID, m.Kind, m.Data)
	if m.Enc != frame.EncNone {
		b = fmt.Appendf(b, `,"enc":"%s"`, m.Enc)
	}
	if len(m.Body) > 0 {
		b = fmt.Appendf(b, `,"body":"%s"`, base64.RawURLEncoding.EncodeToString(m.Body))
	}
	return append(b, '}')
}
