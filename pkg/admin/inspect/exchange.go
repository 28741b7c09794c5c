package inspect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// ExchangeSchema names the form of Exchange in JSON. Members are only ever added.
const ExchangeSchema = "hoft.exchange/1"

// Exchange is all that the state knows of one call.
type Exchange struct {
	Schema   string     `json:"schema"`
	ID       string     `json:"id"`
	Sides    []Side     `json:"sides"`
	Sent     []Outgoing `json:"sent"`
	Received []Incoming `json:"received"`
	Told     []Callback `json:"callbacks,omitempty"`
	// Transfers is what of its long bodies is on its way.
	Transfers []Transfer `json:"transfers"`
	// Progress is how far the body of a running call is, by the word of the site that made it; nil where that does not run.
	Progress *exchange.Transfer `json:"progress,omitempty"`
}

// Callback is a message to a receiver outside.
type Callback struct {
	ID    string    `json:"id"`
	Type  string    `json:"type"`
	At    time.Time `json:"at"`
	State string    `json:"state"` // due, delivered or given up
	Tries int       `json:"tries"`
	Error string    `json:"error,omitempty"`
}

// Side is the call as this site knows it in one role.
type Side struct {
	Role     string     `json:"role"` // ingress: a caller here made it; egress: a peer asked for it
	Peer     Party      `json:"peer"`
	Method   string     `json:"method"`
	Target   string     `json:"target"` // without its query, unless headers are asked for
	Upstream string     `json:"upstream"`
	Route    string     `json:"route,omitempty"`
	Caller   string     `json:"caller,omitempty"`
	Stage    string     `json:"stage"`
	State    string     `json:"state"`
	Attempt  int        `json:"attempt,omitempty"`
	Status   int        `json:"status,omitempty"`
	Keyed    bool       `json:"idempotency_key,omitempty"` // the caller sent one
	ReqBytes int64      `json:"req_bytes"`
	ResBytes int64      `json:"res_bytes"`
	Created  time.Time  `json:"created"`
	Deadline *time.Time `json:"deadline,omitempty"`
	Ended    *time.Time `json:"ended,omitempty"`
	Expired  bool       `json:"expired,omitempty"` // its content is deleted
	Owner    string     `json:"owner,omitempty"`   // the caller's name
	ReplayOf string     `json:"replay_of,omitempty"`
	Stages   []Reached  `json:"stages"`
	Problem  string     `json:"problem,omitempty"`
	Title    string     `json:"title,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	Mend     string     `json:"mend,omitempty"`
}

// Reached is a stage and when it was reached; arrived, calling and answered are by the far side's clock.
type Reached struct {
	Stage string    `json:"stage"`
	At    time.Time `json:"at"`
}

// Outgoing is a message that this site sent, and the files that carried it.
type Outgoing struct {
	ID      uint64     `json:"id"`
	Kind    string     `json:"kind"`
	Bytes   int        `json:"bytes"`
	Created time.Time  `json:"created"`
	Acked   *time.Time `json:"acked,omitempty"`
	Files   []Carrier  `json:"files"`
}

// Carrier is a file that carried a message.
type Carrier struct {
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
	Bytes int64     `json:"bytes"`
	State string    `json:"state"`
}

// Incoming is a message that this site received.
type Incoming struct {
	ID       uint64    `json:"id"`
	Kind     string    `json:"kind"`
	Attempt  int       `json:"attempt"`
	Offset   int64     `json:"offset"`
	Bytes    int       `json:"bytes"`
	Plain    int64     `json:"plain_bytes"`
	Sent     time.Time `json:"sent"` // by the sender's clock
	Received time.Time `json:"received"`
	Tries    int       `json:"tries"`
	State    string    `json:"state"`
}

// ErrUnknown says that the state knows no such exchange.
var ErrUnknown = errors.New("no such exchange")

// Calls is what is needed of a store to tell of a call; store.ReadOnly has it.
type Calls interface {
	Files
	Bulk
	Exchange(ctx context.Context, id [16]byte, side store.Side) (store.Exchange, error)
	OutboxExchange(ctx context.Context, exchange [16]byte) ([]store.Out, error)
	InboxExchange(ctx context.Context, exchange [16]byte) ([]store.In, error)
	Callbacks(ctx context.Context, f store.CallbackFilter) ([]store.Callback, error)
}

// Call reads what the state knows of an exchange: ErrUnknown when nothing.
func Call(ctx context.Context, id exchange.ID, k Keys, db Calls, o Options) (*Exchange, error) {
	x := &Exchange{Schema: ExchangeSchema, ID: id.String(), Sides: []Side{}, Sent: []Outgoing{}, Received: []Incoming{}, Transfers: []Transfer{}}
	var peers []identity.ID
	for _, side := range []store.Side{store.SideIngress, store.SideEgress} {
		row, err := db.Exchange(ctx, id, side)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		x.Sides = append(x.Sides, sideOf(row, &k, o))
		if !slices.Contains(peers, row.Peer) {
			peers = append(peers, row.Peer)
		}
	}
	if err := x.addSent(ctx, id, &k, db); err != nil {
		return nil, err
	}
	if err := x.addReceived(ctx, id, db); err != nil {
		return nil, err
	}
	if err := x.addCallbacks(ctx, id, db); err != nil {
		return nil, err
	}
	if err := x.addTransfers(ctx, id, peers, &k, db, o.Now); err != nil {
		return nil, err
	}
	if len(x.Sides)+len(x.Sent)+len(x.Received) == 0 {
		return nil, fmt.Errorf("%w: %s is not in this site's state (finished ones are forgotten after results.ttl)", ErrUnknown, id)
	}
	return x, nil
}

func sideOf(r store.Exchange, k *Keys, o Options) Side {
	s := Side{Role: "ingress", Peer: k.party(r.Peer), Method: r.Method, Target: exchange.CutTarget(r.Target), Upstream: r.Upstream, Route: r.Route,
		Caller: r.Caller, Stage: r.Stage, State: r.State, Attempt: r.Attempt, Status: r.Status, Keyed: r.Key != "", ReqBytes: r.ReqBytes, ResBytes: r.ResBytes,
		Created: r.Created, Expired: r.Expired, Problem: r.Problem, Detail: r.Detail, Stages: stagesOf(r.Stages)}
	if r.Side == store.SideEgress {
		s.Role = "egress"
	}
	if o.Headers {
		s.Target = exchange.RedactTarget(r.Target)
	}
	s.Owner = r.Owner
	if r.ReplayOf != [16]byte{} {
		s.ReplayOf = exchange.ID(r.ReplayOf).String()
	}
	if !r.Deadline.IsZero() {
		s.Deadline = &r.Deadline
	}
	if !r.Ended.IsZero() {
		s.Ended = &r.Ended
	}
	if kind, ok := exchange.Kinds[r.Problem]; ok {
		s.Title, s.Mend = kind.Title, kind.Mend
	}
	return s
}

// RunsHere says whether a caller's exchange is under way, so that a running site can say more of it.
func (x *Exchange) RunsHere() bool {
	return slices.ContainsFunc(x.Sides, func(s Side) bool { return s.Role == "ingress" && s.State == exchange.StateRunning })
}

// stagesOf reads stage times, the earliest first.
func stagesOf(data []byte) []Reached {
	var ms map[string]int64
	out := []Reached{}
	if json.Unmarshal(data, &ms) != nil {
		return out
	}
	for stage, at := range ms {
		out = append(out, Reached{stage, time.UnixMilli(at).UTC()})
	}
	slices.SortFunc(out, func(a, b Reached) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Stage, b.Stage)) })
	return out
}

func (x *Exchange) addSent(ctx context.Context, id exchange.ID, k *Keys, db Calls) error {
	out, err := db.OutboxExchange(ctx, id)
	if err != nil {
		return err
	}
	files := map[identity.ID]map[uint64]store.Sent{}
	for _, o := range out {
		m := Outgoing{ID: o.ID, Kind: string(o.Kind), Bytes: len(o.Data), Created: o.Created, Files: []Carrier{}}
		if !o.Acked.IsZero() {
			m.Acked = &o.Acked
		}
		if files[o.Peer] == nil {
			if files[o.Peer], err = sentRows(ctx, db, o.Peer); err != nil {
				return err
			}
		}
		for _, f := range files[o.Peer] {
			if f.IDs.Contains(o.ID) {
				name := frame.Name{Recipient: o.Peer, Sender: k.Self, Seq: f.Seq, Ext: frame.ExtFrame}
				m.Files = append(m.Files, Carrier{Name: name.String(), At: f.At, Bytes: f.Size, State: sentWord(f.State)})
			}
		}
		slices.SortFunc(m.Files, func(a, b Carrier) int { return cmp.Compare(a.Name, b.Name) })
		x.Sent = append(x.Sent, m)
	}
	return nil
}

func (x *Exchange) addCallbacks(ctx context.Context, id exchange.ID, db Calls) error {
	rows, err := db.Callbacks(ctx, store.CallbackFilter{Exchange: id})
	for _, r := range slices.Backward(rows) {
		c := Callback{ID: r.ID, Type: r.Type, At: r.At, State: "due", Tries: r.Tries, Error: r.Error}
		switch r.State {
		case store.CallbackDelivered:
			c.State = "delivered"
		case store.CallbackDead:
			c.State = "given up"
		}
		x.Told = append(x.Told, c)
	}
	return err
}

func (x *Exchange) addReceived(ctx context.Context, id exchange.ID, db Calls) error {
	in, err := db.InboxExchange(ctx, id)
	for _, r := range in {
		m := Incoming{ID: r.ID, Kind: string(r.Kind), Attempt: r.Attempt, Offset: r.Offset, Bytes: len(r.Data) + len(r.Body), Plain: r.Size,
			Sent: r.SentAt, Received: r.Received, Tries: r.Tries, State: "handled"}
		switch r.State {
		case store.InNew:
			m.State = "new"
		case store.InFailed:
			m.State = "set aside"
		}
		x.Received = append(x.Received, m)
	}
	return err
}
