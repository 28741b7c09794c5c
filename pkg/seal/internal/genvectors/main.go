// Command genvectors writes the test vectors of the line format and of the claims:
//
//	go run ./pkg/seal/internal/genvectors
//
// run in the root of the repository. A vector that exists stays as it is, because other
// implementations may have been tested with it; -rewrite makes all of them anew. Tokens come from
// package forge, which shares no code with what the vectors test.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// vector is one file: lines "key: value", an empty line, the body to the end of the file.
type vector struct {
	head bytes.Buffer
	body []byte
}

func (v *vector) set(key, format string, args ...any) {
	fmt.Fprintf(&v.head, "%s: %s\n", key, fmt.Sprintf(format, args...))
}

func main() {
	rewrite := flag.Bool("rewrite", false, "make existing vectors anew")
	flag.Parse()
	if err := run(*rewrite); err != nil {
		fmt.Fprintln(os.Stderr, "genvectors:", err)
		os.Exit(1)
	}
}

func run(rewrite bool) error {
	for dir, set := range map[string]map[string]*vector{
		"pkg/seal/testdata/vectors":  sealVectors(),
		"pkg/frame/testdata/vectors": claimsVectors(),
		"pkg/seal/testdata":          {"signed-known": newScene().signedKnown()},
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("%w (run in the root of the repository)", err)
		}
		for name, v := range set {
			if err := v.write(filepath.Join(dir, name+".txt"), rewrite); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *vector) write(path string, rewrite bool) error {
	if _, err := os.Stat(path); err == nil && !rewrite {
		return nil
	}
	return os.WriteFile(path, append(append(v.head.Bytes(), '\n'), v.body...), 0o644)
}
