//go:build unix

// Command readme does what a Markdown file tells its readers to do, as it is written there:
//
//	go run ./internal/readme README.md
//
// Only what is marked is done, by a comment on the line above the fence:
//
//	<!-- file name="a.yaml" -->              the text becomes a file
//	<!-- run -->                             the text is run by bash -eu; it must end with 0
//	<!-- run prints="orders" -->             ... and print this
//	<!-- run dir="repository" until="curl" -->  ... in the repository; interrupted once it prints this
//	<!-- serve -->                           each command goes on in the background until everything is done
//	<!-- callee listen="127.0.0.1:9000" answers="orders" -->   an HTTP server for the commands; no fence
//
// Commands work in a new folder, with this repository's hoft first in PATH. After serve, every address
// behind listen: in the files must accept connections before the next block.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/readme README.md")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "readme: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func check(file string) (err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	todo, err := blocks(string(text))
	if err != nil {
		return err
	}
	repository, err := os.Getwd()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "readme")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, ".bin")
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "hoft"), ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building hoft: %w", err)
	}
	r := &runner{dir: dir, repository: repository, env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")), log: os.Stdout}
	defer r.stop()
	return r.all(todo)
}
