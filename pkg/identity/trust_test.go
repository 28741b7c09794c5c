package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publish writes a site's public key file and gives its path.
func publish(t testing.TB, site *Site) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), site.Name()+".pub.jwks")
	if err := os.WriteFile(path, site.Public().Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func published(t testing.TB, site *Site) *Peer {
	t.Helper()
	peer, err := ReadPeer(publish(t, site))
	if err != nil {
		t.Fatal(err)
	}
	return peer
}

func mustTrust(t testing.TB, dir string, self *Site, peer *Peer) {
	t.Helper()
	if err := Trust(dir, self, peer); err != nil {
		t.Fatal(err)
	}
}

// renamed gives a copy of a site under another name or id, as a forger or a copied state folder would show it.
func (s *Site) renamed(id ID, name string) *Site {
	c := *s
	c.id, c.name = id, name
	return &c
}

func TestTrustStoreRoundTrip(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	if peers, err := LoadPeers(dir); err != nil || len(peers.All()) != 0 {
		t.Fatalf("an empty store: %v, %v", peers, err)
	}
	c, b := generate(t, "site-c"), generate(t, "site-b")
	mustTrust(t, dir, self, published(t, c))
	mustTrust(t, dir, self, published(t, b))
	peers, err := LoadPeers(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := peers.All()
	if len(all) != 2 || all[0].Name != "site-b" || all[1].Name != "site-c" {
		t.Fatalf("%+v", all)
	}
	got, ok := peers.ByName("site-b")
	if !ok || got.ID != b.ID() || got.Fingerprint() != b.Fingerprint() || !bytes.Equal(got.Encode(), b.Public().Encode()) {
		t.Errorf("%+v", got)
	}
	if byID, ok := peers.ByID(c.ID()); !ok || byID.Name != "site-c" {
		t.Errorf("by id: %+v", byID)
	}
	if _, ok := peers.ByName("site-d"); ok {
		t.Error("knows a stranger")
	}
	kid, _ := b.SigKey()
	if _, ok := got.SigKey(kid); !ok {
		t.Error("signing key not found by its kid")
	}
	otherKID, _ := c.SigKey()
	if _, ok := got.SigKey(otherKID); ok {
		t.Error("a peer has another peer's key")
	}
}

func TestTrustReplacesSameID(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	b := generate(t, "site-b")
	mustTrust(t, dir, self, published(t, b))
	next := generate(t, "x").renamed(b.ID(), "site-b")
	mustTrust(t, dir, self, published(t, next))
	peers, err := LoadPeers(dir)
	if err != nil || len(peers.All()) != 1 || peers.All()[0].Fingerprint() != next.Fingerprint() {
		t.Errorf("%+v, %v", peers, err)
	}
}

func TestTrustRefusals(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	b := generate(t, "site-b")
	mustTrust(t, dir, self, published(t, b))
	fresh := func() *Site { return generate(t, "site-x") }
	for name, c := range map[string]struct {
		peer *Site
		want error
	}{
		"own file":                {self, ErrSelf},
		"own id, other keys":      {fresh().renamed(self.ID(), "site-x"), ErrSelf},
		"own name":                {fresh().renamed(fresh().ID(), "site-a"), ErrConflict},
		"own keys, other id":      {self.renamed(fresh().ID(), "site-x"), ErrConflict},
		"name of another peer":    {fresh().renamed(fresh().ID(), "site-b"), ErrConflict},
		"keys of another peer":    {b.renamed(fresh().ID(), "site-x"), ErrConflict},
		"new name of a known one": {b.renamed(b.ID(), "site-a"), ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			err := Trust(dir, self, published(t, c.peer))
			var file *FileError
			if !errors.Is(err, c.want) || !errors.As(err, &file) || file.Mend == "" || !strings.Contains(file.File, ".pub.jwks") {
				t.Errorf("%v", err)
			}
		})
	}
	peers, err := LoadPeers(dir)
	if err != nil || len(peers.All()) != 1 {
		t.Errorf("a refused peer was kept: %+v, %v", peers, err)
	}
}

func TestStoreRefusesWhatWasPutThereByHand(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	b := generate(t, "site-b")
	mustTrust(t, dir, self, published(t, b))
	folder := filepath.Join(dir, peersFolder)
	put := func(name string, data []byte) func() {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return func() { os.Remove(path) }
	}
	other := generate(t, "site-c")
	for name, c := range map[string]struct {
		file string
		data []byte
		want error
	}{
		"two files with one id":   {other.ID().String() + ".jwks", b.Public().Encode(), ErrConflict},
		"named by hand":           {"site-c.jwks", other.Public().Encode(), ErrConflict},
		"two peers with one name": {other.ID().String() + ".jwks", other.renamed(other.ID(), "site-b").Public().Encode(), ErrConflict},
		"a damaged file":          {other.ID().String() + ".jwks", other.Public().Encode()[:100], ErrFormat},
		"private keys":            {other.ID().String() + ".jwks", other.encode(), ErrPrivate},
	} {
		t.Run(name, func(t *testing.T) {
			undo := put(c.file, c.data)
			defer undo()
			if _, err := LoadPeers(dir); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	put(".left-over.tmp", []byte("half"))
	put("README", []byte("notes"))
	if peers, err := LoadPeers(dir); err != nil || len(peers.All()) != 1 {
		t.Errorf("other files disturb: %v", err)
	}
}

func TestRevokedKeysNeverCount(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	b := generate(t, "site-b")
	file := publish(t, b)
	mustTrust(t, dir, self, published(t, b))
	kid, _ := b.SigKey()
	if err := Revoke(dir, "not a kid"); !errors.Is(err, ErrKeyID) {
		t.Errorf("%v", err)
	}
	if err := Revoke(dir, kid); err != nil {
		t.Fatal(err)
	}
	if err := Revoke(dir, goldenSigKID); err != nil {
		t.Fatal(err)
	}
	revoked, err := LoadRevoked(dir)
	if err != nil || !revoked[kid] || !revoked[goldenSigKID] || len(revoked.IDs()) != 2 {
		t.Fatalf("%v, %v", revoked, err)
	}
	peers, err := LoadPeers(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := peers.ByName("site-b")
	if _, ok := got.SigKey(kid); ok || len(got.Revoked) != 1 || got.Revoked[0].KID != kid {
		t.Errorf("from the store: %+v", got)
	}
	for name, entry := range map[string]Entry{"file": {"site-b", file}, "store": {"site-b", ""}} {
		if _, err := Resolve(dir, self, []Entry{entry}); !errors.Is(err, ErrRevoked) {
			t.Errorf("from the %s: %v", name, err)
		}
	}
	if err := Trust(dir, self, published(t, b)); !errors.Is(err, ErrRevoked) {
		t.Errorf("trusted again: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, revokedFile), []byte("# note\n\n"+kid+"\nhalf-a-ki\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPeers(dir); !errors.Is(err, ErrFormat) {
		t.Errorf("a damaged list is no list: %v", err)
	}
}

// rotated gives a peer's public set after a rotation: a new key of each use before the old ones.
func rotated(t testing.TB, peer *Peer) *Peer {
	t.Helper()
	fresh := generate(t, "x").Public()
	return &Peer{ID: peer.ID, Name: peer.Name, From: []string{"rotated"},
		Sig: slices.Concat(fresh.Sig, peer.Sig), Enc: slices.Concat(fresh.Enc, peer.Enc)}
}

func TestResolve(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	b, c := generate(t, "site-b"), generate(t, "site-c")
	mustTrust(t, dir, self, published(t, c))
	peers, err := Resolve(dir, self, []Entry{{Name: "site-c"}, {Name: "site-b", Keys: publish(t, b)}})
	if err != nil {
		t.Fatal(err)
	}
	if len(peers) != 2 || peers[0].ID != c.ID() || peers[1].ID != b.ID() {
		t.Fatalf("%+v", peers)
	}
	enc, ok := peers[1].EncKey()
	if !ok || enc.KID != b.Public().Enc[0].KID {
		t.Errorf("encrypts to %v", enc.KID)
	}
}

func TestResolveMergesFileAndStore(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	old := published(t, generate(t, "site-b"))
	newer := rotated(t, old)
	write := func(p *Peer) string {
		path := filepath.Join(t.TempDir(), "b.jwks")
		if err := os.WriteFile(path, p.Encode(), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	afterOverlap := &Peer{ID: newer.ID, Name: newer.Name, Sig: newer.Sig[:1], Enc: newer.Enc[:1], From: []string{"x"}}
	for name, c := range map[string]struct{ store, file *Peer }{
		"the store learned of a rotation":                  {newer, old},
		"the store learned of it, the overlap ended":       {afterOverlap, old},
		"the file was exported again, the store is behind": {old, newer},
		"the same on both sides":                           {newer, newer},
	} {
		t.Run(name, func(t *testing.T) {
			mustTrust(t, dir, self, c.store)
			peers, err := Resolve(dir, self, []Entry{{Name: "site-b", Keys: write(c.file)}})
			if err != nil {
				t.Fatal(err)
			}
			got := peers[0]
			if len(got.Sig) != 2 || len(got.Enc) != 2 {
				t.Fatalf("accepted: %+v", got.Keys())
			}
			if enc, _ := got.EncKey(); enc.KID != newer.Enc[0].KID {
				t.Error("encrypts to the old key")
			}
			if _, ok := got.SigKey(old.Sig[0].KID); !ok {
				t.Error("the old signing key no longer counts")
			}
		})
	}
	t.Run("revoked in the file only", func(t *testing.T) {
		mustTrust(t, dir, self, afterOverlap)
		if err := Revoke(dir, old.Sig[0].KID, old.Enc[0].KID); err != nil {
			t.Fatal(err)
		}
		peers, err := Resolve(dir, self, []Entry{{Name: "site-b", Keys: write(newer)}})
		if err != nil || len(peers[0].Sig) != 1 || peers[0].Sig[0].KID != newer.Sig[0].KID || len(peers[0].Revoked) != 2 {
			t.Errorf("%+v, %v", peers, err)
		}
	})
}

func TestResolveRefusals(t *testing.T) {
	dir, self := stateOf(t, "site-a")
	b := generate(t, "site-b")
	stored := generate(t, "site-c")
	mustTrust(t, dir, self, published(t, stored))
	many := published(t, generate(t, "site-d"))
	for range 2 {
		many = rotated(t, many)
	}
	mustTrust(t, dir, self, many)
	manyFile := rotated(t, rotated(t, &Peer{ID: many.ID, Name: many.Name, Sig: many.Sig[2:], Enc: many.Enc[2:]}))
	manyPath := filepath.Join(t.TempDir(), "d.jwks")
	if err := os.WriteFile(manyPath, manyFile.Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	bFile := publish(t, b)
	for name, c := range map[string]struct {
		entries []Entry
		want    error
		text    string
	}{
		"nothing known":                   {[]Entry{{Name: "site-x"}}, ErrUnknownPeer, "hoft keys trust"},
		"only in a file":                  {[]Entry{{Name: "site-b"}}, ErrUnknownPeer, "hoft keys trust"},
		"no such file":                    {[]Entry{{"site-b", filepath.Join(dir, "none")}}, os.ErrNotExist, "; put the file there that hoft keys export printed at the other side"},
		"another name":                    {[]Entry{{"orders", bFile}}, ErrName, "write name: site-b"},
		"this site":                       {[]Entry{{"site-a", publish(t, self)}}, ErrSelf, "other side"},
		"one peer twice":                  {[]Entry{{"site-b", bFile}, {"site-b", bFile}}, ErrConflict, "id"},
		"two peers with one id":           {[]Entry{{"site-b", bFile}, {"site-y", publish(t, generate(t, "x").renamed(b.ID(), "site-y"))}}, ErrConflict, "id"},
		"name of another stored one":      {[]Entry{{"site-c", publish(t, generate(t, "site-c"))}}, ErrConflict, "name"},
		"other name for a stored id":      {[]Entry{{"site-y", publish(t, stored.renamed(stored.ID(), "site-y"))}}, ErrConflict, "called"},
		"keys of another stored one":      {[]Entry{{"site-y", publish(t, stored.renamed(b.ID(), "site-y"))}}, ErrConflict, "key"},
		"file and store hold 5 of a use":  {[]Entry{{"site-d", manyPath}}, ErrTooMany, "keys trust"},
		"a private file":                  {[]Entry{{"site-b", privateFile(t, b)}}, ErrPrivate, "export"},
		"two problems, the first of them": {[]Entry{{Name: "site-x"}, {"orders", bFile}}, ErrUnknownPeer, "site-x"},
		"two problems, the second":        {[]Entry{{Name: "site-x"}, {"orders", bFile}}, ErrName, "orders"},
	} {
		t.Run(name, func(t *testing.T) {
			peers, err := Resolve(dir, self, c.entries)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || peers != nil {
				t.Errorf("%v, %v", peers, err)
			}
		})
	}
}

func privateFile(t testing.TB, site *Site) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "private.jwks")
	if err := os.WriteFile(path, site.encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
