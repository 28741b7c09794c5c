package identity

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestParseIDTakesOneSpellingOnly(t *testing.T) {
	const good = "0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77"
	id, err := ParseID(good)
	if err != nil || id.String() != good || id.IsZero() {
		t.Fatalf("ParseID(%q) = %v, %v", good, id, err)
	}
	for _, bad := range []string{
		"", "x", good[:35], good + "0", "0199D1C2-6f0e-7c41-9b0a-5d1f0c8e2a77", "{" + good[1:35] + "}",
		"0199d1c26f0e7c419b0a5d1f0c8e2a77----", "0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a7g", "0199d1c2_6f0e-7c41-9b0a-5d1f0c8e2a77",
	} {
		if id, err := ParseID(bad); !errors.Is(err, ErrID) || !id.IsZero() {
			t.Errorf("ParseID(%q) = %v, %v", bad, id, err)
		}
	}
}

func TestIDInJSON(t *testing.T) {
	var got struct{ ID ID }
	if err := json.Unmarshal([]byte(`{"ID":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77"}`), &got); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(got)
	if err != nil || string(out) != `{"ID":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77"}` {
		t.Fatalf("%s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"ID":"0199D1C2-6F0E-7C41-9B0A-5D1F0C8E2A77"}`), &got); !errors.Is(err, ErrID) {
		t.Fatalf("upper case: %v", err)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77")
	f.Add("00000000-0000-0000-0000-00000000000G")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			if !id.IsZero() {
				t.Fatalf("an error and the id %v", id)
			}
			return
		}
		if id.String() != s {
			t.Fatalf("%q and %q are one id", s, id)
		}
	})
}
