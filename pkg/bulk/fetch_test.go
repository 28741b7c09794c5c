package bulk

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// give answers a peer that asks for stored data as the layers above do.
func (s *side) give(d *FetchData) {
	var recs []chunk.Record
	var gone []chunk.Name
	for _, w := range d.Recs {
		i := slices.IndexFunc(s.stock, func(r chunk.Record) bool { return r.Name == w.Name && r.Hsh == w.Hsh })
		if i < 0 || !s.chunks[w.Name] {
			gone = append(gone, w.Name)
			continue
		}
		recs = append(recs, s.stock[i])
	}
	if len(gone) > 0 {
		s.p.Refuse(d.Exchange, gone)
	}
	if added := s.p.Give(d.Exchange, recs); len(added) > 0 {
		s.offers = append(s.offers, Saved{d.Exchange, added})
	}
}

// store has a side keep chunks without offering them.
func (s *side) store(recs []chunk.Record) {
	s.stock = append(s.stock, recs...)
	for _, r := range recs {
		s.chunks[r.Name] = true
	}
}

func wishes(recs []chunk.Record) []Wish {
	out := make([]Wish, len(recs))
	for i, r := range recs {
		out[i] = Wish{r.Name, r.Hsh}
	}
	return out
}

func (s *side) fetch(x ID, recs []chunk.Record) {
	s.p.Fetches(true)
	s.p.Fetch(x, wishes(recs))
	s.drain()
}

func (s *side) holds(recs []chunk.Record) func() bool {
	return func() bool {
		return !slices.ContainsFunc(recs, func(r chunk.Record) bool { return !s.chunks[r.Name] })
	}
}

// What is asked for comes, once, and nothing else.
func TestFetch(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 50, 1<<20)
	w.a.store(recs)
	w.b.fetch(id(1), recs[10:20])
	w.run(testPatience, func() bool { return w.b.holds(recs[10:20])() && w.a.p.Settled(id(1)) })
	if want := chunkBytes(recs[10:20]); w.bytes != want {
		t.Errorf("%d bytes written, want %d", w.bytes, want)
	}
	if n := w.b.p.View().Fetches; n != 10 {
		t.Errorf("%d chunks asked for, want 10", n)
	}
	if w.b.p.Fetching() != 0 || !w.a.p.Settled(id(1)) {
		t.Error("something is left")
	}
	// The peer knows better than its sender what it holds.
	delete(w.b.chunks, recs[12].Name)
	w.b.fetch(id(2), recs[12:13])
	w.run(testPatience, w.b.holds(recs[12:13]))
	// Under another hash there is no such chunk.
	other := recs[30]
	other.Hsh[5] ^= 1
	w.b.fetch(id(3), []chunk.Record{other})
	w.run(testPatience, func() bool { return len(w.b.gone) == 1 })
	if g := w.b.gone[0]; g.Exchange != id(3) || !slices.Equal(g.Names, []chunk.Name{other.Name}) || w.b.p.Fetching() != 0 {
		t.Errorf("gone: %+v", g)
	}
}

// A bad pipe, restarts of the side that is asked, a peer that forgets: all of it comes, and each chunk is asked for at
// most once per round trip.
func TestFetchThroughABadPipe(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.cutAt, w.lose, w.flip = 20<<20, 0.1, 0.1
			recs := records(1, 120, 1<<20)
			w.a.store(recs)
			w.b.fetch(id(1), recs)
			i := 0
			w.run(10*testPatience, func() bool {
				if i++; i%400 == 0 && seed%2 == 1 {
					w.a.restart()
				}
				return w.b.holds(recs)()
			})
			if total := chunkBytes(recs); w.bytes > total*3/2+4*64<<20 {
				t.Errorf("%d bytes written for %d", w.bytes, total)
			}
			if n, trips := w.b.p.View().Fetches, uint64(w.now.Sub(began)/rtt+1); n > 120*trips/2+120 {
				t.Errorf("%d chunks asked for in %d round trips", n, trips)
			}
		})
	}
}

// A peer that lost its state is asked again; one that does not take fetch never is.
func TestFetchOfAPeerThatForgets(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 5, 1<<20)
	w.a.store(recs)
	w.b.p.Fetch(id(1), wishes(recs))
	for range 10 {
		w.b.step()
		w.now = w.now.Add(rtt)
	}
	if n := w.b.p.View().Fetches; n != 0 || !w.b.p.Deadline().IsZero() {
		t.Fatalf("%d chunks asked for, deadline %v", n, w.b.p.Deadline())
	}
	w.b.fetch(id(1), nil)
	w.b.step()
	w.a.mail = nil // lost with its state
	w.b.p.Reset()
	w.b.drain()
	w.run(testPatience, w.b.holds(recs))
	if n := w.b.p.View().Fetches; n != 10 {
		t.Errorf("%d chunks asked for, want 5 twice", n)
	}
	w.b.fetch(id(2), recs)
	w.b.p.Forget(id(2))
	if w.b.p.Fetching() != 0 {
		t.Error("forgotten, and still asked for")
	}
}

// A pack was announced for a fetch, and its sender has given it up or taken for held here what was forgotten since: the chunks
// are asked for although they are announced, before long.
func TestFetchOfWhatIsAnnouncedAndDoesNotCome(t *testing.T) {
	w := newWorld(t, 1)
	recs := records(1, 2, 1<<20)
	w.a.store(recs)
	w.b.p.Announce(w.now, &PackData{Seq: 7, Exchange: id(1), Recs: recs})
	w.b.fetch(id(1), recs)
	w.run(testPatience, w.b.holds(recs))
	if n := w.b.p.View().Fetches; n != 2 {
		t.Errorf("%d chunks asked for, want 2", n)
	}
}

// The largest question fits a message.
func TestFetchFitsAMessage(t *testing.T) {
	d := FetchData{Exchange: id(1), Recs: make(Wishes, maxWishes)}
	if _, err := frame.EncodeTail(frame.KindFetch, encode(d), nil, false); err != nil {
		t.Error(err)
	}
	d.Recs = append(d.Recs, Wish{})
	if _, err := Decode[FetchData](encode(d)); err == nil {
		t.Error("too many were taken")
	}
}
