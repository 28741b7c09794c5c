// Command githttp serves a folder of repositories by git's own http-backend, through the CGI handler of Go's
// standard library: the callee of the end-to-end test with git.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", "", "`folder` of the repositories")
	ready := flag.String("ready", "", "`file` that the address is written to")
	flag.Parse()
	if err := run(*root, *ready); err != nil {
		fmt.Fprintln(os.Stderr, "githttp:", err)
		os.Exit(1)
	}
}

func run(root, ready string) error {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return fmt.Errorf("git --exec-path: %w", err)
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return err
	}
	backend := &cgi.Handler{
		Path:       filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Root:       "/",
		Env:        []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
		InheritEnv: []string{"HOME", "GIT_CONFIG_NOSYSTEM"},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(ready), "."+filepath.Base(ready)+".part")
	if err := os.WriteFile(tmp, []byte(l.Addr().String()), 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, ready); err != nil {
		return err
	}
	return http.Serve(l, whole(backend))
}

// whole reads the body before the backend starts: CGI (RFC 3875 section 4.2) wants its length, and git sends
// large packs chunked.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the body broke off", http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		next.ServeHTTP(w, r)
	})
}
