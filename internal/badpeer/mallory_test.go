package badpeer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/site"
)

// mallory is a bad peer: it has good keys, speaks the protocol well enough to be heard, and says what it likes.
type mallory struct {
	t      *testing.T
	w      *world
	name   string
	id     *identity.Site
	sealer *seal.Sealer
	opener *seal.Opener

	ext         frame.Ext
	ep, pep     uint64
	seq, nextID uint64
	contig, top uint64
	run         frame.Rand // of the victim

	mu      sync.Mutex
	read    map[string]bool
	answers map[string]answer // by exchange
	asked   []string          // exchanges that the victim asked for
	kinds   map[string]int    // of messages that came
}

// answer is what the victim said about a call.
type answer struct {
	Status  int
	Problem string
}

func (w *world) mallory(t *testing.T, name string) *mallory {
	t.Helper()
	id := w.bad[name]
	m := &mallory{t: t, w: w, name: name, id: id, ext: frame.ExtFrame, read: map[string]bool{}, answers: map[string]answer{}, kinds: map[string]int{}, nextID: 1}
	self, victim := site.SelfKeys(id), site.PeerKeys(w.victim.Public())
	if victim.Signed = w.signed[name]; victim.Signed {
		m.ext = frame.ExtSigned
	}
	var err error
	if m.sealer, err = seal.NewSealer(self, victim); err == nil {
		m.opener, err = seal.NewOpener(self, []seal.Peer{victim})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.ep = uint64(time.Now().UnixMilli())
	m.seq = m.ep * frame.SeqPerEpoch
	m.greet()
	return m
}

// greet says hello until the victim's epoch is known, and once more under the pair.
func (m *mallory) greet() {
	m.t.Helper()
	hello := func(c *frame.Claims) {
		c.Caps = []string{"req", "res", "body", "abort", "cancel", "stage", "win", "pack", "have", "probe", "want", "gone", "zstd"}
	}
	m.frame(hello)
	if !eventually(func() bool { m.look(); return m.pep != 0 }) {
		m.t.Fatal("the victim does not answer a hello")
	}
	m.frame(hello)
}

// claims are right claims of a file with one line.
func (m *mallory) claims() *frame.Claims {
	last := m.nextID - 1
	return &frame.Claims{V: frame.Version, Iss: m.id.ID(), Aud: m.w.victim.ID(), Rkt: m.sealer.Rkt(), Ep: m.ep, Pep: m.pep, Seq: m.seq, Fin: true,
		Iat: time.Now().Unix(), Jti: base64.RawURLEncoding.EncodeToString(make([]byte, 16)), Run: frame.Run{FirstSeq: m.ep * frame.SeqPerEpoch, FirstID: 1, Rand: [8]byte{1}},
		Base: 1, Last: &last, Ack: &frame.Ack{Contig: m.contig}, Rx: &frame.Rx{Top: m.top, Run: m.run}}
}

// frame writes a file of one line; edit changes its claims, msgs are messages with their ids.
func (m *mallory) frame(edit func(*frame.Claims), msgs ...[]byte) {
	m.t.Helper()
	c := m.claims()
	if edit != nil {
		edit(c)
	}
	m.file(c.Seq, c.Append(nil, msgs))
	m.seq++
}

// file seals claims as they are, right or wrong, and puts them into the folder.
func (m *mallory) file(seq uint64, lines ...[]byte) {
	m.t.Helper()
	var data []byte
	for _, claims := range lines {
		var err error
		if data, err = m.sealer.Seal(data, claims); err != nil {
			m.t.Fatal(err)
		}
	}
	m.put(frame.Name{Recipient: m.w.victim.ID(), Sender: m.id.ID(), Seq: seq, Ext: m.ext}, data)
}

func (m *mallory) put(name frame.Name, data []byte) {
	m.t.Helper()
	dir := filepath.Join(m.w.path("share"), name.Recipient.String())
	tmp := filepath.Join(dir, fmt.Sprintf(".%s.tmp", name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, name.String())); err != nil {
		m.t.Fatal(err)
	}
}

// msg is a message with the next id; data is JSON as it is.
func (m *mallory) msg(kind, data string, body []byte) []byte {
	m.t.Helper()
	id := m.nextID
	m.nextID++
	return m.as(id, kind, data, "", body)
}

func (m *mallory) as(id uint64, kind, data, enc string, body []byte) []byte {
	b := fmt.Appendf(nil, `{"id":%d,"kind":%q,"data":%s`, id, kind, data)
	if enc != "" {
		b = fmt.Appendf(b, `,"enc":%q`, enc)
	}
	if body != nil {
		b = fmt.Appendf(b, `,"body":"%s"`, base64.RawURLEncoding.EncodeToString(body))
	}
	return append(b, '}')
}

// say writes messages, as many to a line as go, in files of up to 64 lines.
func (m *mallory) say(msgs ...[]byte) {
	m.t.Helper()
	var lines [][][]byte
	n := 0
	for _, b := range msgs {
		if n += len(b); len(lines) == 0 || n > frame.LineTarget {
			lines, n = append(lines, nil), len(b)
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], b)
	}
	for len(lines) > 0 {
		k := min(len(lines), 64)
		var texts [][]byte
		for i, l := range lines[:k] {
			c := m.claims()
			c.Idx, c.Fin = i, i == k-1
			texts = append(texts, c.Append(nil, l))
		}
		m.file(m.seq, texts...)
		m.seq++
		lines = lines[k:]
	}
}

