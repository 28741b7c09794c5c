package inspect

import (
	"bytes"
	"fmt"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/seal"
)

// judge says what became of the lines as a whole.
func (f *File) judge(data []byte, k *Keys) {
	switch {
	case f.Name == nil:
		f.judgeUnnamed()
	case k.Opener == nil:
		f.judgeShape("without keys only the shape of it can be told: " + k.Missing)
	case f.Name.parsed.Sender == k.Self && f.Name.parsed.Ext == frame.ExtSigned:
		f.judgeShape("written by this site, signed and not encrypted: everybody can read it")
	case f.Name.parsed.Sender == k.Self:
		f.judgeShape("written by this site: only " + f.Name.Recipient.String() + " can open it, the site that wrote it cannot")
	case f.Name.parsed.Recipient != k.Self:
		f.refuse(fmt.Sprintf("wrong recipient: it is for site %s, this is %s (%s)", f.Name.Recipient, k.name, k.Self),
			"if the mover brings such files here, look at where it is to take them")
	case !k.knows(f.Name.parsed.Sender):
		f.Verdict, f.Text = NoKeys, fmt.Sprintf("unknown sender: site %s is no peer of this one, so nothing can be verified", f.Name.Sender)
		f.Next = "if it is to be a peer, get its key file by another way and trust it: hoft keys trust FILE"
	default:
		f.judgeOpened(data, k)
	}
}

// judgeUnnamed is for a name that says nothing: then nothing binds the content to a sender.
func (f *File) judgeUnnamed() {
	for i := range f.Lines {
		if f.Lines[i].Alg != "" || f.Lines[i].Signed && f.Lines[i].SigAlg != "" {
			f.refuse("sealed lines under a name that is no hoft file name: a site passes over it", "give the name that it was written under: hoft inspect --name NAME FILE")
			return
		}
	}
	f.Lines = []Line{}
	f.refuse("not a hoft file: neither its name nor its content", "")
}

// judgeShape is for what cannot be opened here; why begins the text.
func (f *File) judgeShape(why string) {
	shaped := 0
	for i := range f.Lines {
		if f.Lines[i].Failed == nil {
			shaped++
		}
	}
	if len(f.Lines) > 0 && shaped == 0 {
		f.refuse(fmt.Sprintf("damaged: none of %s has the shape of a sealed one", lines(len(f.Lines))), "")
		return
	}
	f.Verdict, f.Text = NoKeys, fmt.Sprintf("%s; %d of %s well-formed", why, shaped, lines(len(f.Lines)))
}

// judgeOpened is for a file of a peer to this site.
func (f *File) judgeOpened(data []byte, k *Keys) {
	res := k.Opener.File(f.Name.parsed, data, seal.Mark{})
	switch {
	case res.Whole:
		f.Verdict, f.Text = Whole, fmt.Sprintf("whole: %s, all verified", lines(f.Good))
	case len(res.Seen) > 0 && res.Bad == 0:
		f.Verdict, f.Text = Partly, f.truncated(len(data))
		f.Next = "nothing: what is good counts, and the sender sends the rest again"
	case len(res.Seen) > 0:
		f.Verdict = Partly
		f.Text = fmt.Sprintf("damaged: %d of %s good; %s", f.Good, lines(len(f.Lines)), said(res.Err))
		f.Next = "nothing: what is good counts, and the sender sends the rest again"
	case len(data) == 0:
		f.refuse("truncated: the file is empty", "nothing: the sender sends its content again")
	default:
		f.judgeNothing(data, res, k)
	}
	if f.Name.Odd != "" && f.Verdict != NoKeys {
		f.Text += "; its name has " + f.Name.Odd
	}
}

func (f *File) truncated(have int) string {
	of := "how many were written is not known"
	if f.Written != nil {
		of = fmt.Sprintf("%d were written", *f.Written)
	}
	return fmt.Sprintf("truncated: %s good in the %d bytes that came, %s", lines(f.Good), have, of)
}

// judgeNothing is for a file with no good line: a key is missing, it is cut in its first line, or it is bad.
func (f *File) judgeNothing(data []byte, res seal.Result, k *Keys) {
	l := &f.Lines[0]
	first, _, _ := bytes.Cut(data, []byte("\n"))
	outer := seal.Inspect(first) // its shape tells the suite, whoever the sender is
	switch own := k.psk[f.Name.parsed.Sender]; {
	case l.Failed != nil && (l.Failed.Check == 5 || l.Failed.Check == 6) && outer.Err == nil && outer.PSK != own:
		with, without := "a pre-shared secret", "public keys"
		if own {
			with, without = without, with
		}
		f.refuse(fmt.Sprintf("refused: it is sealed with %s, and this site has %s for %s", with, without, f.Name.Sender),
			"name the same secret for each other at both sites (peers[].psk), or none at either, and restart; what was in the file is sent again")
	case res.Err != nil && res.Err.Reason == seal.Mode:
		f.refuse("refused: "+res.Err.Detail, "set the same seal for each other at both sites (peers[].seal) and restart; what was in the file is sent again")
	case l.Failed == nil:
		f.refuse("refused: "+said(res.Err), "")
	case l.Failed.Check == 7 && !k.psk[f.Name.parsed.Sender] && !k.own[l.Kid]:
		f.Verdict, f.Text = NoKeys, fmt.Sprintf("unknown key: sealed to key %s, which is not a live key of this site%s", l.Kid, whose(l.SealedTo))
		f.Next = "give the other side this site's present keys: hoft keys export"
	case l.Failed.Check == 8 && l.SigKid != "" && !k.psk[f.Name.parsed.Sender] && !k.sig[f.Name.parsed.Sender][l.SigKid]:
		f.Verdict, f.Text = NoKeys, fmt.Sprintf("unknown key: signed with key %s, which is not accepted of %s", l.SigKid, f.Name.Sender)
		f.Next = "compare the keys by phone: hoft keys verify " + f.Name.Sender.String()
	case res.Bad == 0:
		f.refuse("truncated in its first line: nothing of it can be used", "nothing: the sender sends its content again")
	default:
		f.refuse(fmt.Sprintf("damaged: none of %s good; %s", lines(len(f.Lines)), said(res.Err)), "nothing, if it stays one file; else look at what writes to the folder")
	}
}

func whose(name string) string {
	if name == "" {
		return ""
	}
	return " but of " + name
}

// said tells a refusal with its check.
func said(e *seal.Error) string {
	if e == nil {
		return "nothing is wrong with a single line"
	}
	return fmt.Sprintf("check %d (%s): %s", e.Check, e.Reason, e.Detail)
}

func lines(n int) string {
	if n == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", n)
}
