package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// Verdicts on a file, in one word each.
const (
	Whole   = "whole"   // every line is there and verified
	Partly  = "partly"  // some lines are verified, the rest is cut or damaged
	Refused = "refused" // a site refuses all of it
	NoKeys  = "no-keys" // nothing could be verified for lack of keys
)

// Schema names the form of File in JSON. Members are only ever added.
const Schema = "hoft.inspect/1"

// File is what can be said of a file.
type File struct {
	Schema   string    `json:"schema"`
	Path     string    `json:"path"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	Name     *Name     `json:"name,omitempty"`
	Verdict  string    `json:"verdict"`
	// Text says in plain words what the verdict means for this file, Next what to do.
	Text string `json:"text"`
	Next string `json:"next,omitempty"`
	// Good and Bad count lines; Written is how many the file had when it was written, where a verified line says so.
	Good    int    `json:"good"`
	Bad     int    `json:"bad"`
	Written *int   `json:"written,omitempty"`
	Lines   []Line `json:"lines"`
	// Sent is what this site's state knows of a file that it wrote itself.
	Sent *Sent `json:"sent,omitempty"`
}

// Options say how to look.
type Options struct {
	Now     time.Time
	Headers bool   // show header fields, credentials replaced
	Suffix  string // pipe.suffix of this site
	As      string // the name to take the file for; "": its own
}

// ErrNotFile says that a path names no regular file.
var ErrNotFile = errors.New("not a regular file")

// Look reads a file and says what it is. It fails only when the file cannot be read.
func Look(path string, k Keys, o Options) (*File, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.IsDir() {
		return nil, fmt.Errorf("%s: %w but a folder; name the files in it, as in %s", path, ErrNotFile, filepath.Join(path, "*"))
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w (%v)", path, ErrNotFile, fi.Mode().Type())
	}
	f := &File{Schema: Schema, Path: path, Bytes: fi.Size(), Modified: fi.ModTime().UTC(), Lines: []Line{}}
	base := o.As
	if base == "" {
		base = filepath.Base(path)
	}
	if n, ok := parseName(filepath.Base(base), o.Suffix); ok {
		n.Recipient, n.Sender = k.party(n.parsed.Recipient), k.party(n.parsed.Sender)
		f.Name = &n
	}
	if f.Name != nil && f.Name.parsed.Ext == frame.ExtPack {
		return f, f.pack(path, k.signed[f.Name.parsed.Sender] || k.signed[f.Name.parsed.Recipient])
	}
	if f.other() {
		return f, nil
	}
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	f.look(data, k, o)
	return f, nil
}

// read reads at most what a frame may have.
func read(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, frame.MaxFile))
}

// other gives the verdict on what is no frame by its name or size.
func (f *File) other() bool {
	switch {
	case f.Bytes > frame.MaxFile:
		f.refuse(fmt.Sprintf("longer than the %d bytes that a frame may have", frame.MaxFile), "")
	default:
		return false
	}
	return true
}

func (f *File) refuse(text, next string) { f.Verdict, f.Text, f.Next = Refused, text, next }

// look opens every line and judges.
func (f *File) look(data []byte, k Keys, o Options) {
	rest := data
	for len(rest) > 0 && len(f.Lines) <= frame.MaxLines {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		l := k.look(f.Name, line, o)
		l.Cut = !whole && l.Failed != nil
		f.Lines = append(f.Lines, l)
		rest = after
	}
	for i := range f.Lines {
		if l := &f.Lines[i]; l.Verified {
			f.Good++
			if l.Claims.Fin {
				n := l.Claims.Idx + 1
				f.Written = &n
			}
		} else {
			f.Bad++
		}
	}
	f.judge(data, &k)
}
