package identity

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// FileName is the identity's file in the state folder.
const FileName = "identity.jwks"

// Path is where a state folder keeps the identity.
func Path(stateDir string) string { return filepath.Join(stateDir, FileName) }

// Load reads the identity of a state folder. It refuses a file that other users may read or that another user owns, a
// folder that others may write, and any content that is not exactly a hoft identity; a FileError says what and why.
func Load(stateDir string) (*Site, error) {
	path := Path(stateDir)
	data, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &FileError{File: path, Err: ErrMissing, Mend: "make one with: hoft keys gen --name NAME --state-dir " + stateDir}
	}
	if err != nil {
		return nil, err
	}
	if err := checkFolder(stateDir); err != nil {
		return nil, err
	}
	return ParseSite(data, path)
}

// ParseSite reads the content of an identity file; file is its name, for errors.
func ParseSite(data []byte, file string) (*Site, error) {
	p := parser{file: file, mend: "bring the file back from a backup (a new identity needs new trust on the other side)"}
	set, id, err := p.set(data)
	if err != nil {
		return nil, err
	}
	s := &Site{id: id, name: set.Name}
	for i, k := range set.Keys {
		if err := s.add(p, i+1, k); err != nil {
			return nil, err
		}
	}
	if err := p.counts(s.Keys()); err != nil {
		return nil, err
	}
	return s, s.checkOrder(p)
}

// add reads key number i of the file into the site.
func (s *Site) add(p parser, i int, k jwk) error {
	is, err := p.kindOf(i, k)
	if err != nil {
		return err
	}
	retired, err := p.retired(i, k)
	if err != nil {
		return err
	}
	if is.use == UseSig {
		pair, err := p.sigPair(i, k)
		if err != nil {
			return err
		}
		pair.retired = retired
		s.sig = append(s.sig, pair)
		return nil
	}
	pair, err := p.encPair(i, k)
	if err != nil {
		return err
	}
	pair.retired = retired
	s.enc = append(s.enc, pair)
	return nil
}

// maxUnix is the last second that a four-digit year can show; later ones are damage.
const maxUnix = 253402300799

func (p parser) retired(i int, k jwk) (time.Time, error) {
	if k.Retired == nil {
		return time.Time{}, nil
	}
	if *k.Retired <= 0 || *k.Retired > maxUnix {
		return time.Time{}, p.fail(ErrFormat, "member retired of key %d is no Unix time in seconds", i)
	}
	return time.Unix(*k.Retired, 0).UTC(), nil
}

// checkOrder demands one current key per use, listed before the retired ones.
func (s *Site) checkOrder(p parser) error {
	first := map[Use]bool{}
	for _, k := range s.Keys() {
		if current := k.Retired.IsZero(); current == first[k.Use] {
			if current {
				return p.fail(ErrFormat, "two keys with use %s, neither marked retired", k.Use)
			}
			return p.fail(ErrNoKey, "the first key with use %s is a retired one", k.Use)
		}
		first[k.Use] = true
	}
	return nil
}

// Create writes a new identity and refuses to overwrite one (ErrExists). It makes the folder (0700); an existing folder
// must be closed to other users, or empty, and is closed then.
func (s *Site) Create(stateDir string) error {
	if err := ownFolder(stateDir); err != nil {
		return err
	}
	path := Path(stateDir)
	err := createFile(path, s.encode(), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &FileError{File: path, Err: ErrExists, Detail: "a site keeps its identity for life",
			Mend: "use another --state-dir for another site"}
	}
	return err
}

// Save replaces the identity file of a state folder: a reader sees the old one or the new one, also after a power cut.
func (s *Site) Save(stateDir string) error {
	if err := checkFolder(stateDir); err != nil {
		return err
	}
	return replaceFile(Path(stateDir), s.encode(), 0o600)
}

// encode gives the identity file with private keys.
func (s *Site) encode() []byte {
	var keys []string
	for _, p := range s.sig {
		keys = append(keys, encodeSig(SigKey{KID: p.kid, Key: p.public()}, p.key.Seed(), p.retired))
	}
	for _, p := range s.enc {
		d, err := p.key.Bytes()
		if err != nil {
			panic("identity: a P-256 key that was checked when it was made has no encoding: " + err.Error())
		}
		keys = append(keys, encodeEnc(EncKey{KID: p.kid, Key: &p.key.PublicKey}, d, p.retired))
	}
	return encodeSet(s.id, s.name, keys)
}
