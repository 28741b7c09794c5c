package identity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	goldenPSK   = "hoft-psk-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	goldenOther = "0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a78"
)

func TestPSKIsNotShown(t *testing.T) {
	psk, err := ParsePSK([]byte(goldenPSK+"\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	if len(psk.Bytes()) != pskLen {
		t.Errorf("%d bytes", len(psk.Bytes()))
	}
	if shown := fmt.Sprintf("%v %+v %#v", psk, psk, struct{ p PSK }{psk}); strings.Contains(shown, "0 1 2 3") || strings.Contains(shown, "AAECAw") {
		t.Errorf("shown: %s", shown)
	}
}

func TestPSKFile(t *testing.T) {
	psk, err := NewPSK()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "b.secret")
	if err := psk.Create(path); err != nil {
		t.Fatal(err)
	}
	got, err := LoadPSK(path)
	if err != nil || !got.secret.Equal(psk.secret) {
		t.Fatalf("%v", err)
	}
	if text := string(psk.Encode()); !strings.HasPrefix(text, "hoft-psk-1:") || len(text) != len(goldenPSK)+1 {
		t.Errorf("form of %d bytes", len(text))
	}
	other, err := NewPSK()
	if err != nil || other.secret.Equal(psk.secret) {
		t.Errorf("two secrets are one: %v", err)
	}
	if err := other.Create(path); !errors.Is(err, ErrExists) {
		t.Errorf("overwrote: %v", err)
	}
	if again, err := LoadPSK(path); err != nil || !again.secret.Equal(psk.secret) {
		t.Errorf("changed: %v", err)
	}
	if _, err := LoadPSK(path + "x"); !errors.Is(err, ErrMissing) {
		t.Errorf("missing: %v", err)
	}
}

func TestPSKRefusals(t *testing.T) {
	for name, text := range map[string]string{
		"empty":               "",
		"a passphrase":        "correct horse battery staple",
		"no prefix":           goldenPSK[len(pskPrefix):],
		"other version":       strings.Replace(goldenPSK, "-1:", "-2:", 1),
		"short":               goldenPSK[:len(goldenPSK)-1],
		"long":                goldenPSK + "A",
		"padded":              goldenPSK + "=",
		"spare bits":          goldenPSK[:len(goldenPSK)-1] + "9",
		"two line ends":       goldenPSK + "\n\n",
		"line end inside":     goldenPSK[:20] + "\n" + goldenPSK[20:],
		"a blank before":      " " + goldenPSK,
		"something behind it": goldenPSK + "\nx",
	} {
		_, err := ParsePSK([]byte(text), "f.secret")
		var file *FileError
		if !errors.Is(err, ErrPSK) || !errors.As(err, &file) || file.File != "f.secret" || file.Mend == "" {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "AAECAw") {
			t.Errorf("%s: shows the secret: %v", name, err)
		}
	}
	if _, err := ParsePSK([]byte(goldenPSK+"\r\n"), "f"); err != nil {
		t.Errorf("a line end of Windows: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 2*maxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPSK(big); !errors.Is(err, ErrPSK) {
		t.Errorf("a long file: %v", err)
	}
}
