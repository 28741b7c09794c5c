// Command callee is the server behind the end-to-end tests. It answers with what it got, in forms that a shell or
// a load generator can compare, and writes down what it executed before it answers.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	ready := flag.String("ready", "", "`file` that the address is written to once calls are taken")
	record := flag.String("record", "", "`file` that each executed call is appended to and synced: id, method, SHA-256 of the body")
	gates := flag.String("gates", "", "`folder` in which a file opens the gate of its name")
	takes := flag.Duration("takes", 0, "how long a job takes after it was executed and before it is answered")
	flag.Parse()
	if err := run(*listen, *ready, *record, *gates, *takes); err != nil {
		fmt.Fprintln(os.Stderr, "callee:", err)
		os.Exit(1)
	}
}

func run(listen, ready, record, gates string, takes time.Duration) error {
	if record == "" || ready == "" {
		return errors.New("-record and -ready are required")
	}
	book, err := openBook(record)
	if err != nil {
		return err
	}
	book.takes = takes
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if err := publish(ready, l.Addr().String()); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(l, handler(book, gates)) }()
	select {
	case <-stop:
		return nil
	case err := <-failed:
		return err
	}
}

// publish writes a file that is either absent or whole.
func publish(name, text string) error {
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part")
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
