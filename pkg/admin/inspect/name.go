package inspect

import (
	"regexp"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// Name is what a file's name says.
type Name struct {
	Recipient Party  `json:"recipient"`
	Sender    Party  `json:"sender"`
	Seq       uint64 `json:"seq"`
	Ext       string `json:"ext"`
	// Quarantined is when and why a copy was set aside; such copies lie in the state folder.
	Quarantined *Quarantined `json:"quarantined,omitempty"`
	// Odd says what is wrong with the name: a site would not look at a file of this name.
	Odd string `json:"odd,omitempty"`

	parsed frame.Name
}

// Party is a site: its id, and its name where it is known.
type Party struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// String gives the name, or the id of a site that is not known.
func (p Party) String() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

// Quarantined tells of a copy of a refused file.
type Quarantined struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

var (
	// stem is a frame's name anywhere in a longer one; ParseName decides.
	stem = regexp.MustCompile(`[0-9a-f-]{36}--[0-9a-f-]{36}--[0-9]{16}\.(?:jwe|jws|pack)`)
	// setAside is what the pipe puts before the name of a file in quarantine.
	setAside = regexp.MustCompile(`^([0-9]{8}T[0-9]{6}\.[0-9]{3})-[0-9]{4}--([a-z0-9-]+)--$`)
)

// parseName reads a base name; false when there is no hoft name in it. suffix is what this site's pipe appends.
func parseName(base, suffix string) (n Name, ok bool) {
	loc := stem.FindStringIndex(base)
	if loc == nil {
		return Name{}, false
	}
	parsed, err := frame.ParseName(base[loc[0]:loc[1]])
	if err != nil {
		return Name{}, false
	}
	n = Name{Seq: parsed.Seq, Ext: string(parsed.Ext), parsed: parsed}
	n.Recipient.ID, n.Sender.ID = parsed.Recipient.String(), parsed.Sender.String()
	before, after := base[:loc[0]], base[loc[1]:]
	if m := setAside.FindStringSubmatch(before); m != nil {
		if at, err := time.Parse("20060102T150405.000", m[1]); err == nil {
			n.Quarantined = &Quarantined{at.UTC(), m[2]}
			before = ""
		}
	}
	after = strings.TrimPrefix(after, suffix)
	if before+after != "" {
		n.Odd = "more than a file's name: a site passes over it"
	}
	return n, true
}