// newID is the id of an exchange.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// oldID is the id of an exchange of two days ago.
func oldID() string {
	x := uuid.Must(uuid.NewV7())
	for i, ms := 5, time.Now().Add(-48*time.Hour).UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		x[i] = byte(ms)
	}
	return x.String()
}

// reqOf is the data of a request, with members changed: a nil value takes one out.
func (m *mallory) reqOf(x string, change map[string]any) string {
	d := map[string]any{"exchange": x, "oep": m.ep, "attempt": 1, "upstream": "open", "method": "GET", "target": "/open/" + m.name, "scheme": "http", "host": "h",
		"fields": [][2]string{}, "length": 0, "at": time.Now().UnixMilli()}
	for k, v := range change {
		if d[k] = v; v == nil {
			delete(d, k)
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// ask sends a request and waits for what becomes of it.
func (m *mallory) ask(change map[string]any, body []byte) answer {
	m.t.Helper()
	x := newID()
	m.say(m.msg("req", m.reqOf(x, change), body))
	return m.await(x)
}

func (m *mallory) await(x string) answer {
	m.t.Helper()
	var a answer
	if !eventually(func() bool {
		m.look()
		m.mu.Lock()
		defer m.mu.Unlock()
		var ok bool
		a, ok = m.answers[x]
		return ok
	}) {
		m.t.Fatalf("no answer to %s", x)
	}
	return a
}

// alive makes an allowed call and has it answered: the link works, and all that was sent before has been handled.
func (m *mallory) alive() {
	m.t.Helper()
	if a := m.ask(map[string]any{"target": "/open/alive"}, nil); a.Status != 200 {
		m.t.Errorf("an allowed call afterwards: %+v", a)
	}
}

// look reads what the victim has written, and acknowledges nothing.
func (m *mallory) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := filepath.Join(m.w.path("share"), m.id.ID().String())
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name, err := frame.ParseName(e.Name())
		if err != nil || !name.Ext.Frame() || m.read[e.Name()] {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // replaced meanwhile
		}
		res := m.opener.File(name, data, seal.Mark{})
		if !res.Whole {
			continue
		}
		m.read[e.Name()] = true
		m.top = max(m.top, name.Seq)
		for _, c := range res.Lines {
			m.pep, m.run = max(m.pep, c.Ep), c.Run.Rand
			for i := range c.Msg {
				m.hear(&c.Msg[i])
			}
		}
	}
}

func (m *mallory) hear(msg *frame.Message) {
	m.kinds[string(msg.Kind)]++
	if m.contig+1 == msg.ID {
		m.contig = msg.ID
	}
	var d struct {
		Exchange string
		Status   int
		Problem  struct{ Code string }
	}
	if json.Unmarshal(msg.Data, &d) != nil {
		return
	}
	switch msg.Kind {
	case frame.KindRes:
		m.answers[d.Exchange] = answer{d.Status, d.Problem.Code}
	case frame.KindReq:
		m.asked = append(m.asked, d.Exchange)
	}
}

// outcomes lists the answers so far, each once.
func (m *mallory) outcomes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[string]bool{}
	for _, a := range m.answers {
		if a.Problem != "" {
			seen[a.Problem] = true
		} else {
			seen[fmt.Sprint(a.Status)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
