package inspect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/admin/inspect"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/site"
)

var now = time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC)

// Secrets that must not be in any output.
const (
	canaryBody  = "BODY-CANARY-7f3a"
	canaryAuth  = "Bearer AUTH-CANARY-1c9d"
	canaryQuery = "QUERY-CANARY-55e0"
	canaryField = "FIELD-CANARY-aa01" // to be seen with Headers alone
	canaryPhs   = "PHS-CANARY-0b4e"
	exchangeID  = "01a201e6-a330-7c55-9e1b-6a0d1c2b7e44"
)

func newSite(t *testing.T, name string) *identity.Site {
	t.Helper()
	s, err := identity.Generate(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// world is two sites that know each other, and what the second one holds of the first in its inbox.
type world struct {
	a, b *identity.Site
	keys inspect.Keys // of b
	name frame.Name
	data []byte // three lines
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{a: newSite(t, "site-a"), b: newSite(t, "site-b")}
	w.keys = keysOf(t, w.b, w.a)
	w.name = frame.Name{Recipient: w.b.ID(), Sender: w.a.ID(), Seq: 1795347222331001, Ext: frame.ExtFrame}
	w.data = w.frame(t, w.a, w.b)
	return w
}

func keysOf(t *testing.T, self *identity.Site, peers ...*identity.Site) inspect.Keys {
	t.Helper()
	var public []*identity.Peer
	for _, p := range peers {
		public = append(public, p.Public())
	}
	k, err := site.InspectKeys(self, public, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// frame seals three lines from one site to another: a request, the beginning of its answer, a part.
func (w *world) frame(t *testing.T, from, to *identity.Site) []byte {
	t.Helper()
	s, err := seal.NewSealer(site.SelfKeys(from), site.PeerKeys(to.Public()))
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(9120)
	ack := &frame.Ack{Contig: 7710, OOO: frame.Ranges{{7714, 7720}}}
	rx := &frame.Rx{Top: 1795347223340000, Dly: 12, Seen: frame.Ranges{{1795347223340000, 1795347223340000}}}
	msgs := [][]byte{
		tail(t, frame.KindReq, `{"exchange":"`+exchangeID+`","oep":1,"attempt":1,"upstream":"orders","method":"POST","target":"/v2/batch?token=`+canaryQuery+
			`&a=1","scheme":"http","host":"x","fields":[["Authorization","`+canaryAuth+`"],["X-Api-Key","`+canaryAuth+`"],["X-Thing","`+canaryField+`"]],"length":16,"at":1}`,
			[]byte(canaryBody)).WithID(9118),
		tail(t, frame.KindRes, `{"exchange":"`+exchangeID+`","attempt":1001,"status":207,"fields":[["Set-Cookie","`+canaryAuth+`"]],"length":16,"cnt":"`+canaryPhs+`"}`,
			bytes.Repeat([]byte(canaryBody), 100)).WithID(9119),
		tail(t, "later", `{"exchange":"`+exchangeID+`","map":[{"num":0,"hsh":"h","phs":"`+canaryPhs+`","len":1}]}`, nil).WithID(9120),
	}
	var out []byte
	for i, m := range msgs {
		c := frame.Claims{V: frame.Version, Iss: from.ID(), Aud: to.ID(), Rkt: s.Rkt(), Ep: 1795347222331, Pep: 1795347222000, Seq: w.name.Seq, Idx: i,
			Fin: i == len(msgs)-1, Iat: now.Add(-12 * time.Minute).Unix(), Jti: "6fYbizuol4vRuJuwGvGBng", Run: frame.Run{FirstSeq: w.name.Seq, FirstID: 1}, Base: 9079}
		if i != 1 {
			c.Last, c.Ack, c.Rx = &last, ack, rx
		}
		if out, err = s.Seal(out, c.Append(nil, [][]byte{m})); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func tail(t *testing.T, kind frame.Kind, data string, body []byte) frame.Tail {
	t.Helper()
	tl, err := frame.EncodeTail(kind, []byte(data), body, true)
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

// look writes data under a name and inspects it.
func look(t *testing.T, k inspect.Keys, name string, data []byte, o inspect.Options) *inspect.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Now = now
	f, err := inspect.Look(path, k, o)
	if err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{canaryBody, canaryAuth, canaryQuery, canaryPhs} {
		if strings.Contains(string(js), secret) {
			t.Errorf("%s is in the report", secret)
		}
	}
	if strings.Contains(string(js), canaryField) != o.Headers {
		t.Errorf("with headers %v, a field's value is shown: %v", o.Headers, !o.Headers)
	}
	return f
}

func cuts(data []byte) (ends []int) {
	for i, c := range data {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	return ends
}

func TestWholeFile(t *testing.T) {
	w := newWorld(t)
	f := look(t, w.keys, w.name.String(), w.data, inspect.Options{Headers: true})
	if f.Verdict != inspect.Whole || f.Good != 3 || f.Bad != 0 || f.Written == nil || *f.Written != 3 || f.Name.Sender.Name != "site-a" || f.Name.Recipient.Name != "site-b" {
		t.Fatalf("%+v", f)
	}
	l := f.Lines[0]
	if l.Alg != "ECDH-ES" || l.Enc != "A256GCM" || l.SealedTo != "site-b" || l.SigAlg != "EdDSA" || l.SigKid == "" || !l.Verified {
		t.Errorf("%+v", l)
	}
	c := l.Claims
	if c.Iss.Name != "site-a" || c.Aud.Name != "site-b" || c.Base != 9079 || *c.Last != 9120 || c.Ack.Contig != 7710 || c.Rx.Dly != 12 || c.AheadS != 0 ||
		!c.Sent.Equal(now.Add(-12*time.Minute)) {
		t.Errorf("%+v", c)
	}
	m := c.Messages[0]
	if m.ID != 9118 || m.Kind != "req" || m.Method != "POST" || m.Target != "/v2/batch?token=[redacted]&a=1" || m.Upstream != "orders" ||
		m.Exchange != exchangeID || m.Body != len(canaryBody) || *m.Plain != len(canaryBody) || m.Data == 0 {
		t.Errorf("%+v", m)
	}
	if got := m.Fields; len(got) != 3 || got[0] != [2]string{"Authorization", "[redacted]"} || got[1][1] != "[redacted]" || got[2][1] != canaryField {
		t.Errorf("%v", got)
	}
	res, later := f.Lines[1].Claims.Messages[0], f.Lines[2].Claims.Messages[0]
	if res.Status != 207 || res.Enc != "zstd" || *res.Plain != 100*len(canaryBody) || res.Body >= *res.Plain || f.Lines[1].Claims.Ack != nil {
		t.Errorf("%+v", res)
	}
	if later.Kind != "later" || later.Exchange != exchangeID || later.Fields != nil {
		t.Errorf("%+v", later)
	}
	f = look(t, w.keys, w.name.String(), w.data, inspect.Options{})
	if m := f.Lines[0].Claims.Messages[0]; m.Target != "/v2/batch?…" || m.Fields != nil {
		t.Errorf("%+v", m)
	}
}

// Every way in which a file can be bad is told plainly.
func TestVerdicts(t *testing.T) {
	w := newWorld(t)
	ends := cuts(w.data)
	flipped := bytes.Clone(w.data)
	if at := ends[0] + len(w.data[ends[0]:ends[1]])/2; flipped[at] == 'A' {
		flipped[at] = 'B' // another character that a token may have: what is damaged is the ciphertext
	} else {
		flipped[at] = 'A'
	}
	allBad := bytes.Clone(w.data)
	for _, e := range ends {
		allBad[e-3] ^= 1
	}
	c, stranger := newSite(t, "site-c"), newSite(t, "site-d")
	// Other keys under the same ids, as after a key was changed and the other side not told.
	rekeyed := func(s *identity.Site) *identity.Site { return withNewKeys(t, s) }
	name := func(to, from *identity.Site) string {
		return frame.Name{Recipient: to.ID(), Sender: from.ID(), Seq: w.name.Seq, Ext: frame.ExtFrame}.String()
	}
	quarantined := "20261122T081400.000-0007--decrypt--" + w.name.String()
	for _, x := range []struct {
		what    string
		keys    inspect.Keys
		name    string
		data    []byte
		verdict string
		text    string
	}{
		{"cut between lines", w.keys, w.name.String(), w.data[:ends[1]], inspect.Partly, "truncated: 2 lines good in the"},
		{"cut in a line", w.keys, w.name.String(), w.data[:ends[1]+99], inspect.Partly, "truncated: 2 lines good in the"},
		{"without its first line", w.keys, w.name.String(), w.data[ends[0]:], inspect.Partly, "truncated: 2 lines good in the"},
		{"cut in the first line", w.keys, w.name.String(), w.data[:99], inspect.Refused, "truncated in its first line"},
		{"empty", w.keys, w.name.String(), nil, inspect.Refused, "truncated: the file is empty"},
		{"without the last newline", w.keys, w.name.String(), w.data[:len(w.data)-1], inspect.Whole, "whole: 3 lines"},
		{"one character changed", w.keys, w.name.String(), flipped, inspect.Partly, "damaged: 2 of 3 lines good; check 7 (decrypt)"},
		{"every line damaged", w.keys, w.name.String(), allBad, inspect.Refused, "damaged: none of 3 lines good; check"},
		{"quarantined", w.keys, quarantined, w.data, inspect.Whole, "whole: 3 lines, all verified"},
		{"renamed", w.keys, "copy of " + w.name.String(), w.data, inspect.Whole, "its name has more than a file's name"},
		{"under another number", w.keys, frame.Name{Recipient: w.b.ID(), Sender: w.a.ID(), Seq: 7, Ext: frame.ExtFrame}.String(), w.data, inspect.Refused, "seq is not the one of the file name"},
		{"under another sender", keysOf(t, w.b, w.a, c), name(w.b, c), w.data, inspect.NoKeys, "unknown key: signed with key"},
		{"no hoft name", w.keys, "x.jwe", w.data, inspect.Refused, "sealed lines under a name that is no hoft file name"},
		{"no hoft file", w.keys, "notes.txt", []byte("hello\nthere\n"), inspect.Refused, "not a hoft file"},
		{"for another site", keysOf(t, c, w.a), w.name.String(), w.data, inspect.Refused, "wrong recipient: it is for site " + w.b.ID().String()},
		{"of a stranger", keysOf(t, w.b, c), w.name.String(), w.data, inspect.NoKeys, "unknown sender: site " + w.a.ID().String()},
		{"sealed to an old key", keysOf(t, rekeyed(w.b), w.a), w.name.String(), w.data, inspect.NoKeys, "unknown key: sealed to key"},
		{"signed with a new key", keysOf(t, w.b, rekeyed(w.a)), w.name.String(), w.data, inspect.NoKeys, "unknown key: signed with key"},
		{"own", keysOf(t, w.a, w.b), w.name.String(), w.data, inspect.NoKeys, "written by this site: only site-b can open it"},
		{"own and damaged", keysOf(t, w.a, w.b), w.name.String(), []byte("%%%\n"), inspect.Refused, "damaged: none of 1 line has the shape"},
		{"without keys", inspect.WithoutKeys("no identity"), w.name.String(), w.data, inspect.NoKeys, "no identity; 3 of 3 lines well-formed"},
		{"a pack", w.keys, strings.Replace(w.name.String(), ".jwe", ".pack", 1), w.data, inspect.Refused, "a pack"},
		{"from a stranger to a stranger", w.keys, name(c, stranger), w.data, inspect.Refused, "wrong recipient"},
	} {
		f := look(t, x.keys, x.name, x.data, inspect.Options{})
		if f.Verdict != x.verdict || !strings.Contains(f.Text, x.text) {
			t.Errorf("%s: %s: %s; want %s: %s", x.what, f.Verdict, f.Text, x.verdict, x.text)
		}
	}
	f := look(t, w.keys, quarantined, w.data, inspect.Options{})
	if q := f.Name.Quarantined; q == nil || q.Reason != "decrypt" || !q.At.Equal(now.Add(-time.Minute)) || f.Name.Odd != "" {
		t.Errorf("%+v", f.Name)
	}
	f = look(t, w.keys, "x", w.data, inspect.Options{As: w.name.String()})
	if f.Verdict != inspect.Whole {
		t.Errorf("under its own name again: %s", f.Text)
	}
	f = look(t, w.keys, w.name.String()+".txt", w.data, inspect.Options{Suffix: ".txt"})
	if f.Verdict != inspect.Whole || f.Name.Odd != "" {
		t.Errorf("with the pipe's suffix: %+v", f.Name)
	}
	f = look(t, w.keys, w.name.String(), w.data[:ends[1]+99], inspect.Options{})
	if l := f.Lines[2]; !l.Cut || f.Written != nil {
		t.Errorf("%+v", f)
	}
}

// TestSuitesThatDiffer: a pre-shared secret at one site alone is said to be that, whichever it is.
func TestSuitesThatDiffer(t *testing.T) {
	w := newWorld(t)
	secret := filepath.Join(t.TempDir(), "secret")
	psk, err := identity.NewPSK()
	if err == nil {
		err = psk.Create(secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	shared := func(self, peer *identity.Site) inspect.Keys {
		k, err := site.InspectKeys(self, []*identity.Peer{peer.Public()}, map[string]config.Peer{peer.Name(): {Name: peer.Name(), PSK: secret}})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	s, err := seal.NewSealer(site.SelfKeys(w.a), seal.Peer{ID: w.b.ID(), Name: w.b.Name(), PSK: psk.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	c := frame.Claims{V: frame.Version, Iss: w.a.ID(), Aud: w.b.ID(), Rkt: s.Rkt(), Ep: 1795347222331, Pep: 1795347222000, Seq: w.name.Seq, Fin: true, Iat: now.Unix(),
		Jti: "6fYbizuol4vRuJuwGvGBng", Run: frame.Run{FirstSeq: w.name.Seq, FirstID: 1}, Base: 1, Last: &last, Ack: &frame.Ack{}, Rx: &frame.Rx{}}
	sealed, err := s.Seal(nil, c.Append(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what          string
		keys          inspect.Keys
		data          []byte
		verdict, text string
	}{
		{"secret here alone", shared(w.b, w.a), w.data, inspect.Refused, "sealed with public keys, and this site has a pre-shared secret for site-a"},
		{"secret there alone", w.keys, sealed, inspect.Refused, "sealed with a pre-shared secret, and this site has public keys for site-a"},
		{"secret at both", shared(w.b, w.a), sealed, inspect.Whole, "whole: 1 line"},
	} {
		f := look(t, x.keys, w.name.String(), x.data, inspect.Options{})
		if f.Verdict != x.verdict || !strings.Contains(f.Text, x.text) || (x.verdict == inspect.Refused) != strings.Contains(f.Next, "peers[].psk") {
			t.Errorf("%s: %s: %s; %s", x.what, f.Verdict, f.Text, f.Next)
		}
	}
}

// withNewKeys gives a site of the same id and name with other keys, by way of its file.
func withNewKeys(t *testing.T, s *identity.Site) *identity.Site {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	fresh := newSite(t, s.Name())
	if err := fresh.Create(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, identity.FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte(fresh.ID().String()), []byte(s.ID().String()))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOnlyRegularFiles(t *testing.T) {
	w := newWorld(t)
	if _, err := inspect.Look(t.TempDir(), w.keys, inspect.Options{Now: now}); !errors.Is(err, inspect.ErrNotFile) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := inspect.Look(filepath.Join(t.TempDir(), "none"), w.keys, inspect.Options{Now: now}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
