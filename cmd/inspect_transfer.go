package cmd

import (
	"fmt"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/admin/inspect"
	"github.com/hoft/hoft/pkg/exchange"
)

// transfer prints how far a long body is on its way.
func (s *screen) transfer(t *inspect.Transfer) {
	text := fmt.Sprintf("sending   %d chunks, %s: %d there, %s", t.Chunks, admin.Bytes(t.Bytes), t.ThereChunks, admin.Bytes(t.ThereBytes))
	if t.Way == "in" {
		text = fmt.Sprintf("coming    %d chunks, %s: %d here, %s", t.Chunks, admin.Bytes(t.Bytes), t.ThereChunks, admin.Bytes(t.ThereBytes))
	}
	if t.InPipeChunks > 0 {
		text += fmt.Sprintf("; %d in the pipe, %s", t.InPipeChunks, admin.Bytes(t.InPipeBytes))
	}
	if t.RateBps > 0 {
		text += fmt.Sprintf("; %s/s", admin.Bytes(int64(t.RateBps)))
	}
	if t.LeftS != nil {
		text += ", about " + admin.Seconds(*t.LeftS) + " to go"
	}
	s.say(1, "%s", text)
	for _, p := range t.Packs {
		text := fmt.Sprintf("%s  %d chunks, %s, %s", p.Name, p.Chunks, admin.Bytes(p.Bytes), p.State)
		if p.At != nil {
			text += " " + p.At.UTC().Format(clock)
		}
		s.say(3, "%s", text)
	}
}

// progress prints how far a body is by the word of the running site.
func (s *screen) progress(t *exchange.Transfer) {
	where := "there"
	if t.Length > 0 { // only of what comes
		where = "here"
	}
	text := fmt.Sprintf("%-9s %s of %s %s", t.Body, admin.Bytes(t.ThereBytes), admin.Bytes(max(t.Length, t.Bytes)), where)
	if t.Body == exchange.BodyResponse && t.Length == 0 {
		text = fmt.Sprintf("%-9s %s of the %s here that were announced so far", t.Body, admin.Bytes(t.ThereBytes), admin.Bytes(t.Bytes))
	}
	if t.RateBps > 0 {
		text += fmt.Sprintf("; %s/s", admin.Bytes(int64(t.RateBps)))
	}
	if t.LeftS > 0 {
		text += ", about " + admin.Seconds(t.LeftS) + " to go"
	}
	s.say(1, "%s", text)
}
