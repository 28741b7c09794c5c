//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long one block may take: a guard against hanging, not a measure of speed.
const patience = 3 * time.Minute

// runner does blocks one after the other.
type runner struct {
	dir, repository string
	env             []string
	log             io.Writer
	addresses       []string // behind listen: in the files
	servers         []*process
	callees         []net.Listener
}

func (r *runner) all(todo []block) error {
	if len(todo) == 0 {
		return errors.New("nothing is marked")
	}
	for _, b := range todo {
		fmt.Fprintf(r.log, "line %d: %s\n", b.line, b.kind)
		if err := r.one(b); err != nil {
			return fmt.Errorf("line %d: %s: %w", b.line, b.kind, err)
		}
	}
	return nil
}

func (r *runner) one(b block) error {
	switch b.kind {
	case "file":
		return r.file(b)
	case "callee":
		return r.callee(b)
	case "serve":
		return r.serve(b)
	}
	return r.run(b)
}

var listen = regexp.MustCompile(`(?m)^\s*listen:\s*(\S+)`)

func (r *runner) file(b block) error {
	for _, m := range listen.FindAllStringSubmatch(b.text, -1) {
		r.addresses = append(r.addresses, m[1])
	}
	return os.WriteFile(filepath.Join(r.dir, filepath.Base(b.attrs["name"])), []byte(b.text), 0o600)
}

func (r *runner) callee(b block) error {
	l, err := net.Listen("tcp", b.attrs["listen"])
	if err != nil {
		return err
	}
	r.callees = append(r.callees, l)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // ends when l is closed
		fmt.Fprintln(w, b.attrs["answers"])
	}))
	return nil
}

// serve starts one process for each line and waits until all addresses accept connections.
func (r *runner) serve(b block) error {
	for _, a := range r.addresses {
		if c, err := net.Dial("tcp", a); err == nil {
			c.Close()
			return fmt.Errorf("%s is in use by something else", a)
		}
	}
	var started []*process
	for line := range strings.Lines(b.text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p, err := r.start("exec "+line, r.dir)
		if err != nil {
			return err
		}
		started = append(started, p)
	}
	r.servers = append(r.servers, started...)
	return r.ready(started)
}

func (r *runner) ready(started []*process) error {
	deadline := time.Now().Add(patience)
	for _, a := range r.addresses {
		for {
			c, err := net.Dial("tcp", a)
			if err == nil {
				c.Close()
				break
			}
			for _, p := range started {
				if p.ended() {
					return fmt.Errorf("%s ended: %v\n%s", p.line, p.err, p.output())
				}
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("nothing listens on %s", a)
			}
			time.Sleep(20 * time.Millisecond) // between two looks; there is no event to wait for
		}
	}
	return nil
}

func (r *runner) run(b block) error {
	dir := r.dir
	if b.attrs["dir"] == "repository" {
		dir = r.repository
	}
	p, err := r.start(b.text, dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if until := b.attrs["until"]; until != "" {
		if err := p.prints(ctx, until); err != nil {
			p.kill()
			return err
		}
		p.interrupt()
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("did not end within %v\n%s", patience, p.output())
	}
	if p.err != nil && !(b.attrs["until"] != "" && p.interrupted()) {
		return fmt.Errorf("%w\n%s", p.err, p.output())
	}
	if want := b.attrs["prints"]; !strings.Contains(p.output(), want) {
		return fmt.Errorf("does not print %q but\n%s", want, p.output())
	}
	return nil
}

// stop ends what serve and callee started.
func (r *runner) stop() {
	for _, p := range r.servers {
		p.interrupt()
		select {
		case <-p.done:
		case <-time.After(30 * time.Second):
			p.kill()
		}
	}
	for _, l := range r.callees {
		l.Close()
	}
}

// process is a script of bash in a process group of its own.
type process struct {
	line string
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
	err  error         // how it ended, valid after done

	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // holds one token after each write
}

func (r *runner) start(script, dir string) (*process, error) {
	p := &process{line: strings.TrimSpace(script), done: make(chan struct{}), written: make(chan struct{}, 1)}
	p.cmd = exec.Command("bash", "-euo", "pipefail", "-c", script)
	p.cmd.Dir, p.cmd.Env = dir, r.env
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt must reach what go run started too
	p.cmd.WaitDelay = 10 * time.Second                      // for what it left running with its output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Write keeps the output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.written <- struct{}{}:
	default:
	}
	return p.text.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// prints waits until the output holds text.
func (p *process) prints(ctx context.Context, text string) error {
	for !strings.Contains(p.output(), text) {
		select {
		case <-p.written:
		case <-p.done:
			if !strings.Contains(p.output(), text) {
				return fmt.Errorf("ended (%v) without printing %q\n%s", p.err, text, p.output())
			}
		case <-ctx.Done():
			return fmt.Errorf("does not print %q within %v but\n%s", text, patience, p.output())
		}
	}
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// interrupted says whether the process, which has ended, ended as one does after an interrupt: by the
// signal, with 130, or with 1 as go run does for any failure of its program.
func (p *process) interrupted() bool {
	state, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && (state.Signaled() && state.Signal() == syscall.SIGINT || state.ExitStatus() == 130 || state.ExitStatus() == 1)
}

func (p *process) interrupt() { p.signal(syscall.SIGINT) }

func (p *process) kill() { p.signal(syscall.SIGKILL) }

// signal goes to the whole group; a group that has ended needs none.
func (p *process) signal(s syscall.Signal) {
	if !p.ended() {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}
