package sim

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
)

// A process that has ended is not kept for as long as the world goes on: a soak plays worlds with thousands of crashes.
func TestEndedProcessesAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := clean(300)
		p.NoDisturbance, p.Chunks, p.Expires, p.Data = false, true, true, 20
		p.CrashEvery, p.DownFor = 500*time.Millisecond, 200*time.Millisecond
		w := newWorld(p)
		defer w.finish()
		for _, s := range w.sites {
			s.boot()
		}
		w.workload()
		w.troubles()
		w.transfers()
		cores := map[weak.Pointer[node.Core]]bool{}
		w.until("trouble", time.Hour, func() bool {
			for _, s := range w.sites {
				for _, p := range s.procs {
					cores[weak.Make(p.core)] = true
				}
			}
			return len(cores) > 60
		})
		w.heal() // what was planned while the processes ran has happened
		w.until("calm", time.Minute, func() bool { return false })
		runtime.GC()
		kept := 0
		for c := range cores {
			if c.Value() != nil {
				kept++
			}
		}
		if kept < 1 || kept > len(w.sites) || !w.ok() {
			t.Errorf("%d of %d processes are kept, want those %d that run; %v", kept, len(cores), len(w.sites), w.violation())
		}
	})
}

// Of a line that was sealed long ago a hash is kept, which is enough to open it; nothing else is opened.
func TestOldLinesAreOpened(t *testing.T) {
	b := newSealedBook()
	var first []byte
	for seq := range uint64(100) {
		name := frame.Name{Recipient: identity.ID{2}, Sender: identity.ID{1}, Seq: 1_000_000 + seq, Ext: frame.ExtFrame}
		msg := fmt.Appendf(nil, `{"id":%d,"kind":"req","data":{"text":"%s"}}`, seq+1, strings.Repeat("x", youngBytes/50))
		last := seq + 1
		c := &frame.Claims{V: frame.Version, Iss: name.Sender, Aud: name.Recipient, Rkt: standIn{}.Rkt(), Ep: 1000, Seq: name.Seq, Fin: true, Iat: 1, Jti: strings.Repeat("A", 22),
			Run: frame.Run{FirstSeq: 1_000_000, FirstID: 1}, Base: 1, Last: &last, Ack: &frame.Ack{}, Rx: &frame.Rx{}}
		line := c.Append(nil, [][]byte{msg})
		said, err := frame.ParseClaims(line)
		if err != nil {
			t.Fatal(err)
		}
		b.add(name, line, said)
		if first == nil {
			first = line
		}
	}
	if len(b.young) > 50 || b.bytes > youngBytes {
		t.Errorf("%d lines of %d bytes are kept", len(b.young), b.bytes)
	}
	name := frame.Name{Recipient: identity.ID{2}, Sender: identity.ID{1}, Seq: 1_000_000, Ext: frame.ExtFrame}
	if c := b.find(name, first); c == nil || c.Seq != name.Seq || len(c.Msg) != 1 || c.Msg[0].ID != 1 {
		t.Errorf("the first line was opened as %+v", c)
	}
	if c := b.find(name, append(first[:len(first)-1:len(first)-1], ' ')); c != nil {
		t.Error("a damaged line was opened")
	}
	name.Seq++
	if b.find(name, first) != nil {
		t.Error("a line was opened in another file")
	}
}
