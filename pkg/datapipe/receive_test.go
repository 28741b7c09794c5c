package datapipe_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

func send(t *testing.T, from *host, m chunk.Map) (string, error) {
	t.Helper()
	resp, err := from.p.Send(t.Context(), &m, from.peer.Name, "token", "client", longWait, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// Data is sent to the peer: only what it lacks travels, and it is kept there.
func TestSend(t *testing.T) {
	a, b := pair(t)
	data := randomBytes(18 << 20)
	m := a.keep(data)
	b.read(m, 0, 10<<20)
	before := a.written()
	report, err := send(t, a, m)
	if err != nil || report != `{"size":18874368,"fetched":8388608,"until":"2033-05-18T03:33:20Z"}` {
		t.Fatalf("%v, %s", err, report)
	}
	if moved := a.written() - before; moved > 9<<20 {
		t.Errorf("%d bytes moved for 8 MiB", moved)
	}
	if kept := <-b.kept; kept != "site-a 18874368" {
		t.Errorf("kept: %s", kept)
	}
	if !bytes.Equal(b.open(m, 0, int64(len(data))), data) {
		t.Error("not the data")
	}
	before = a.written()
	if report, err = send(t, a, m); err != nil || a.written() != before {
		t.Errorf("the same again: %v, %s, %d bytes", err, report, a.written()-before)
	}
	short := chunk.Map{Cnt: []byte("abc")}
	if report, err = send(t, a, short); err != nil || report != `{"size":3,"fetched":0,"until":"2033-05-18T03:33:20Z"}` {
		t.Errorf("%v, %s", err, report)
	}
	quiet(t, a, b)
}

// Who takes nothing, has no room, or is too small for it says so. What the sender lacks itself cannot be sent.
func TestSendRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a, b *host)
		code   string
	}{
		"not allowed":     {func(_, b *host) { b.allowed = func(identity.ID) bool { return false } }, exchange.CodeDenied},
		"no room":         {func(_, b *host) { b.most = -1 }, exchange.CodeDataFull},
		"too much":        {func(_, b *host) { b.most = 1 << 20 }, exchange.CodeTooLarge},
		"given to nobody": {func(a, _ *host) { a.allowed = func(identity.ID) bool { return false } }, exchange.CodeDataMissing},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := apart(t)
			c.change(a, b)
			a.start()
			b.start()
			_, err := send(t, a, a.keep(randomBytes(2<<20)))
			problem(t, err, c.code)
		})
	}
}

// The receiver is killed in the middle: it goes on where it was.
func TestSendOverARestart(t *testing.T) {
	a, b := apart(t)
	first := make(chan struct{})
	a.pipe.SetFate(func(n int, data []byte) ([]byte, bool) {
		if n == 1 {
			close(first)
		}
		return data, false
	})
	a.start()
	b.start()
	data := randomBytes(25 << 20)
	m := a.keep(data)
	ids, over := make(chan exchange.ID, 1), make(chan error, 1)
	go func() {
		_, err := a.p.Send(context.Background(), &m, "site-b", "", "", 0, func(id exchange.ID) { ids <- id })
		over <- err
	}()
	id := <-ids
	if err := <-over; !errors.Is(err, exchange.ErrWait) {
		t.Fatal(err)
	}
	<-first
	b.crash()
	b.start()
	if err := a.m.Await(t.Context(), id, longWait); err != nil {
		t.Fatal(err)
	}
	if st, err := a.m.State(t.Context(), id); err != nil || st.State != exchange.StateSucceeded || st.Status != 200 {
		t.Fatalf("%v, %+v", err, st)
	}
	if !bytes.Equal(b.open(m, 0, int64(len(data))), data) {
		t.Error("not the data")
	}
	if n := a.written(); n > 60<<20 {
		t.Errorf("%d bytes written for %d", n, len(data))
	}
}
