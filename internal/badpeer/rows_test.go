package badpeer

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// row is one thing that a bad peer does.
type row struct {
	name string // of its peer, given by the world
	what string
	do   func(m *mallory)
	// come is what became of it: what the peer, or a caller here, was answered. seen gives it where outcomes does not.
	come string
	seen func(m *mallory) string
	// told is the word in the status that shows it, "" where nothing is wrong by itself.
	told string
	// over says that the link is over for this peer by its own doing.
	over bool
	// signed says that the link is in signed mode.
	signed bool
}

const (
	none  = "nothing"
	mild  = "200"
	junk  = "bad-messages"
	files = "files-refused: "
)

func unseen(*mallory) string { return none }

func rows() []row {
	out := append(lines(), numbers()...)
	out = append(out, bodies()...)
	out = append(out, packs()...)
	out = append(out, requests()...)
	return append(append(out, others()...), replies()...)
}

// lines are sealed rightly and say what no line may.
func lines() []row {
	edited := func(edit func(text string) string) func(m *mallory) {
		return func(m *mallory) {
			m.file(m.seq, []byte(edit(string(m.claims().Append(nil, [][]byte{m.msg("req", m.reqOf(newID(), nil), nil)})))))
			m.nextID--
			m.seq++
		}
	}
	swap := func(old, new string) func(m *mallory) {
		return edited(func(text string) string { return strings.Replace(text, old, new, 1) })
	}
	refused := func(what string, do func(m *mallory)) row {
		return row{what: what, do: do, come: none, seen: unseen, told: files + "claims"}
	}
	return []row{
		refused("claims in the name of another peer (`iss`)", func(m *mallory) {
			m.frame(func(c *frame.Claims) { c.Iss = m.w.goodID.ID() })
		}),
		refused("claims for another site (`aud`)", func(m *mallory) { m.frame(func(c *frame.Claims) { c.Aud = m.w.goodID.ID() }) }),
		refused("claims of another file (`seq`)", func(m *mallory) {
			m.file(m.seq+7, m.claims().Append(nil, nil))
		}),
		refused("unknown member", swap(`{"v":1`, `{"v":1,"exp":1`)),
		refused("member twice", swap(`"ep":`, `"ep":1,"ep":`)),
		refused("lists in lists, 20,000 deep", swap(`"data":{`, `"data":{"x":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`,`)),
		refused("a message of 80 KiB", func(m *mallory) { m.frame(nil, m.as(m.nextID, "req", m.reqOf(newID(), nil), "", make([]byte, 60<<10))) }),
		refused("ids that descend", func(m *mallory) {
			m.frame(func(c *frame.Claims) { *c.Last = 9 }, m.as(9, "req", "{}", "", nil), m.as(8, "req", "{}", "", nil))
		}),
		refused("ack of 65 ranges", func(m *mallory) {
			m.frame(func(c *frame.Claims) {
				for i := range uint64(65) {
					c.Ack.OOO = append(c.Ack.OOO, frame.Range{10 + 3*i, 11 + 3*i})
				}
			})
		}),
		refused("ack of ranges that overlap", func(m *mallory) {
			m.frame(func(c *frame.Claims) { c.Ack.OOO = frame.Ranges{{10, 20}, {15, 30}} })
		}),
		{what: "4,096 lines of nothing", do: func(m *mallory) {
			var all [][]byte
			for range 4096 {
				all = append(all, []byte("{}"))
			}
			m.file(m.seq, all...)
			m.seq++
		}, come: none, seen: unseen, told: files + "version"},
		{what: "a file in the name of another peer, under the own key", do: func(m *mallory) {
			data, _ := m.sealer.Seal(nil, m.claims().Append(nil, nil))
			m.put(frame.Name{Recipient: m.w.victim.ID(), Sender: m.w.goodID.ID(), Seq: m.seq, Ext: frame.ExtFrame}, data)
			if !eventually(func() bool { p, _ := m.w.status("good"); return p.Files.Refused["signature"] > 0 }) {
				m.t.Error("the status of the other peer does not show the forged file")
			}
		}, come: none, seen: unseen},
	}
}

// numbers are acks, ids, files and epochs that make no sense.
func numbers() []row {
	return []row{
		{what: "ack of messages that were never sent", do: func(m *mallory) {
			was := m.pep
			m.frame(func(c *frame.Claims) { c.Ack.Contig = 1 << 40 })
			if !eventually(func() bool { m.look(); return m.pep > was }) {
				m.t.Error("no new epoch")
			}
		}, come: mild, told: "state-behind"},
		{what: "the same again under each new epoch", do: func(m *mallory) {
			for range 4 {
				m.frame(func(c *frame.Claims) { c.Ack.Contig = 1 << 40 })
				eventually(func() bool {
					was := m.pep
					m.look()
					p, _ := m.w.status(m.name)
					return m.pep > was || p.State == "blocked"
				})
			}
		}, come: none, seen: unseen, told: "peer-blocked", over: true},
		{what: "an epoch of this site at the end of time (`pep`)", do: func(m *mallory) {
			m.frame(func(c *frame.Claims) { c.Pep = frame.MaxEpoch - 1 })
		}, come: none, seen: unseen, told: "peer-blocked", over: true},
		{what: "a highest file at the end of all numbers (`rx.top`)", do: func(m *mallory) {
			m.frame(func(c *frame.Claims) { c.Rx.Top, c.Ack.Contig = frame.MaxSeq, 1<<40 })
		}, come: none, seen: unseen, told: "peer-blocked", over: true},
		{what: "a new epoch in each of 200 files", do: func(m *mallory) {
			for range 200 {
				m.ep++
				m.seq, m.nextID, m.contig = m.ep*frame.SeqPerEpoch, 1, 0
				m.frame(nil, m.msg("cancel", `{"exchange":"`+newID()+`"}`, nil))
			}
			m.greet()
		}, come: mild, told: "peer-began-anew"},
		{what: "two runs at the same place (`run`)", do: func(m *mallory) {
			m.frame(func(c *frame.Claims) { c.Run.Rand = [8]byte{2} }, m.msg("req", m.reqOf(newID(), nil), nil))
		}, come: none, seen: unseen, told: "peer-doubled", over: true},
		{what: "20,000 messages with every second id", do: func(m *mallory) {
			var all [][]byte
			for range 20_000 {
				m.nextID++
				all = append(all, m.msg("stage", `{"exchange":"`+newID()+`","stage":"calling","at":1}`, nil))
			}
			m.say(all...)
		}, come: none, seen: func(m *mallory) string {
			full := func() bool {
				p, _ := m.w.status(m.name)
				return len(p.Log.RecvGaps) > 0
			}
			if !eventually(full) {
				return "no gap"
			}
			return none
		}, told: "recv_gaps", over: true},
		{what: "one request in 50 files, and each file 3 times", do: func(m *mallory) {
			msg := m.msg("req", m.reqOf(newID(), map[string]any{"target": "/open/once", "method": "POST"}), nil)
			for range 50 {
				m.frame(nil, msg)
				m.seq--
				m.frame(nil, msg)
			}
			m.alive()
			if n := m.w.callee.count("/open/once"); n != 1 {
				m.t.Errorf("called %d times", n)
			}
		}, come: mild, told: "duplicates"},
	}
}

// bodies are requests in parts.
func bodies() []row {
	part := func(m *mallory, x string, offset int64, body []byte) []byte {
		return m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":0,"offset":%d}`, x, offset), body)
	}
	listed := func(m *mallory, x, text string) []byte {
		return m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":0,"offset":0,"map":%s}`, x, text), nil)
	}
	entry := func(num, n int, more string) string {
		return fmt.Sprintf(`{"num":%d,"hsh":%q,"phs":%q,"len":%d%s}`, num, b64(random(32)), b64(random(32)), n, more)
	}
	list := func(n, each int) string {
		var all []string
		for i := range n {
			all = append(all, entry(i, each, ""))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	mapped := func(what string, text func() string) row {
		return row{what: "map: " + what, do: func(m *mallory) {
			x := newID()
			m.say(listed(m, x, text()), m.msg("req", m.reqOf(x, map[string]any{"parts": 5, "length": 5}), nil))
			m.alive()
		}, come: "200, internal", told: junk}
	}
	return []row{
		{what: "a body whose parts come last first", do: func(m *mallory) {
			x := newID()
			m.say(part(m, x, 3, []byte("def")), m.msg("req", m.reqOf(x, map[string]any{"method": "POST", "parts": 6, "length": 6}), nil), part(m, x, 0, []byte("abc")))
			m.await(x)
		}, come: mild},
		{what: "parts that overlap", do: func(m *mallory) {
			x := newID()
			m.say(part(m, x, 0, []byte("abcd")), part(m, x, 2, []byte("cdef")), m.msg("req", m.reqOf(x, map[string]any{"method": "POST", "parts": 6, "length": 6}), nil))
			m.await(x)
			m.alive()
		}, come: "200, internal"},
		{what: "offsets below 0 and beyond 2^50", do: func(m *mallory) {
			m.say(part(m, newID(), -1, []byte("x")), part(m, newID(), 1<<50+1, []byte("x")), part(m, newID(), 1<<62, []byte("x")))
			m.alive()
		}, come: "200, internal", told: junk},
		{what: "20,000 parts of one byte, each apart from the others", do: func(m *mallory) {
			x := newID()
			var all [][]byte
			for i := range int64(20_000) {
				all = append(all, part(m, x, 2*i, []byte("x")))
			}
			m.say(all...)
			m.alive()
		}, come: "200, internal", told: junk},
		{what: "600 requests whose bodies never come", do: func(m *mallory) {
			var all [][]byte
			for range 600 {
				all = append(all, m.msg("req", m.reqOf(newID(), map[string]any{"method": "POST", "parts": 100, "length": 100}), nil))
			}
			m.say(all...)
			m.await(lastExchange(all))
		}, come: "rate-limited", told: junk, over: true},
		{what: "bodies of 12 MB without their requests", do: func(m *mallory) {
			var all [][]byte
			x := newID()
			for i := range int64(300) {
				all = append(all, part(m, x, i*40<<10, random(40<<10)))
			}
			m.say(all...)
			m.say(m.msg("req", m.reqOf(x, map[string]any{"method": "POST", "parts": 300 * 40 << 10, "length": 300 * 40 << 10}), nil))
			m.await(x)
			m.alive()
		}, come: "200, rate-limited", told: junk},
		{what: "map: chunks of 1.2 GB that never come", do: func(m *mallory) {
			x := newID()
			m.say(listed(m, x, list(300, chunk.MaxChunk)), m.msg("req", m.reqOf(x, map[string]any{"method": "POST", "parts": 300 * chunk.MaxChunk, "length": 300 * chunk.MaxChunk}), nil))
			m.await(x)
			m.alive()
		}, come: "200, body-too-large"},
		mapped("level 9", func() string { return "[" + entry(0, 5, `,"lvl":9`) + "]" }),
		mapped("a node in place of data", func() string { return "[" + entry(0, 5, `,"lvl":1`) + "]" }),
		mapped("numbers out of order", func() string { return "[" + entry(1, 5, "") + "]" }),
		mapped("length −5", func() string { return "[" + entry(0, -5, "") + "]" }),
		mapped("a chunk of 5 MiB", func() string { return "[" + entry(0, 5<<20, "") + "]" }),
		mapped("content in place of chunks", func() string { return `{"cnt":"aGVsbG8"}` }),
		mapped("no entry", func() string { return `[]` }),
		{what: "signed mode: a body inside of a message, where no scanner looks", signed: true, do: func(m *mallory) {
			x := newID()
			m.say(m.msg("req", m.reqOf(x, map[string]any{"method": "POST", "length": 5}), []byte("hello")))
			m.await(x)
			m.alive()
		}, come: "200, seal-mismatch", told: junk},
		{what: "signed mode: encrypted chunks", signed: true, do: func(m *mallory) {
			x := newID()
			m.say(listed(m, x, list(1, 5)))
			m.await(x)
			m.alive()
		}, come: "200, seal-mismatch", told: junk},
		mapped("plain chunks on an encrypted link", func() string {
			return fmt.Sprintf(`[{"num":0,"hsh":%q,"len":5,"alg":"plain"}]`, b64(random(32)))
		}).with("200, seal-mismatch"),
		{what: "a body of 64 MiB of zeros in 2 KiB of zstd", do: func(m *mallory) {
			x := newID()
			m.nextID++
			m.say(m.as(m.nextID-1, "req", m.reqOf(x, map[string]any{"method": "POST", "length": -1}), "zstd", zeros(64<<20)))
			m.await(x)
			m.alive()
		}, come: "200, internal", told: junk},
		{what: "zstd that is none", do: func(m *mallory) {
			x := newID()
			m.nextID++
			m.say(m.as(m.nextID-1, "req", m.reqOf(x, map[string]any{"method": "POST", "length": -1}), "zstd", random(100)))
			m.await(x)
			m.alive()
		}, come: "200, internal", told: junk},
	}
}

func (r row) with(come string) row { r.come = come; return r }

// packs are announcements, packs and questions about them.
func packs() []row {
	return []row{
		{what: "200,000 chunks announced, none sent", do: func(m *mallory) {
			var all [][]byte
			for i := range uint64(330) {
				recs := make([]string, 600)
				for k := range recs {
					recs[k] = fmt.Sprintf(`[%q,%q,1000]`, b64(random(16)), b64(random(32)))
				}
				all = append(all, m.msg("pack", fmt.Sprintf(`{"seq":%d,"exchange":%q,"recs":[%s]}`, m.ep*frame.SeqPerEpoch+900_000+i, newID(), strings.Join(recs, ",")), nil))
			}
			m.say(all...)
			m.alive()
			if p, _ := m.w.status(m.name); p.Bulk.Expected > 50_000 {
				m.t.Errorf("%d chunks are waited for", p.Bulk.Expected)
			}
		}, come: "200, chunk-quota", told: "expected_chunks"},
		{what: "packs of 100 bodies each, 30 times, none sent", do: func(m *mallory) {
			var all [][]byte
			for i := range uint64(30) {
				parts := make([]part, 100)
				for k := range parts {
					parts[k] = part{newID(), m.recs(4, 100_000)}
				}
				all = append(all, m.shared(m.ep*frame.SeqPerEpoch+900_000+i, parts...))
			}
			m.say(all...)
			m.alive()
			if p, _ := m.w.status(m.name); p.Bulk.Expected > 50_000 {
				m.t.Errorf("%d chunks are waited for", p.Bulk.Expected)
			}
		}, come: "200, chunk-quota", told: "expected_chunks"},
		{what: "packs with chunks for the call of another peer, as many as fit and more", do: func(m *mallory) {
			x, finish := m.w.goodHeld(m)
			data := random(5000)
			name, hsh := b64(random(16)), b64(sum(data))
			// First what is too much for any exchange, named for that one, then what is good, for it and for an own one.
			many := m.recs(600, 4<<20)
			m.say(m.shared(m.ep*frame.SeqPerEpoch+900_000, part{newID(), m.recs(1, 1000)}, part{x, many}))
			m.say(m.shared(m.seq+1, part{x, fmt.Sprintf("[%q,%q,5000]", name, hsh)}, part{newID(), m.recs(1, 1000)}))
			raw, _ := base64.RawURLEncoding.DecodeString(name)
			m.putRaw(append(append(raw, 0, 0, 5000>>8, 5000&0xff), data...))
			m.say(m.msg("have", fmt.Sprintf(`{"seq":%d,"unwanted":[0,1]}`, m.seq), nil))
			m.alive()
			if err := finish(); err != nil {
				m.t.Errorf("the other peer's call: %v", err)
			}
		}, come: "200, chunk-quota", told: "expected_chunks"},
		{what: "packs of too many bodies, of one twice, of none, and of bodies within bodies", do: func(m *mallory) {
			parts := make([]part, 200)
			for i := range parts {
				parts[i] = part{newID(), m.recs(1, 1000)}
			}
			x := newID()
			m.say(m.shared(m.ep*frame.SeqPerEpoch+900_000, parts...), m.shared(m.ep*frame.SeqPerEpoch+900_001, part{x, m.recs(1, 9)}, part{newID(), m.recs(1, 9)}, part{x, m.recs(1, 9)}),
				m.shared(m.ep*frame.SeqPerEpoch+900_002, part{newID(), m.recs(1, 9)}, part{newID(), ""}),
				m.msg("pack", fmt.Sprintf(`{"seq":1,"exchange":%q,"recs":[%s],"also":[{"exchange":%q,"recs":[%s],"also":[]}]}`, newID(), m.recs(1, 9), newID(), m.recs(1, 9)), nil))
			m.alive()
			if p, _ := m.w.status(m.name); p.Bulk.Expected != 0 {
				m.t.Errorf("%d chunks are waited for", p.Bulk.Expected)
			}
		}, come: mild, told: junk},
		{what: "a pack that is not what was announced", do: func(m *mallory) {
			data := random(5000)
			m.announce(data, random(32))
			m.putPack(data)
			m.alive()
		}, come: mild, told: "chunks_bad"},
		{what: "packs that nobody announced, 50 of 1 MiB", do: func(m *mallory) {
			for range 50 {
				m.seq++
				m.putPack(random(1 << 20))
			}
			m.alive()
		}, come: mild},
		{what: "a chunk that holds less than its map says", do: func(m *mallory) {
			s, _ := chunk.NewSecret()
			x := chunk.NewSealer(s).Seal(nil, bytes.Repeat([]byte("text "), 2000), true)
			x.Entry.Len = 1 << 20
			text, _ := (&chunk.Map{Entries: []chunk.Entry{x.Entry}}).Encode()
			id := newID()
			m.send(x)
			m.say(m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":0,"offset":0,"map":%s}`, id, text), nil),
				m.msg("req", m.reqOf(id, map[string]any{"method": "POST", "target": "/open/lie", "parts": 1 << 20, "length": 1 << 20}), nil))
			m.await(id)
			m.alive()
		}, come: "200, internal"},
		{what: "other bytes under the names of another peer's chunks", do: func(m *mallory) {
			var body []byte
			var names [][]byte
			if !eventually(func() bool { // packs lie in the folder for a moment only
				body = random(600 << 10)
				names = m.w.goodPack(m, body)
				return len(names) > 0
			}) {
				m.t.Fatal("no pack was seen")
			}
			for _, name := range names {
				data := random(4000)
				recs := fmt.Sprintf(`[[%q,%q,%d]]`, b64(name), b64(sum(data)), len(data))
				m.say(m.msg("pack", fmt.Sprintf(`{"seq":%d,"exchange":%q,"recs":%s}`, m.seq+1, newID(), recs), nil))
				m.putRaw(append(append(append([]byte{}, name...), 0, 0, byte(len(data)>>8), byte(len(data))), data...))
			}
			m.alive()
			if err := m.w.goodUpload(body); err != nil {
				m.t.Errorf("the other peer's body: %v", err)
			}
		}, come: mild},
		{what: "2,000 times: send me 1,000 chunks that nobody has; the answers are not taken", do: func(m *mallory) {
			var all [][]byte
			names := make([]string, 1000)
			for range 2000 {
				for k := range names {
					names[k] = `"` + b64(random(16)) + `"`
				}
				all = append(all, m.msg("want", fmt.Sprintf(`{"exchange":%q,"names":[%s]}`, newID(), strings.Join(names, ",")), nil))
			}
			m.say(all...)
		}, come: none, seen: func(m *mallory) string {
			if !eventually(func() bool { p, _ := m.w.status(m.name); return p.Outbox.Full }) {
				return "never full"
			}
			if p, _ := m.w.status(m.name); p.Outbox.Bytes > 3*outboxBytes {
				return fmt.Sprintf("%d bytes wait for it", p.Outbox.Bytes)
			}
			return none
		}, told: "outbox-full", over: true},
		{what: "names and lengths that no chunk has", do: func(m *mallory) {
			for _, recs := range []string{`[["x","y",1]]`, `[]`, fmt.Sprintf(`[[%q,%q,0]]`, b64(random(16)), b64(random(32))), fmt.Sprintf(`[[%q,%q,99999999]]`, b64(random(16)), b64(random(32)))} {
				m.say(m.msg("pack", fmt.Sprintf(`{"seq":1,"exchange":%q,"recs":%s}`, newID(), recs), nil))
			}
			m.say(m.msg("have", `{"seq":1,"miss":[5,4,3]}`, nil), m.msg("have", `{"seq":1,"miss":[-1]}`, nil), m.msg("want", `{"exchange":"x","names":[]}`, nil), m.msg("probe", `{"seq":-1}`, nil))
			m.alive()
		}, come: mild, told: junk},
		{what: "packs with numbers that no file has", do: func(m *mallory) {
			m.say(m.shared(frame.MaxSeq+1, part{newID(), m.recs(2, 100)}), m.shared(1<<63, part{newID(), m.recs(2, 100)}), m.msg("have", `{"seq":18446744073709551615}`, nil),
				m.msg("probe", `{"seq":18446744073709551615}`, nil))
			m.alive()
		}, come: mild, told: junk},
	}
}

// requests ask for what is not allowed, or for something else than they seem to.
func requests() []row {
	asks := func(what, come, told string, changes ...map[string]any) row {
		return row{what: what, come: come, told: told, do: func(m *mallory) {
			for _, c := range changes {
				m.ask(c, nil)
			}
		}}
	}
	targets := func(all ...string) (out []map[string]any) {
		for _, t := range all {
			out = append(out, map[string]any{"target": t})
		}
		return out
	}
	field := func(name, value string) map[string]any { return map[string]any{"fields": [][2]string{{name, value}}} }
	many := [][2]string{}
	for range 400 {
		many = append(many, [2]string{"X", "y"})
	}
	return []row{
		asks("upstream of another peer, and none", "no-such-upstream, request-denied", "", map[string]any{"upstream": "private"}, map[string]any{"upstream": ""}, map[string]any{"upstream": "../open"}),
		asks("paths that are not allowed", "request-denied", "", targets("/", "/private", "/openx", "/open", "//open/x", "/OPEN/x")...),
		asks("paths that only look allowed", "bad-request", "", targets("/open/../private", "/open/%2e%2e/private", "/open/..%2fprivate", "/open%2f..%2fprivate", `/open/..\private`, "/open/%2e./private", "/open/x%00")...),
		asks("targets that are none", "bad-request", "", targets("", "open", "/open/a b", "/open/a\tb", "/open/\r\nX: y", "/open/\x00", "/open/#x", "http://u:p@evil/open/x", "/open/x HTTP/1.1\r\nHost: evil\r\n\r\nGET /private")...),
		asks("methods that are not allowed, or none", "bad-request, request-denied, upgrade-refused", "", map[string]any{"method": "DELETE"}, map[string]any{"method": "CONNECT"}, map[string]any{"method": ""}, map[string]any{"method": "GET /private HTTP/1.1\r\nX:"}, map[string]any{"method": "G T"}),
		asks("fields that split the request", "bad-request", "", field("X\r\nY", "z"), field("X", "a\r\nY: z"), field("X", "a\x00b"), field("", "x"), field("X Y", "z"), field(":path", "/private"), field("X:", "z")),
		asks("fields of framing: dropped, one request comes", mild, "", field("Transfer-Encoding", "chunked"), field("Content-Length", "5"), field("Connection", "X"), field("Upgrade", "h2c"), field("Proxy-Authorization", "x"), field("Trailer", "X"), field("Expect", "100-continue"), field("TE", "trailers")),
		asks("400 fields", "fields-too-large", "", map[string]any{"fields": many}),
		asks("hosts that are none: not passed on", mild, "", map[string]any{"host": "a\r\nX: y"}, map[string]any{"host": "a b"}, map[string]any{"host": "u@h"}),
		asks("times that cannot be", "200, deadline-passed", "", map[string]any{"at": 1 << 60, "ttl": 1}, map[string]any{"at": -1 << 60, "ttl": 1 << 60}, map[string]any{"at": 0, "ttl": 1}),
		asks("attempts and lengths that cannot be", "200, body-too-large", "", map[string]any{"attempt": 1 << 40}, map[string]any{"length": 1 << 40}, map[string]any{"win": -1 << 50}),
		asks("epochs that cannot be (`oep`)", "internal", junk, map[string]any{"oep": uint64(1) << 63}, map[string]any{"oep": uint64(frame.MaxEpoch)}),
		{what: "data that is not that of its kind", do: func(m *mallory) {
			m.say(m.msg("req", `{"exchange":"`+newID()+`","admin":true}`, nil), m.msg("req", `{"exchange":"`+newID()+`","method":5}`, nil), m.msg("win", `{"exchange":1}`, nil),
				m.msg("stage", `{}`, nil), m.msg("cancel", `{"x":1}`, nil), m.msg("abort", `{"exchange":"zz"}`, nil), m.msg("res", `{"status":"x"}`, nil))
			m.alive()
		}, come: "200, internal", told: junk},
		{what: "kinds that are unknown, 1,000 times", do: func(m *mallory) {
			var all [][]byte
			for range 1000 {
				all = append(all, m.msg("later", `{"exchange":"`+newID()+`"}`, nil))
			}
			m.say(all...)
			m.alive()
		}, come: "200, unsupported", told: junk},
		{what: "2,500 slow calls at once; other peers' calls go on", do: func(m *mallory) {
			var all [][]byte
			for range 2500 {
				all = append(all, m.msg("req", m.reqOf(newID(), map[string]any{"upstream": "slow", "target": "/open/hold"}), nil))
			}
			m.say(all...)
			m.await(lastExchange(all))
		}, come: "rate-limited", told: junk, over: true},
		{what: "a POST from before all that the site remembers, its body before it or after it", do: func(m *mallory) {
			target := "/open/old/" + m.name
			for bodyAt := range 2 {
				x := oldID()
				all := [][]byte{m.msg("req", m.reqOf(x, map[string]any{"method": "POST", "target": target, "oep": m.ep - 1, "parts": 4, "length": 4}), nil)}
				all = slices.Insert(all, bodyAt, m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":0,"offset":0}`, x), []byte("body")))
				for _, one := range all {
					m.say(one) // by itself, for within a line ids ascend
				}
				m.await(x)
			}
			m.alive()
			if n := m.w.callee.count(target); n != 0 {
				m.t.Errorf("%d were made", n)
			}
		}, come: "200, outcome-uncertain"},
		{what: "10,000 cancellations of calls that never were", do: func(m *mallory) {
			var all [][]byte
			for range 10_000 {
				all = append(all, m.msg("cancel", `{"exchange":"`+newID()+`"}`, nil))
			}
			m.say(all...)
			m.alive()
		}, come: mild},
	}
}

// others touch calls of other peers, whose ids the peer has learned somehow.
func others() []row {
	return []row{
		{what: "id of another peer's call under way: request, parts, cancellation, window, stage, answer, abort", do: func(m *mallory) {
			x, finish := m.w.goodHeld(m)
			m.say(m.msg("cancel", fmt.Sprintf(`{"exchange":%q}`, x), nil),
				m.msg("req", m.reqOf(x, map[string]any{"attempt": 7}), nil),
				m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":0,"offset":0}`, x), []byte("x")),
				m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":1001,"offset":0,"total":1}`, x), []byte("x")),
				m.msg("res", fmt.Sprintf(`{"exchange":%q,"attempt":1001,"status":200,"fields":[],"length":0}`, x), nil),
				m.msg("abort", fmt.Sprintf(`{"exchange":%q,"attempt":0,"reason":"x"}`, x), nil),
				m.msg("abort", fmt.Sprintf(`{"exchange":%q,"attempt":1001,"reason":"x"}`, x), nil),
				m.msg("win", fmt.Sprintf(`{"exchange":%q,"attempt":0,"offset":1,"done":true}`, x), nil),
				m.msg("stage", fmt.Sprintf(`{"exchange":%q,"stage":"answered","at":1}`, x), nil),
				m.msg("gone", fmt.Sprintf(`{"exchange":%q,"names":[%q]}`, x, b64(random(16))), nil))
			m.await(x)
			m.alive()
			if err := finish(); err != nil {
				m.t.Errorf("the other peer's call: %v", err)
			}
		}, come: "200, internal", told: junk},
		{what: "id of another peer's call that has ended, as a request", do: func(m *mallory) {
			x := m.w.goodEnded(m)
			m.say(m.msg("req", m.reqOf(x, map[string]any{"attempt": 2}), nil))
			m.await(x)
			m.say(m.msg("cancel", fmt.Sprintf(`{"exchange":%q}`, x), nil))
			m.alive()
		}, come: "200, internal", told: junk},
		{what: "answers to calls that nobody made", do: func(m *mallory) {
			for range 100 {
				m.say(m.msg("res", fmt.Sprintf(`{"exchange":%q,"attempt":1001,"status":200,"fields":[],"length":0}`, newID()), nil),
					m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":1001,"offset":0,"total":1}`, newID()), []byte("x")))
			}
			m.alive()
		}, come: mild},
	}
}

// replies are answers of the bad peer to calls that callers of the victim made to it.
func replies() []row {
	head := func(x, rest string) string {
		return fmt.Sprintf(`{"exchange":%q,"attempt":1001,%s}`, x, rest)
	}
	replied := func(what, come, rest string, body []byte) row {
		var got string
		return row{what: "answer: " + what, come: come, do: func(m *mallory) {
			got = m.called(func(x string) { m.say(m.msg("res", head(x, rest), body)) })
		}, seen: func(*mallory) string { return got }}
	}
	const ok = `"status":200,"length":-1,"fields":`
	endless := ""
	return []row{
		replied("header injection in a value", "502 callee-broken", ok+`[["X","a\r\nSet-Cookie: b=c"]]`, nil),
		replied("header injection in a name", "502 callee-broken", ok+`[["X\r\nSet-Cookie","b"]]`, nil),
		replied("framing: two lengths and chunks", "502 callee-broken", ok+`[["Content-Length","1"],["Content-Length","99"],["Transfer-Encoding","chunked"]]`, []byte("four")),
		replied("hop-by-hop fields", "200", ok+`[["Connection","close, X-Secret"],["Keep-Alive","1"],["Proxy-Authenticate","Basic"]]`, nil),
		replied("status 99", "502 callee-broken", `"status":99,"length":0,"fields":[]`, nil),
		replied("status 101", "502 callee-broken", `"status":101,"length":0,"fields":[["Upgrade","websocket"]]`, nil),
		replied("less than its length says", "broken", `"status":200,"length":100,"fields":[]`, []byte("four")),
		{what: "answer: endless", do: func(m *mallory) {
			endless = m.called(func(x string) {
				m.say(m.msg("res", head(x, `"status":200,"length":-1,"more":true,"fields":[]`), nil))
				var all [][]byte
				for i := range int64(300) {
					all = append(all, m.msg("body", fmt.Sprintf(`{"exchange":%q,"attempt":1001,"offset":%d}`, x, i*40<<10), random(40<<10)))
				}
				m.say(all...)
			})
		}, come: "broken", seen: func(*mallory) string { return endless }, told: junk},
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func sum(b []byte) []byte {
	s := blake3.Sum256(b)
	return s[:]
}

// zeros is n zeros as zstd writes them.
func zeros(n int) []byte {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer e.Close()
	return e.EncodeAll(make([]byte, n), nil)
}

// lastExchange is the exchange of the last message.
func lastExchange(msgs [][]byte) string {
	var d struct{ Data struct{ Exchange string } }
	_ = json.Unmarshal(msgs[len(msgs)-1], &d)
	return d.Data.Exchange
}

// announce tells of a pack with one record, to be put by putPack next.
func (m *mallory) announce(data, hsh []byte) {
	m.say(m.msg("pack", fmt.Sprintf(`{"seq":%d,"exchange":%q,"recs":[[%q,%q,%d]]}`, m.seq+1, newID(), b64(random(16)), b64(hsh), len(data)), nil))
}

// part is chunks of one body in a pack of several: an exchange and records.
type part struct{ x, recs string }

// recs are records of n bytes that nobody has.
func (m *mallory) recs(k, n int) string {
	all := make([]string, k)
	for i := range all {
		all[i] = fmt.Sprintf("[%q,%q,%d]", b64(random(16)), b64(random(32)), n)
	}
	return strings.Join(all, ",")
}

// shared is the announcement of a pack of several bodies.
func (m *mallory) shared(seq uint64, parts ...part) []byte {
	var also []string
	for _, p := range parts[1:] {
		also = append(also, fmt.Sprintf(`{"exchange":%q,"recs":[%s]}`, p.x, p.recs))
	}
	return m.msg("pack", fmt.Sprintf(`{"seq":%d,"exchange":%q,"recs":[%s],"also":[%s]}`, seq, parts[0].x, parts[0].recs, strings.Join(also, ",")), nil)
}

// send announces a sealed chunk and puts its pack.
func (m *mallory) send(x chunk.Sealed) {
	m.say(m.msg("pack", fmt.Sprintf(`{"seq":%d,"exchange":%q,"recs":[[%q,%q,%d]]}`, m.seq+1, newID(), b64(x.Record.Name[:]), b64(x.Record.Hsh[:]), x.Record.Len), nil))
	m.putRaw(append(x.Record.AppendHeader(nil), x.Bytes...))
}

func (m *mallory) putPack(data []byte) { m.putRaw(append(random(20), data...)) }

// putRaw puts a pack under the next number.
func (m *mallory) putRaw(data []byte) {
	m.put(frame.Name{Recipient: m.w.victim.ID(), Sender: m.id.ID(), Seq: m.seq, Ext: frame.ExtPack}, data)
	m.seq++
}

// called has a caller of the victim call the bad peer, who answers by reply; it gives what the caller got.
func (m *mallory) called(reply func(x string)) string {
	m.t.Helper()
	done := make(chan string, 1)
	go func() {
		c := http.Client{Timeout: patience}
		resp, err := c.Get("http://" + m.w.front + "/" + m.name + "/x")
		if err != nil {
			done <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		var p struct{ Code string }
		switch {
		case err != nil:
			done <- "broken"
		case json.Unmarshal(body, &p) == nil && p.Code != "":
			done <- fmt.Sprintf("%d %s", resp.StatusCode, p.Code)
		case len(body) > 0 && resp.ContentLength == int64(len(body)):
			done <- fmt.Sprintf("%d, length made anew", resp.StatusCode)
		case resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("Keep-Alive") != "" || resp.Header.Get("Proxy-Authenticate") != "":
			done <- "a field that must not pass"
		default:
			done <- fmt.Sprint(resp.StatusCode)
		}
	}()
	var x string
	if !eventually(func() bool {
		m.look()
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.asked) > 0 {
			x = m.asked[len(m.asked)-1]
		}
		return x != ""
	}) {
		m.t.Fatal("the victim asks for nothing")
	}
	reply(x)
	select {
	case got := <-done:
		return got
	case <-time.After(patience):
		return "hangs"
	}
}

// goodPack has the good peer send a body, and gives the names of chunks that anybody can read in its packs.
func (w *world) goodPack(m *mallory, body []byte) (names [][]byte) {
	m.t.Helper()
	stop, found := make(chan struct{}), make(chan [][]byte, 1)
	go func() { // packs are removed when they were read
		for {
			paths, _ := filepath.Glob(filepath.Join(w.path("share"), w.victim.ID().String(), "*"+w.goodID.ID().String()+"*.pack"))
			for _, path := range paths {
				if data, err := os.ReadFile(path); err == nil && len(data) > 20 {
					found <- [][]byte{data[:16]}
					return
				}
			}
			select {
			case <-stop:
				found <- nil
				return
			default:
			}
		}
	}()
	err := w.goodUpload(body)
	close(stop)
	if names = <-found; err != nil {
		m.t.Errorf("the good peer's upload: %v", err)
	}
	return names
}

func (w *world) goodUpload(body []byte) error {
	c := http.Client{Timeout: patience}
	resp, err := c.Post("http://"+w.good.Addr().String()+"/upload", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		return fmt.Errorf("status %d, %v", resp.StatusCode, err)
	}
	return nil
}

// goodHeld has the good peer make a call that its server holds; finish lets it end and says whether its answer came.
func (w *world) goodHeld(m *mallory) (x string, finish func() error) {
	m.t.Helper()
	gate := w.callee.gate(m.name)
	path := "/gate/" + m.name
	req, _ := http.NewRequest("POST", "http://"+w.good.Addr().String()+path, nil)
	req.Header.Set("Prefer", "respond-async")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	resp.Body.Close()
	x = resp.Header.Get("Hoft-Exchange")
	if !eventually(func() bool { return w.callee.count(path) == 1 }) {
		m.t.Fatal("the good peer's call does not come")
	}
	return x, func() error {
		close(gate)
		return w.goodResult(x, "POST "+path)
	}
}

func (w *world) goodResult(x, want string) error {
	var last string
	if !eventually(func() bool {
		resp, err := http.Get("http://" + w.good.Addr().String() + "/.hoft/v1/exchanges/" + x + "/response")
		if err != nil {
			last = err.Error()
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		last = fmt.Sprintf("%d %s", resp.StatusCode, body)
		return resp.StatusCode != 202
	}) || last != "200 "+want {
		return fmt.Errorf("%s", last)
	}
	return nil
}

// goodEnded is the id of a call of the good peer that has ended.
func (w *world) goodEnded(m *mallory) string {
	m.t.Helper()
	x, finish := w.goodHeld(m)
	if err := finish(); err != nil {
		m.t.Fatal(err)
	}
	return x
}
