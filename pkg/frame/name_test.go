package frame_test

import (
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

func TestName(t *testing.T) {
	a, _ := identity.ParseID("0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77")
	b, _ := identity.ParseID("0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a78")
	n := frame.Name{Recipient: b, Sender: a, Seq: 1763798400123042, Ext: frame.ExtFrame}
	const want = "0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a78--0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77--1763798400123042.jwe"
	if n.String() != want {
		t.Fatalf("got %s, want %s", n, want)
	}
	if got, err := frame.ParseName(want); err != nil || got != n {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, seq := range []uint64{0, 1, frame.MaxSeq} {
		n.Seq = seq
		if got, err := frame.ParseName(n.String()); err != nil || got != n {
			t.Errorf("seq %d: got %v, %v", seq, got, err)
		}
	}
	for _, bad := range []string{
		"", want[1:], want[:len(want)-1], want + "x", " " + want, want + "\n", strings.ToUpper(want), "x/" + want, want + "/",
		strings.Replace(want, "--", "-", 1), strings.Replace(want, "--1", "--+", 1), strings.Replace(want, "--1", "-- ", 1),
		strings.Replace(want, "--1", "--\u0661", 1), strings.Replace(want, ".jwe", ".JWE", 1), strings.Replace(want, ".jwe", ".part", 1),
		strings.Replace(want, ".jwe", "", 1), strings.Replace(want, ".jwe", "\x00.jwe", 1), strings.Replace(want, "0199", "{199", 1),
		strings.Replace(want, "--1763798400123042", "--01763798400123042", 1), strings.Replace(want, "--1763798400123042", "--763798400123042", 1),
	} {
		if got, err := frame.ParseName(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}
