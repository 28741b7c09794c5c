package dataapi

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/hoft/hoft/pkg/chunk"
)

// algorithms are the active ones of RFC 9530 section 5.
var algorithms = map[string]func() hash.Hash{"sha-256": sha256.New, "sha-512": sha512.New}

// wantedDigest gives the algorithm that Want-Repr-Digest prefers (RFC 9530 section 4), "" for none.
func wantedDigest(h http.Header) (best string) {
	most := 0
	for member := range strings.SplitSeq(strings.Join(h.Values("Want-Repr-Digest"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		name = strings.ToLower(strings.TrimSpace(name))
		if _, known := algorithms[name]; known && err == nil && n > most && n <= 10 {
			best, most = name, n
		}
	}
	return best
}

// digests remembers digests, for reading all of the data takes time. Safe for concurrent use.
type digests struct {
	mu    sync.Mutex
	known map[digestKey]string
	order []digestKey // the oldest first
}

type digestKey struct {
	root [32]byte
	alg  string
}

// maxDigests bounds what is remembered.
const maxDigests = 256

func (d *digests) get(k digestKey) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[k]
}

func (d *digests) put(k digestKey, sum string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[digestKey]string{}
	}
	if _, ok := d.known[k]; !ok {
		d.order = append(d.order, k)
	}
	d.known[k] = sum
	for len(d.order) > maxDigests {
		delete(d.known, d.order[0])
		d.order = d.order[1:]
	}
}

// digest gives the value of Repr-Digest for all data of a map. The data is read for it, once.
func (s *Server) digest(ctx context.Context, m *chunk.Map, alg string) (string, error) {
	root, err := rootOf(m)
	if err != nil {
		return "", err
	}
	k := digestKey{root, alg}
	if sum := s.digests.get(k); sum != "" {
		return sum, nil
	}
	h := algorithms[alg]()
	r := chunk.NewReader(ctx, *m, s.o.Chunks)
	defer r.Close()
	if _, err := r.WriteTo(h); err != nil {
		return "", err
	}
	sum := alg + "=:" + base64.StdEncoding.EncodeToString(h.Sum(nil)) + ":"
	s.digests.put(k, sum)
	return sum, nil
}
