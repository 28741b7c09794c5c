// Command table makes the table of features and guards in docs/http.md: it sends each request to a server directly and through two sites.
//
// Run it in the repository: go run ./scripts/table writes the page, go run ./scripts/table -check fails where the page, or what is seen, is not as it should be.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
)

const (
	page  = "docs/http.md"
	begin = "<!-- table: made by go run ./scripts/table -->\n"
	end   = "<!-- end of table -->\n"
)

func main() {
	check := flag.Bool("check", false, "change nothing; fail where the page is not what would be written")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(old, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table", page)
	}
	text, wrong, err := table()
	if err != nil {
		return err
	}
	next := bytes.Join([][]byte{before, []byte(begin), []byte(text), []byte(end), after}, nil)
	if wrong > 0 {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "✗") {
				fmt.Print(line)
			}
		}
		return fmt.Errorf("%d rows are not as expected", wrong)
	}
	if check {
		if !bytes.Equal(old, next) {
			return fmt.Errorf("%s is out of date; run: go run ./scripts/table", page)
		}
		fmt.Printf("%d rows, all as expected\n", strings.Count(text, "\n")-2)
		return nil
	}
	return os.WriteFile(page, next, 0o644)
}

// table runs every row and gives the table, and how many rows are not as expected.
func table() (string, int, error) {
	w, err := newWorld()
	if err != nil {
		return "", 0, err
	}
	defer w.close()
	var b strings.Builder
	b.WriteString("| what | request | expected | directly | by hoft |\n|---|---|---|---|---|\n")
	wrong := 0
	for _, r := range rows() {
		direct := "–"
		if r.direct != "" {
			direct = w.ask(w.callee, r.request)
		}
		via := w.ask(w.front, r.request)
		mark := ""
		if via != r.want || r.direct != "" && direct != r.direct {
			wrong++
			mark = " ✗"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s%s |\n", r.what, r.shown(), r.want, direct, via, mark)
	}
	return b.String(), wrong, nil
}
