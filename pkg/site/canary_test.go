package site_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/pipe"
)

// canary keeps all that sites log in the tests of this package, at their most talkative, and the secrets that they had.
var canary struct {
	mu      sync.Mutex
	log     bytes.Buffer
	secrets map[string]bool
}

type canaryLog struct{}

func (canaryLog) Write(p []byte) (int, error) {
	canary.mu.Lock()
	defer canary.mu.Unlock()
	return canary.log.Write(p)
}

// talkative is a log that is searched for secrets when all tests have run.
func talkative() zerolog.Logger { return zerolog.New(canaryLog{}).Level(zerolog.TraceLevel) }

var secretMembers = regexp.MustCompile(`"(?:d|phs)": ?"([A-Za-z0-9_-]{43})"`)

// plant notes the private keys, and the keys of chunks in databases, below a folder.
func plant(dir string) {
	canary.mu.Lock()
	defer canary.mu.Unlock()
	if canary.secrets == nil {
		canary.secrets = map[string]bool{}
	}
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if name := filepath.Base(path); err != nil || e.IsDir() || name != "identity.jwks" && name != "hoft.db" && name != "hoft.db-wal" {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, m := range secretMembers.FindAllSubmatch(data, -1) {
			canary.secrets[string(m[1])] = true
		}
		return err
	})
}

func TestMain(m *testing.M) {
	pipe.FreeSpace = func(*os.File) (free, total uint64, ok bool) { return 1 << 40, 1 << 40, true } // how full this machine's disk is is told in status
	code := m.Run()
	canary.mu.Lock()
	defer canary.mu.Unlock()
	for s := range canary.secrets {
		if bytes.Contains(canary.log.Bytes(), []byte(s)) {
			fmt.Println("FAIL: a private key, or the key of a chunk, is in what the sites logged")
			code = 1
		}
	}
	if code == 0 && canary.log.Len() > 0 && len(canary.secrets) == 0 {
		fmt.Println("FAIL: no secret to look for was noted")
		code = 1
	}
	os.Exit(code)
}
