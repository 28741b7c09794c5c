package exchange

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// Summary is what the data of a message says, for operators. Zero members are absent. Credentials in
// Fields and Trailers are replaced; Target is as the caller sent it, see CutTarget and RedactTarget.
type Summary struct {
	Exchange ID
	Attempt  int
	Method   string // of a request, like what follows
	Target   string
	Upstream string
	Client   string
	TTL      time.Duration
	Status   int    // of a response
	Callee   string // address that was called
	More     bool   // body messages follow
	Problem  *Problem
	Reason   string // of an abort
	Stage    string
	At       time.Time // acceptance of a request, time of a stage
	Offset   int64     // of a part of a body
	Total    int64     // length of the whole body, told with its last part or a head; -1: not told
	Fields   Fields
	Trailers Fields
}

// Summarize reads the data of a message of any kind that belongs to an exchange.
func Summarize(kind frame.Kind, data []byte) (Summary, error) {
	switch kind {
	case frame.KindReq:
		return summarize(data, (*reqData).summary)
	case frame.KindRes:
		return summarize(data, (*resData).summary)
	case frame.KindBody:
		return summarize(data, (*bodyData).summary)
	case frame.KindAbort:
		return summarize(data, func(a *abortData) Summary {
			return Summary{Exchange: a.Exchange, Attempt: a.Attempt, Reason: a.Reason, Total: -1}
		})
	case frame.KindStage:
		return summarize(data, func(s *stageData) Summary {
			return Summary{Exchange: s.Exchange, Stage: s.Stage, At: fromMillis(s.At), Total: -1}
		})
	}
	return summarize(data, func(a *anyData) Summary { return Summary{Exchange: a.Exchange, Total: -1} })
}

func summarize[T any](data []byte, of func(*T) Summary) (Summary, error) {
	v, err := decodeLoose[T](data)
	if err != nil {
		return Summary{}, err
	}
	return of(v), nil
}

func (r *reqData) summary() Summary {
	return Summary{Exchange: r.Exchange, Attempt: r.Attempt, Method: r.Method, Target: r.Target, Upstream: r.Upstream, Client: r.Client,
		TTL: time.Duration(r.TTL) * time.Millisecond, At: fromMillis(r.At), Total: r.Length, Fields: r.Fields.Redacted(), Trailers: r.Trailers.Redacted()}
}

func (r *resData) summary() Summary {
	s := Summary{Exchange: r.Exchange, Attempt: r.Attempt, Status: r.Status, More: r.More, Total: r.Length,
		Fields: r.Fields.Redacted(), Trailers: r.Trailers.Redacted()}
	if r.Callee != nil {
		s.Callee = r.Callee.Addr
	}
	if r.Problem != nil {
		s.Problem = &Problem{Code: r.Problem.Code, Detail: r.Problem.Detail}
	}
	return s
}

func (b *bodyData) summary() Summary {
	s := Summary{Exchange: b.Exchange, Attempt: b.Attempt, Offset: b.Offset, Total: -1, Trailers: b.Trailers.Redacted()}
	if b.Total != nil {
		s.Total = *b.Total
	}
	return s
}
