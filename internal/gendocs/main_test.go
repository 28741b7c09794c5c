package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReferenceIsCurrent(t *testing.T) {
	got, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(target)))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != reference() {
		t.Errorf("%s is not what the code says; make it again with: go run ./internal/gendocs", target)
	}
}
