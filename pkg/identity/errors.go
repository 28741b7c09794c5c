package identity

import "errors"

// What can be wrong with a key file, a trusted peer or the identity itself. Every refusal of this package wraps
// one of these (or ErrID) in a FileError, so callers decide with errors.Is and people read the text.
var (
	ErrMissing      = errors.New("no such key file")
	ErrExists       = errors.New("key file exists already")
	ErrMode         = errors.New("open to other users")
	ErrOwner        = errors.New("owned by another user")
	ErrFormat       = errors.New("not a hoft key file")
	ErrVersion      = errors.New("unknown key file version")
	ErrName         = errors.New("bad site name")
	ErrKeyType      = errors.New("unknown key type or curve")
	ErrUse          = errors.New("key use or algorithm wrong or missing")
	ErrKeyID        = errors.New("key id is not the key's thumbprint")
	ErrDuplicateKey = errors.New("the same key twice")
	ErrKeyValue     = errors.New("damaged key")
	ErrPrivate      = errors.New("private key in a public key file")
	ErrNotPrivate   = errors.New("private part of a key missing")
	ErrTooMany      = errors.New("too many keys of one use")
	ErrNoKey        = errors.New("no key for a use")
	ErrSelf         = errors.New("this site's own keys")
	ErrConflict     = errors.New("conflicts with another peer")
	ErrRevoked      = errors.New("revoked key")
	ErrUnknownPeer  = errors.New("unknown peer")
	ErrPSK          = errors.New("not a pre-shared secret")
)

// FileError says which file was refused, why, and what mends it. It never holds key material.
type FileError struct {
	File   string // as the caller named it
	Err    error  // one of the Err… values of this package, or a failure of the file system
	Detail string // what exactly was found; "" when Err says it all
	Mend   string // what to do next; "" when there is nothing beyond the obvious
}

// Error gives one line: file, reason, detail, mend.
func (e *FileError) Error() string {
	s := e.File + ": " + e.Err.Error()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Mend != "" {
		s += "; " + e.Mend
	}
	return s
}

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }
