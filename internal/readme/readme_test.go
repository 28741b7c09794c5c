//go:build unix

package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// do runs the marked parts of text in a new folder.
func do(t *testing.T, text string) (string, error) {
	t.Helper()
	todo, err := blocks(text)
	if err != nil {
		return "", err
	}
	var log bytes.Buffer
	r := &runner{dir: t.TempDir(), repository: t.TempDir(), env: os.Environ(), log: &log}
	defer r.stop()
	err = r.all(todo)
	return log.String(), err
}

func fence(mark, text string) string { return mark + "\n```sh\n" + text + "\n```\n" }

func TestMarkedBlocksAreDone(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	log, err := do(t, "# Title\n"+
		fence(`<!-- file name="a.txt" -->`, "hello")+
		fence(``, "exit 7 # not marked")+
		fence(`<!-- run prints="hello" -->`, "cat a.txt")+
		fence(`<!-- run dir="repository" -->`, "test ! -e a.txt")+
		fence(`<!-- run until="ready" -->`, "trap 'kill $!; exit 130' INT\nsleep 600 &\necho ready\nwait")+
		`<!-- callee listen="`+address+`" answers="orders" -->`+"\n"+
		fence(`<!-- run prints="orders" -->`, "exec 3<>/dev/tcp/"+strings.Replace(address, ":", "/", 1)+
			"\nprintf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3\ncat <&3"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(log, "\n") != 6 {
		t.Errorf("done:\n%s", log)
	}
}

func TestServeEndsWithTheRest(t *testing.T) {
	note := filepath.Join(t.TempDir(), "ended")
	_, err := do(t, fence(`<!-- serve -->`, "# a comment\nbash -c 'trap \"touch "+note+"; kill \\$!; exit 0\" INT; sleep 600 & touch started; wait'")+
		fence(`<!-- run -->`, "until test -e started; do sleep 0.02; done"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(note); err != nil {
		t.Errorf("the background command was not interrupted: %v", err)
	}
}

func TestFailuresAreSaid(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"# nothing", "nothing is marked"},
		{fence(`<!-- run -->`, "echo no; false"), "line 1: run: exit status 1\nno"},
		{fence(`<!-- run prints="yes" -->`, "echo no"), `does not print "yes" but`},
		{fence(`<!-- run until="yes" -->`, "echo no"), `without printing "yes"`},
		{fence(`<!-- run timeout="3" -->`, "true"), "run has no attribute timeout"},
		{fence(`<!-- rnu -->`, "true"), "a comment that is no mark"},
		{fence(`<!-- file -->`, "x"), "file needs name"},
		{"<!-- run -->\ntext\n", "no fence follows"},
		{"<!-- run -->\n```sh\ntrue\n", "does not end"},
		{fence(`<!-- file name="c.yaml" -->`, "listen: 127.0.0.1:1") + fence(`<!-- serve -->`, "bash -c 'echo broken; exit 3'"), "ended: exit status 3\nbroken"},
	} {
		if _, err := do(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}
