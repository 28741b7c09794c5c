// Package exchange turns HTTP calls into messages and back, and keeps what became of each call.
package exchange

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"encoding/base64"
	"unicode/utf8"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/identity"
)

// ID names one exchange: a UUIDv7 (RFC 9562 section 5.7).
type ID = uuid.UUID

// Field is one header or trailer field line, name as the sender wrote it.
type Field struct{ Name, Value string }

// Fields is a field list in order; equal names keep their order. In JSON: [["Name","value"], …];
// a value that is not UTF-8 is ["Name","base64url","b64"].
type Fields []Field

// MarshalJSONTo writes the array. It runs for every field of every call, so it goes by tokens.
func (f Field) MarshalJSONTo(e *jsontext.Encoder) error {
	value, coded := f.Value, !utf8.ValidString(f.Value)
	if coded {
		value = base64.RawURLEncoding.EncodeToString([]byte(f.Value))
	}
	err := errors.Join(e.WriteToken(jsontext.BeginArray), e.WriteToken(jsontext.String(f.Name)), e.WriteToken(jsontext.String(value)))
	if coded {
		err = errors.Join(err, e.WriteToken(jsontext.String("b64")))
	}
	return errors.Join(err, e.WriteToken(jsontext.EndArray))
}

var errField = errors.New("a field is an array of name and value")

// UnmarshalJSONFrom reads what MarshalJSONTo writes.
func (f *Field) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return errors.Join(errField, err)
	}
	var a [3]string
	n := 0
	for ; d.PeekKind() == '"' && n < len(a); n++ {
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		a[n] = t.String()
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != ']' {
		return errors.Join(errField, err)
	}
	switch {
	case n == 2:
	case n == 3 && a[2] == "b64":
		v, err := base64.RawURLEncoding.DecodeString(a[1])
		if err != nil {
			return err
		}
		a[1] = string(v)
	default:
		return errField
	}
	*f = Field{a[0], a[1]}
	return nil
}

// Request is one HTTP request as it crosses the pipe.
type Request struct {
	Exchange ID
	Peer     identity.ID // at the ingress: who is to make the call; at the egress: who asks
	Upstream string
	Route    string // at the ingress: the route's path pattern, for lists
	Method   string
	Target   string // raw origin-form target: path and query as the caller sent them, after strip_prefix
	Scheme   string // the caller's: http or https
	Host     string // the caller's Host
	Fields   Fields // hop-by-hop fields removed (RFC 9110 section 7.6.1)
	Trailers Fields // after the body
	Client   string // the caller's address
	// Length is the body's length, -1 where the caller sent it chunked, 0 for none.
	Length   int64
	Size     int64     // at the egress: the bytes of the whole body, however it was framed
	Body     io.Reader // nil when Length is 0
	Deadline time.Time // not begun after it; zero: none
	Key      string    // the caller's own Idempotency-Key field, "" if none
	Attempt  int       // at the egress: 1 for the first try
	Owner    string    // the caller's identity, "" if anonymous
	// What follows counts at the ingress only.
	Strict    bool   // a call with the key of one that runs is refused, not joined to it
	Transient bool   // what is stored for it goes at its end
	Callback  string // where the outcome is sent, "" for nowhere; Notify: each stage too
	Notify    bool
	ReplayOf  ID // the exchange that it repeats, the zero id for none
	// NoCompress keeps the body out of any compression (a body that mixes secrets with text of others).
	NoCompress bool
	// Fresh seals the chunks of both bodies so that none is equal to any other, Fixed cuts them at fixed places.
	Fresh, Fixed bool
	// Stored is data in the chunk store that is the body, in place of Body; Length is its size.
	Stored *chunk.Map
	// StoredSum takes the bytes of Stored and then names the digest that they do not have, "" if they do; nil: it is not read for that.
	StoredSum interface {
		Add(p []byte)
		Wrong() string
	}
	// Window is how many bytes of the answer may come before the caller has read any; 0: the site's default.
	Window int64
}

// Response is one HTTP response.
type Response struct {
	Status int
	Fields Fields
	// Length is the body's length, -1 if unknown; for HEAD and 304 it is what the callee said, without a body.
	Length int64
	// Body is never nil; it ends with io.EOF or, when the far side broke off, with an *Abort.
	Body io.ReadCloser
	// Trailers is complete only after Body gave io.EOF.
	Trailers func() Fields
	Callee   Callee
	// PeerName is the answering site's name, for Proxy-Status; set at the ingress.
	PeerName string
	Exchange ID
	// Replayed says that a call with the same Idempotency-Key was answered with this before, or waited for it.
	Replayed bool
}

