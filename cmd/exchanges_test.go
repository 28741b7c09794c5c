package cmd

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/site"
)

// async makes a call that nobody waits for and gives its id.
func (w *lookWorld) async(s *site.Site, method, path string, fields ...string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+s.Addr().String()+path, strings.NewReader(lookBody))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Prefer", "respond-async")
	req.Header.Set("Authorization", lookAuth)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusAccepted {
		w.t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	return resp.Header.Get("Hoft-Exchange")
}

// ended waits for the end of an exchange, by a long poll.
func (w *lookWorld) ended(s *site.Site, id string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+s.Addr().String()+"/.hoft/v1/exchanges/"+id, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Prefer", "wait=60")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var st struct {
		Done   bool
		Status string
	}
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil || !st.Done {
		w.t.Fatalf("%+v, %v", st, err)
	}
	return st.Status
}

func TestExchangesCancelReplay(t *testing.T) {
	w := newLookWorld(t)
	_, stopB := w.serve("b.yaml", site.Roles{Egress: true})
	a, stopA := w.serve("a.yaml", site.Roles{Ingress: true})
	got := w.async(a, "GET", "/items?token=secret-query")
	posted := w.async(a, "POST", "/batch")
	keyed := w.async(a, "POST", "/keyed", "Idempotency-Key", "kept-secret-key-1")
	failed := w.async(a, "POST", "/none/x")
	for id, want := range map[string]string{got: "Succeeded", posted: "Succeeded", keyed: "Succeeded", failed: "Failed"} {
		if st := w.ended(a, id); st != want {
			t.Errorf("%s: %s, want %s", id, st, want)
		}
	}

	// Lists.
	text := w.run(0, "exchanges", "--config", "a.yaml")
	for _, want := range []string{got, posted, keyed, failed, "failed: no-such-upstream", "/items?…", "200"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	var list admin.ExchangeList
	read := func(v any, args ...string) {
		t.Helper()
		if err := json.Unmarshal([]byte(w.run(0, args...)), v); err != nil {
			t.Fatal(err)
		}
	}
	read(&list, "exchanges", "--config", "a.yaml", "--json", "--state", "failed", "--peer", "site-b", "--since", "1h", "--route", "/none")
	if len(list.Exchanges) != 1 || list.Exchanges[0].ID != failed || !list.Exchanges[0].Repeat.Safe || !list.Running {
		t.Errorf("%+v", list)
	}
	list = admin.ExchangeList{}
	read(&list, "exchanges", "--config", "a.yaml", "--json", "--limit", "2")
	if len(list.Exchanges) != 2 || list.Next == "" {
		t.Errorf("%+v", list)
	}
	w.run(13, "exchanges", "--config", "a.yaml", "--peer", "site-c")
	w.run(2, "exchanges", "--config", "a.yaml", "--since", "soon")
	w.run(2, "exchanges", "--config", "a.yaml", "--limit", "0")

	// Replays.
	plan := w.run(0, "replay", "--config", "a.yaml", "--since", "1h", "--dry-run")
	if !strings.Contains(plan, "would replay 3 of 4 exchanges") || !strings.Contains(plan, "needs --force") || !strings.Contains(plan, "key present") {
		t.Errorf("plan:\n%s", plan)
	}
	w.run(2, "replay", "--config", "a.yaml", "--since", "1h") // nobody to ask
	w.run(2, "replay", "--config", "a.yaml")
	w.run(2, "replay", "--config", "a.yaml", "--since", "1h", got)
	w.run(2, "replay", "--config", "a.yaml", "nonsense", "--yes")
	out := w.run(3, "replay", "--config", "a.yaml", "--yes", got, posted)
	if !strings.Contains(out, posted+"  the call may have reached the server") {
		t.Errorf("%s", out)
	}
	var done []doneRow
	read(&done, "replay", "--config", "a.yaml", "--yes", "--force", "--json", posted, keyed)
	for i, d := range done {
		if !d.OK || w.ended(a, d.NewID) != "Succeeded" {
			t.Errorf("%+v", d)
		}
		if x := w.run(0, "inspect", "--config", "a.yaml", d.NewID); !strings.Contains(x, "repeats "+[]string{posted, keyed}[i]) {
			t.Errorf("%s", x)
		}
	}
	w.run(1, "replay", "--config", "a.yaml", "--yes", "01a201e6-a330-7c55-9e1b-6a0d1c2b7e44")

	// Cancels.
	stopB()
	waiting := w.async(a, "POST", "/later")
	out = w.run(3, "cancel", "--config", "a.yaml", waiting, got)
	if !strings.Contains(out, waiting+"  cancel") || !strings.Contains(out, got+"  not canceled: succeeded") {
		t.Errorf("%s", out)
	}
	w.run(1, "cancel", "--config", "a.yaml", "01a201e6-a330-7c55-9e1b-6a0d1c2b7e44")
	w.run(2, "cancel", "--config", "a.yaml", "x")
	stopA()
	w.run(10, "cancel", "--config", "a.yaml", waiting)
	w.run(10, "replay", "--config", "a.yaml", "--yes", got)
	text, note := w.both(0, "exchanges", "--config", "a.yaml")
	if !strings.Contains(text, waiting) || !strings.Contains(note, "stored state") {
		t.Errorf("not running:\n%s%s", text, note)
	}
	for _, secret := range []string{lookBody, lookAuth, lookReply, "secret-query", "kept-secret-key-1"} {
		if strings.Contains(w.seen.String(), secret) {
			t.Errorf("%q was printed", secret)
		}
	}
}

func TestCallbacksGivenUp(t *testing.T) {
	w := newLookWorld(t)
	answers, got := make(chan int, 9), make(chan string, 9)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Webhook-Id")
		rw.WriteHeader(<-answers)
	}))
	t.Cleanup(receiver.Close)
	w.write("c.yaml", "name: site-a\nstate_dir: ./a\npipe: {outbox: ./ab, inbox: ./ba, settle: 100ms}\npeers: [{name: site-b, keys: ./b.jwks}]\n"+
		"ingress: {listen: '127.0.0.1:0', routes: [{path: /, peer: site-b, upstream: orders}]}\ncallbacks: {allow: ['http://127.0.0.1:*']}\n")
	w.serve("b.yaml", site.Roles{Egress: true})
	a, stopA := w.serve("c.yaml", site.Roles{Ingress: true})
	id := w.async(a, "POST", "/x", "Hoft-Callback-Url", receiver.URL+"/hook?token=secret-query")
	hook := <-got
	answers <- http.StatusGone
	if hook != id+".completed" {
		t.Errorf("webhook-id %s", hook)
	}
	guard := time.Now().Add(time.Minute)
	var list admin.CallbackList
	for len(list.Callbacks) == 0 && time.Now().Before(guard) {
		if err := json.Unmarshal([]byte(w.run(0, "status", "--callbacks", "--config", "c.yaml", "--json")), &list); err != nil {
			t.Fatal(err)
		}
	}
	if len(list.Callbacks) != 1 || list.Callbacks[0].ID != hook || list.Callbacks[0].Status != 410 {
		t.Fatalf("%+v", list)
	}
	for args, want := range map[string]string{"status": "1 callback was given up", "status --callbacks": "/hook?…", "replay --callbacks --dry-run": hook, "inspect " + id: "given up"} {
		if out := w.run(0, append(strings.Fields(args), "--config", "c.yaml")...); !strings.Contains(out, want) {
			t.Errorf("%s: %q is not in\n%s", args, want, out)
		}
	}
	w.run(2, "replay", "--callbacks", "--config", "c.yaml")
	w.run(1, "replay", "--callbacks", "--config", "c.yaml", "--yes", "01a201e6-a330-7c55-9e1b-6a0d1c2b7e44")
	w.run(0, "replay", "--callbacks", "--config", "c.yaml", "--yes", id)
	if again := <-got; again != hook {
		t.Errorf("sent again with id %s", again)
	}
	answers <- http.StatusOK
	for w.run(0, "status", "--callbacks", "--config", "c.yaml") != "no callback was given up\n" {
		if time.Now().After(guard) {
			t.Fatal("still given up")
		}
	}
	stopA()
	w.run(0, "status", "--callbacks", "--config", "c.yaml")
	if strings.Contains(w.seen.String(), "secret-query") || strings.Contains(w.seen.String(), "whsec_") {
		t.Error("a secret was printed")
	}
}
