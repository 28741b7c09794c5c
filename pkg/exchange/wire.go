package exchange

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
)

// The data of each kind of message (docs/protocol.md "Exchanges"). Times are unix milliseconds,
// durations milliseconds.

// reqData is the head of a request. Its body is the message's own body, or came in body messages.
type reqData struct {
	Exchange ID     `json:"exchange"`
	Oep      uint64 `json:"oep"`
	Attempt  int    `json:"attempt"`
	Upstream string `json:"upstream"`
	Method   string `json:"method"`
	Target   string `json:"target"`
	Scheme   string `json:"scheme"`
	Host     string `json:"host"`
	Fields   Fields `json:"fields"`
	Trailers Fields `json:"trailers,omitempty"`
	// Length is what the caller announced: bytes, or -1 for a chunked body.
	Length int64 `json:"length"`
	// Parts is how many bytes came in body messages; 0 when the body is inline.
	Parts  int64  `json:"parts,omitzero"`
	Client string `json:"client,omitzero"`
	// Caller is the caller's name, where it showed one.
	Caller string `json:"caller,omitzero"`
	// At is when the request was accepted, by the sender's clock; TTL is what was left then until its deadline, 0 for none.
	At  int64 `json:"at"`
	TTL int64 `json:"ttl,omitzero"`
	// Plain says that neither this body nor the answer's is to be compressed.
	Plain bool `json:"plain,omitzero"`
	// Keyed says that the caller sent an Idempotency-Key of its own.
	Keyed bool `json:"keyed,omitzero"`
	// Win is up to which offset of its body the answer may be sent before a win message; 0: all of it.
	Win int64 `json:"win,omitzero"`
	// Fresh says that no chunk of the answer is to be equal to any other; Fixed that it is cut at fixed places.
	Fresh bool `json:"fresh,omitzero"`
	Fixed bool `json:"fixed,omitzero"`
}

type resData struct {
	Exchange ID     `json:"exchange"`
	Attempt  int    `json:"attempt"`
	Status   int    `json:"status"`
	Fields   Fields `json:"fields"`
	Trailers Fields `json:"trailers,omitempty"`
	Length   int64  `json:"length"`
	// More says that body messages follow the body that this message holds.
	More    bool         `json:"more,omitzero"`
	Callee  *calleeData  `json:"callee,omitzero"`
	Problem *problemData `json:"problem,omitzero"`
}

type calleeData struct {
	Addr     string `json:"addr,omitzero"`
	Arrived  int64  `json:"arrived,omitzero"`
	Called   int64  `json:"called,omitzero"`
	Answered int64  `json:"answered,omitzero"`
	MS       int64  `json:"ms,omitzero"`
}

// problemData is an error of the far site itself.
type problemData struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

type bodyData struct {
	Exchange ID    `json:"exchange"`
	Attempt  int   `json:"attempt"`
	Offset   int64 `json:"offset"`
	// Map lists the chunks that the part lies in, in place of the message's own body. It holds their keys.
	Map jsontext.Value `json:"map,omitzero"`
	// Total comes with the last part only: the whole body's length.
	Total    *int64 `json:"total,omitzero"`
	Trailers Fields `json:"trailers,omitempty"`
}

type abortData struct {
	Exchange ID     `json:"exchange"`
	Attempt  int    `json:"attempt"`
	Reason   string `json:"reason"`
}

// winData raises the window of an answer's body.
type winData struct {
	Exchange ID    `json:"exchange"`
	Attempt  int   `json:"attempt"`
	Offset   int64 `json:"offset"`
	// Done says that the whole body is here: its chunks are not asked for any more.
	Done bool `json:"done,omitzero"`
}

type cancelData struct {
	Exchange ID `json:"exchange"`
}

type stageData struct {
	Exchange ID     `json:"exchange"`
	Stage    string `json:"stage"`
	At       int64  `json:"at"`
}

// anyData is what every kind has.
type anyData struct {
	Exchange ID `json:"exchange"`
}

// attemptsPerRequest separates the tries of the far side under one sending of a request from those
// under the next: the response's attempt is request attempt x this + try.
const attemptsPerRequest = 1000

// decode reads the data of a message; unknown members are refused, growth goes through caps.
func decode[T any](data []byte) (*T, error) {
	var v T
	if err := json.Unmarshal(data, &v, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("message data: %w", err)
	}
	return &v, nil
}

// decodeLoose reads some members of any kind's data.
func decodeLoose[T any](data []byte) (*T, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("message data: %w", err)
	}
	return &v, nil
}

// encode prepares a message.
func encode(kind frame.Kind, prio link.Prio, id ID, data any, body []byte, compress bool) (node.Message, error) {
	js, err := json.Marshal(data)
	if err != nil {
		return node.Message{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	t, err := frame.EncodeTail(kind, js, body, compress)
	if err != nil {
		return node.Message{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	return node.Message{Outgoing: link.Outgoing{Kind: kind, Prio: prio, Ref: link.Ref(id), Tail: t}}, nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (c Callee) wire() *calleeData {
	return &calleeData{Addr: c.Addr, Arrived: millis(c.Arrived), Called: millis(c.Called), Answered: millis(c.Answered), MS: c.Duration.Milliseconds()}
}

func (c *calleeData) callee() Callee {
	if c == nil {
		return Callee{}
	}
	return Callee{Addr: c.Addr, Arrived: fromMillis(c.Arrived), Called: fromMillis(c.Called), Answered: fromMillis(c.Answered),
		Duration: time.Duration(c.MS) * time.Millisecond}
}

// Repeatable says whether a method may be called again without harm: safe or idempotent (RFC 9110
// section 9.2.2; QUERY: RFC 10008).
func Repeatable(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete,
		"QUERY", "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}
