package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
	"strings"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

// scene is what all vectors play in: a writes file 1 to b; c is another peer of both.
type scene struct {
	a, b, c *forge.Site
	retired *forge.Site // b's former keys
	gone    *forge.Site // b's deleted keys
	psk     []byte
	name    frame.Name
	out     map[string]*vector
}

func newScene() *scene {
	s := &scene{
		a: forge.NewSite(0xa), b: forge.NewSite(0xb), c: forge.NewSite(0xc), retired: forge.NewSite(0xb), gone: forge.NewSite(0xb),
		psk: []byte("only for test vectors, no secret"), out: make(map[string]*vector),
	}
	s.name = forge.Name(s.a.ID, s.b.ID, forge.Seq(1))
	return s
}

// file adds a vector: what opening the body as a file of the name ends with, and the idx of the lines
// that are opened all the same.
func (s *scene) file(mode, vec, comment, expect, name string, opened []int, body []byte) {
	v := &vector{body: body}
	v.set("expect", "%s", expect)
	v.set("comment", "%s", comment)
	v.set("self", "%s", s.b.ID)
	for _, k := range []*forge.Site{s.b, s.retired} {
		v.set("enc", "%s %s", k.EncKid, forge.B64(k.Enc.Bytes()))
	}
	v.set("peer", "%s", s.a.ID)
	if strings.HasPrefix(mode, "signed") {
		v.set("seal", "signed")
	}
	if strings.HasSuffix(mode, "psk") {
		v.set("psk", "%s", forge.B64(s.psk))
	} else {
		v.set("sig", "%s %s", s.a.SigKid, forge.B64(s.a.Sig[32:]))
	}
	v.set("peer", "%s", s.c.ID)
	v.set("sig", "%s %s", s.c.SigKid, forge.B64(s.c.Sig[32:]))
	v.set("file", "%s", name)
	v.set("opened", "%s", strings.Trim(fmt.Sprint(opened), "[]"))
	if s.out[vec] != nil {
		panic("two vectors are named " + vec)
	}
	s.out[vec] = v
}

// line adds a vector of a file with one line.
func (s *scene) line(vec, comment, expect string, line []byte) {
	var opened []int
	if expect == "ok" {
		opened = []int{0}
	}
	s.file("keys", vec, comment, expect, s.name.String(), opened, append(line, '\n'))
}

func (s *scene) pskLine(vec, comment, expect string, line []byte) {
	var opened []int
	if expect == "ok" {
		opened = []int{0}
	}
	s.file("psk", vec, comment, expect, s.name.String(), opened, append(line, '\n'))
}

// claims are right claims of a file with one line.
func (s *scene) claims() []byte { return s.claimsOf(0, 1) }

func (s *scene) claimsOf(idx, n int) []byte {
	return forge.Claims(s.a.ID, s.b.ID, s.b.EncKid, s.name.Seq, idx, n, 0)
}

// inner is the right inner token around claims.
func (s *scene) inner(claims []byte) []byte {
	return forge.JWS(s.a.Sig, forge.Inner("EdDSA", s.a.SigKid), claims)
}

// right is a right line.
func (s *scene) right() []byte { return forge.Seal(s.b, s.inner(s.claims())) }

// outer is a line that is right but for its outer header, which edit changes.
func (s *scene) outer(edit func(header string) string) []byte {
	return forge.JWE(s.b.Enc.PublicKey(), func(epk string) string {
		return edit(forge.Outer(s.b.EncKid, epk))
	}, s.inner(s.claims()))
}

// swap gives an edit that replaces a text that is there.
func swap(old, new string) func(string) string {
	return func(h string) string {
		if !strings.Contains(h, old) {
			panic("not in the header: " + old)
		}
		return strings.Replace(h, old, new, 1)
	}
}

// with gives an edit that adds a member.
func with(member string) func(string) string { return swap(`{"alg"`, `{`+member+`,"alg"`) }

// said is a line that is right but for its claims.
func (s *scene) said(edit func(claims string) string) []byte {
	return forge.Seal(s.b, s.inner([]byte(edit(string(s.claims())))))
}

// part replaces one part of a token.
func part(token []byte, i int, edit func(string) string) []byte {
	parts := strings.Split(string(token), ".")
	parts[i] = edit(parts[i])
	return []byte(strings.Join(parts, "."))
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// spare sets the lowest bit of the last character, which decoding drops. Parts whose length is a
// multiple of four have no such bit.
func spare(p string) string {
	last := strings.IndexByte(alphabet, p[len(p)-1])
	return p[:len(p)-1] + string(alphabet[last|1])
}

// deflated is 240,000 zeros as DEFLATE writes it.
func deflated() []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(make([]byte, 240_000)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// lines joins tokens to a file.
func lines(tokens ...[]byte) []byte {
	return append(slices.Concat(bytes.Join(tokens, []byte("\n"))), '\n')
}
