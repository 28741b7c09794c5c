package cmd

import (
	"fmt"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/admin/inspect"
)

// transfer prints how far a long body is on its way.
func (s *screen) transfer(t *inspect.Transfer) {
	if t.Way == "in" {
		s.say(1, "coming    %d chunks, %s, announced and not here", t.Chunks, admin.Bytes(t.Bytes))
	} else {
		text := fmt.Sprintf("sending   %d chunks, %s: %d there, %s", t.Chunks, admin.Bytes(t.Bytes), t.ThereChunks, admin.Bytes(t.ThereBytes))
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
	}
	for _, p := range t.Packs {
		text := fmt.Sprintf("%s  %d chunks, %s, %s", p.Name, p.Chunks, admin.Bytes(p.Bytes), p.State)
		if p.At != nil {
			text += " " + p.At.UTC().Format(clock)
		}
		s.say(3, "%s", text)
	}
}
