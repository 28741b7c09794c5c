package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// CallbacksSchema names the form of CallbackList in JSON. Members are only ever added.
const CallbacksSchema = "hoft.callbacks/1"

// CallbackList is the callbacks that were given up, the newest first.
type CallbackList struct {
	Schema    string        `json:"schema"`
	Callbacks []CallbackRow `json:"callbacks"`
}

// CallbackRow is one callback.
type CallbackRow struct {
	ID       string     `json:"id"` // the webhook-id
	Exchange string     `json:"exchange"`
	Type     string     `json:"type"`
	URL      string     `json:"url"` // without its query
	State    string     `json:"state"`
	At       time.Time  `json:"at"`
	Tries    int        `json:"tries"`
	Next     *time.Time `json:"next,omitempty"`
	Status   int        `json:"status,omitempty"`
	Error    string     `json:"error,omitempty"`
}

// maxCallbacks is how many are listed.
const maxCallbacks = 500

// Hooked is what is needed of a store to list callbacks; store.ReadOnly has it.
type Hooked interface {
	Callbacks(ctx context.Context, f store.CallbackFilter) ([]store.Callback, error)
}

// Callbacks lists what was given up.
func Callbacks(ctx context.Context, db Hooked) (*CallbackList, error) {
	rows, err := db.Callbacks(ctx, store.CallbackFilter{Dead: true, Limit: maxCallbacks})
	if err != nil {
		return nil, err
	}
	out := &CallbackList{Schema: CallbacksSchema, Callbacks: []CallbackRow{}}
	for _, c := range rows {
		out.Callbacks = append(out.Callbacks, callbackRow(c))
	}
	return out, nil
}

func callbackRow(c store.Callback) CallbackRow {
	r := CallbackRow{ID: c.ID, Exchange: exchange.ID(c.Exchange).String(), Type: c.Type, URL: withoutQuery(c.URL), At: c.At, Tries: c.Tries, Status: c.Status, Error: c.Error}
	switch c.State {
	case store.CallbackDue:
		r.State, r.Next = "due", timeOrNil(c.Next)
	case store.CallbackDelivered:
		r.State = "delivered"
	default:
		r.State = "given up"
	}
	return r
}

// withoutQuery shows a URL without what may be a secret in it.
func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath() + map[bool]string{true: "?…"}[u.RawQuery != ""]
}

func (m *Monitor) routeCallbacks(mux *http.ServeMux) {
	mux.HandleFunc("GET "+PathCallbacks, func(w http.ResponseWriter, r *http.Request) {
		out, err := Callbacks(r.Context(), m.site.State)
		if err != nil {
			failed(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
	mux.HandleFunc("POST "+PathCallbacks+"/{id}/replay", func(w http.ResponseWriter, r *http.Request) {
		err := errors.New("this site sends no callbacks: set callbacks.allow")
		if m.site.Hooks != nil {
			err = m.site.Hooks.Replay(r.Context(), r.PathValue("id"))
		}
		if err != nil {
			failed(w, err)
			return
		}
		writeJSON(w, http.StatusOK, Done{ID: r.PathValue("id")})
	})
}
