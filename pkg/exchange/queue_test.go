package exchange

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/identity"
)

// waits fills a line with jobs of one upstream; each letter is a peer.
func waits(l *line, peers string) (jobs []*job) {
	for i, p := range []byte(peers) {
		j := &job{id: ID{15: byte(i)}, peer: identity.ID{p}, state: jobQueued}
		l.add(j)
		jobs = append(jobs, j)
	}
	return jobs
}

// order takes everything out of a line, each as the only call under way.
func order(l *line, had byte) string {
	var s strings.Builder
	for j := l.take(identity.ID{had}); j != nil; j = l.take(identity.ID{had}) {
		had = j.peer[0]
		s.WriteByte(had)
	}
	return s.String()
}

func TestPeersTakeTurns(t *testing.T) {
	for _, c := range []struct {
		waiting string
		had     byte
		want    string
	}{
		{"", 0, ""},
		{"aaa", 'a', "aaa"},
		{"aaaab", 0, "abaaa"},
		{"aaaab", 'a', "baaaa"}, // a has just had its turn
		{"aabbcc", 'a', "bcabca"},
		{"abcabc", 0, "abcabc"},
	} {
		var l line
		waits(&l, c.waiting)
		if got := order(&l, c.had); got != c.want || len(l.turns)+len(l.peers) != 0 {
			t.Errorf("%s after %q: %s, want %s; %d peers left", c.waiting, c.had, got, c.want, len(l.peers))
		}
	}
}

func TestPeersJobsKeepTheirOrder(t *testing.T) {
	var l line
	jobs := waits(&l, "ababab")
	l.remove(jobs[2])
	l.remove(jobs[1])
	l.remove(jobs[5])
	var got []byte
	for j := l.take(identity.ID{}); j != nil; j = l.take(j.peer) {
		got = append(got, '0'+j.id[15])
	}
	if string(got) != "034" {
		t.Errorf("order %s", got)
	}
}

// TestQueueTakesWhatever: whatever is added, removed and taken, a line gives each job once, and nothing stays.
func TestQueueTakesWhatever(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var l line
	in := map[*job]bool{}
	for range 10_000 {
		switch dice.IntN(5) {
		case 0, 1:
			in[waits(&l, string(rune('a'+dice.IntN(5))))[0]] = true
		case 2:
			for j := range in {
				l.remove(j)
				delete(in, j)
				break
			}
		default:
			j := l.take(identity.ID{byte('a' + dice.IntN(5))})
			if (j != nil) != (len(in) > 0) || j != nil && !in[j] {
				t.Fatalf("took %v, %d wait", j, len(in))
			}
			delete(in, j)
		}
	}
	for range in {
		if j := l.take(identity.ID{}); j == nil || !in[j] {
			t.Fatal("one is lost")
		}
	}
	if l.take(identity.ID{}) != nil || len(l.turns)+len(l.peers) != 0 {
		t.Error("something is left")
	}
}
