package frame

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hoft/hoft/pkg/identity"
)

// Ext is the kind of a file as its name tells it.
type Ext string

// The three kinds of file on a pipe.
const (
	ExtFrame  Ext = ".jwe"  // a sealed frame
	ExtSigned Ext = ".jws"  // a frame in signed mode
	ExtPack   Ext = ".pack" // raw chunks
)

// Frame says whether files of this kind are frames, in whichever mode.
func (e Ext) Frame() bool { return e == ExtFrame || e == ExtSigned }

// Name is a file's name: who is to read it, who wrote it, and its number on that link.
type Name struct {
	Recipient, Sender identity.ID
	Seq               uint64
	Ext               Ext
}

// ErrName is returned for anything that is not exactly a hoft file name.
var ErrName = errors.New("not a hoft file name")

const (
	idLen  = 36
	sep    = "--"
	seqLen = 16
	// stemLen is recipient--sender--seq without the extension.
	stemLen = idLen + len(sep) + idLen + len(sep) + seqLen
)

// String gives the base name, recipient--sender--seq with the seq in exactly 16 decimal digits.
func (n Name) String() string {
	return fmt.Sprintf("%s--%s--%016d%s", n.Recipient, n.Sender, n.Seq, n.Ext)
}

// ParseName reads a base name (no folder). It accepts exactly what String writes.
func ParseName(s string) (Name, error) {
	if len(s) <= stemLen || s[idLen:idLen+2] != sep || s[2*idLen+2:2*idLen+4] != sep {
		return Name{}, ErrName
	}
	var n Name
	var err error
	if n.Recipient, err = identity.ParseID(s[:idLen]); err != nil {
		return Name{}, ErrName
	}
	if n.Sender, err = identity.ParseID(s[idLen+2 : 2*idLen+2]); err != nil {
		return Name{}, ErrName
	}
	digits := s[2*idLen+4 : stemLen]
	if strings.Trim(digits, "0123456789") != "" {
		return Name{}, ErrName
	}
	if n.Seq, err = strconv.ParseUint(digits, 10, 64); err != nil {
		return Name{}, ErrName
	}
	switch n.Ext = Ext(s[stemLen:]); n.Ext {
	case ExtFrame, ExtSigned, ExtPack:
		return n, nil
	}
	return Name{}, ErrName
}
