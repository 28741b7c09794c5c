package store_test

import (
	"os"
	"testing"

	"github.com/hoft/hoft/internal/leaks"
)

// TestMain lets this binary run again as the child of a test.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HOFT_TEST_STORE_CHILD"); dir != "" {
		os.Exit(child(dir))
	}
	leaks.Main(m)
}
