package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
)

func TestPack(t *testing.T) {
	var whole []byte
	for i := range 3 {
		r := chunk.Record{Name: chunk.Name{byte(i)}, Len: int64(100 + i)}
		whole = append(r.AppendHeader(whole), make([]byte, r.Len)...)
	}
	bad := append([]byte(nil), whole...)
	bad[120+16] = 0xff
	name := frame.Name{Recipient: identity.ID{1}, Sender: identity.ID{2}, Seq: 7, Ext: frame.ExtPack}.String()
	for want, data := range map[string][]byte{"a pack of 3": whole, "cut, or still grows: 2 whole": whole[:len(whole)-1], "cut, or still grows: 1 whole records, then 5": whole[:125],
		"no record begins at byte 120": bad, "a pack of 0": nil} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Look(path, Keys{}, Options{})
		if err != nil || !strings.Contains(f.Text, want) {
			t.Errorf("%q, %v; want %q", f.Text, err, want)
		}
	}
}
