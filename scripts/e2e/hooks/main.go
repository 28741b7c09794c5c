// Command hooks receives callbacks as a stranger would: it verifies each with the library of Standard Webhooks, keeps its
// body in a file of its webhook-id, and notes in a record every try: id, verdict.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	ready := flag.String("ready", "", "`file` that gets the address")
	secret := flag.String("secret", "", "`file` of the whsec_ secret, read when the first callback comes")
	dir := flag.String("dir", "", "`folder` for bodies and the record \"tries\"")
	flag.Parse()
	if err := run(*ready, *secret, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "hooks:", err)
		os.Exit(1)
	}
}

func run(ready, secret, dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(ready+".part", []byte(l.Addr().String()), 0o644); err != nil {
		return err
	}
	if err := os.Rename(ready+".part", ready); err != nil {
		return err
	}
	var mu sync.Mutex
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := take(r, secret, dir); err != nil {
			fmt.Fprintln(os.Stderr, "hooks:", err)
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
}

// take keeps a message whose signature is right.
func take(r *http.Request, secret, dir string) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(secret)
	if err != nil {
		return err
	}
	hook, err := standardwebhooks.NewWebhook(strings.TrimSpace(string(key)))
	if err != nil {
		return err
	}
	id, verdict := filepath.Base(r.Header.Get("Webhook-Id")), "verified"
	err = hook.Verify(body, r.Header)
	if err != nil {
		verdict = "refused"
	}
	f, ferr := os.OpenFile(filepath.Join(dir, "tries"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if ferr != nil {
		return ferr
	}
	fmt.Fprintf(f, "%s\t%s\n", id, verdict)
	if cerr := f.Close(); cerr != nil || err != nil {
		return fmt.Errorf("%s: %v, %w", id, err, cerr)
	}
	if err := os.WriteFile(filepath.Join(dir, id+".part"), body, 0o644); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, id+".part"), filepath.Join(dir, id))
}