// Callee is what the egress tells of the server that answered.
type Callee struct {
	Addr     string // host:port that was dialled
	Arrived  time.Time
	Called   time.Time
	Answered time.Time
	Duration time.Duration // the call itself, by the egress's clock alone
}

// Abort ends a response body that broke off after its head; the caller's connection is to be reset.
type Abort struct{ Reason string }

func (a *Abort) Error() string { return "response broken off: " + a.Reason }

// Caller is what an ingress uses to make calls. Safe for concurrent use.
type Caller interface {
	// Call carries one request: it reads r.Body to its end (the body travels meanwhile), makes the
	// request durable, and waits for the response head, until ctx ends or wait is over.
	//
	// accepted is called once, with the exchange's id, when the request is durable: from then on it is
	// answered or reported failed whatever happens to this process. An error before that is a *Problem
	// (or ctx's) and nothing was accepted. After it:
	//   - a *Problem: the exchange ended without an answer of the callee;
	//   - ErrWait: the wait is over and the exchange goes on;
	//   - ctx.Err(): the caller left; the exchange goes on.
	// If r.Body fails with a *Problem that problem is returned, and nothing was accepted.
	//
	// A call with the Idempotency-Key of one that was accepted before is joined to it: accepted gets the
	// first one's id, the answer is the first one's. With wait 0 nobody waits.
	Call(ctx context.Context, r *Request, wait time.Duration, accepted func(ID)) (*Response, error)
	// State gives what is known of an exchange, or ErrUnknown.
	State(ctx context.Context, id ID) (*State, error)
	// Result gives the stored answer, or ErrUnknown, ErrPending, ErrGone, or the *Problem it ended with.
	Result(ctx context.Context, id ID) (*Response, error)
	// Await waits until the exchange has ended: nil, or ErrWait after wait, or ErrUnknown.
	Await(ctx context.Context, id ID, wait time.Duration) error
	// Cancel gives up an exchange; ErrUnknown if there is none. A finished one stays as it is.
	Cancel(ctx context.Context, id ID) error
	// List gives exchanges, the newest first.
	List(ctx context.Context, f Filter) ([]*State, error)
	// RetryAfter says in how many seconds to ask again for the answer to a call of that age, 1 to 300.
	RetryAfter(peer string, age time.Duration) int
	// Watch tells of news of an exchange, of all for the zero id; Events reads them in order, from a number on.
	Watch(ctx context.Context, id ID) (*Watch, error)
	Events(ctx context.Context, id ID, after int64, limit int) ([]Event, error)
}

// party is who a call counts for: the caller's name, or else its address.
func (r *Request) party() string {
	if r.Owner != "" {
		return r.Owner
	}
	return r.Client
}

// Errors of Caller.
var (
	ErrWait    = errors.New("no answer yet")
	ErrUnknown = errors.New("no such exchange")
	ErrPending = errors.New("exchange not finished")
	ErrGone    = errors.New("answer no longer stored")
)

// State is the state resource of an exchange (CONVENTIONS A1 in docs/http.md).
type State struct {
	ID       ID
	Peer     string
	Upstream string
	Method   string
	Target   string
	Stage    string // accepted, queued, written, arrived, calling, answered, returned; or canceling
	State    string // running, succeeded, failed, canceled, uncertain
	Created  time.Time
	Ended    time.Time
	Status   int
	Problem  *Problem
	Stages   map[string]time.Time
	ReqBytes int64
	ResBytes int64
	Route    string
	Client   string // the caller's address
	Owner    string // the caller's identity, "" for anonymous
	Deadline time.Time
	Keyed    bool // the caller sent an Idempotency-Key
	Expired  bool // request and answer are deleted
	ReplayOf ID   // the exchange that it repeats; zero: none
	// Transfer is how far a long body of a running call is on its way; nil: none is.
	Transfer *Transfer
	// Local says that there is no answer to ask for: stored data was fetched.
	Local bool
}

// Upstreams is what an exchange needs of an egress. Safe for concurrent use.
type Upstreams interface {
	// Admit checks the request against the allow-list without any I/O: nil, or why it is refused.
	Admit(r *Request) *Problem
	// Do makes the call. Head and body are returned as the callee produces them. A *Problem says why
	// there is no response. sent tells, also with a problem, whether the request may have reached the callee.
	Do(ctx context.Context, r *Request) (resp *Response, sent bool, p *Problem)
	// Slots is how many calls may run at once against the upstream; 0: unknown upstream.
	Slots(upstream string) int
}
