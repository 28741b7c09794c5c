package exchange

import "time"

// CloudEvent is an event in the structured JSON mode of CloudEvents 1.0.2. Timestamp is the same as Time: with it the
// message has the form that Standard Webhooks suggests too.
type CloudEvent struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	Timestamp   time.Time `json:"timestamp"`
	ContentType string    `json:"datacontenttype"`
	Data        EventData `json:"data"`
}

// EventData is what an event says of its exchange.
type EventData struct {
	Exchange string               `json:"exchange"`
	Stage    string               `json:"stage"`
	State    string               `json:"state"` // running, succeeded, failed, canceled or uncertain
	Peer     string               `json:"peer"`
	Upstream string               `json:"upstream"`
	Method   string               `json:"method"`
	ReplayOf string               `json:"replayOf,omitzero"`
	At       time.Time            `json:"at"`             // by the clock of the site where it happened
	Noted    time.Time            `json:"noted,omitzero"` // by this site's
	Stages   map[string]time.Time `json:"stages,omitzero"`
	Transfer *Transfer            `json:"transfer,omitzero"` // of a progress event
	Response *EventResponse       `json:"response,omitzero"`
	Error    *EventProblem        `json:"error,omitzero"`
}

// EventResponse is the callee's answer. Bodies are in callbacks only, and only short ones.
type EventResponse struct {
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers,omitzero"`
	Href    string              `json:"href"`
	Body    *string             `json:"body,omitzero"`        // a text
	Base64  []byte              `json:"body_base64,omitzero"` // any other
}

// EventProblem is why there is no answer.
type EventProblem struct {
	Code   string `json:"code"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitzero"`
}

// ResponsePath is where the answer of an exchange is, at the ingress.
func ResponsePath(id ID) string { return "/.hoft/v1/exchanges/" + id.String() + "/response" }

// NewCloudEvent tells of an event of an exchange in the state st; id is the event's own.
func NewCloudEvent(site, id string, e Event, st *State) CloudEvent {
	at := e.At.UTC()
	d := EventData{Exchange: e.Exchange.String(), Stage: e.Type, State: StateRunning, Peer: st.Peer, Upstream: st.Upstream, Method: st.Method, At: at}
	if e.N != 0 {
		d.Noted = e.Noted().UTC()
	}
	if st.ReplayOf != (ID{}) {
		d.ReplayOf = st.ReplayOf.String()
	}
	if e.Type == EventProgress {
		d.Stage, d.Transfer = st.Stage, st.Transfer
	}
	if e.Type == EventCompleted {
		d.Stage, d.State, d.Stages = st.Stage, st.State, st.Stages
		switch {
		case st.Problem != nil:
			kind := Kinds[st.Problem.Code]
			d.Error = &EventProblem{Code: st.Problem.Code, Title: kind.Title, Status: kind.Status, Detail: st.Problem.Detail}
		case st.State == StateSucceeded:
			d.Response = &EventResponse{Status: st.Status, Href: ResponsePath(e.Exchange)}
		}
	}
	return CloudEvent{SpecVersion: "1.0", ID: id, Source: "hoft://" + site, Type: "hoft.exchange." + e.Type, Subject: d.Exchange, Time: at, Timestamp: at,
		ContentType: "application/json", Data: d}
}
