package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/rs/zerolog"
)

const canary = "correct horse battery"

func TestSecretNeverShows(t *testing.T) {
	s := NewSecret([]byte(canary))
	type outer struct{ Shown Secret }
	type hiding struct{ hidden Secret }
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%08v", "%-40s"} {
		fmt.Fprintf(&out, verb+verb+verb+verb+"\n", s, outer{s}, hiding{s}, []Secret{s})
	}
	fmt.Fprintln(&out, s.String(), s.GoString(), []any{s, &s, map[string]Secret{"k": s}})
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return jsonv2.Marshal(v) }} {
		b, err := marshal(map[string]any{"s": s, "o": outer{s}, "p": &s})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), `"`+Redacted+`"`); n != 3 {
			t.Errorf("%s", b)
		}
		out.Write(b)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "s", s, "o", outer{s}, "h", hiding{s})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "s", s, "o", outer{s}, "h", hiding{s})
	log := zerolog.New(&out)
	log.Info().Interface("s", s).Stringer("t", s).Any("o", outer{s}).Any("h", hiding{s}).Msg("m")
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
		if strings.Contains(out.String(), form) {
			t.Errorf("shown as %q in:\n%s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), Redacted) {
		t.Error("nothing says that something was left out")
	}
}

func TestSecretHoldsACopy(t *testing.T) {
	b := []byte(canary)
	s := NewSecret(b)
	b[0] = 'X'
	s.Reveal()[1] = 'X'
	if string(s.Reveal()) != canary || s.Len() != len(canary) {
		t.Errorf("changed to %q", s.Reveal())
	}
	if !s.Equal(NewSecret([]byte(canary))) || s.Equal(NewSecret(b)) || s.Equal(Secret{}) {
		t.Error("Equal is wrong")
	}
	if (Secret{}).Len() != 0 || (Secret{}).Reveal() != nil || !(Secret{}).Equal(Secret{}) {
		t.Error("the zero Secret is not empty")
	}
}
