package identity

import (
	"os"
	"sync"
	"time"
)

// lookEvery bounds how often a secret's file is looked at, whatever the traffic.
const lookEvery = time.Second

// Kept is a secret that is read again when its file changes. Safe for concurrent use.
type Kept struct {
	source string
	least  int

	mu     sync.Mutex
	secret Secret
	stamp  fileStamp
	looked time.Time
}

type fileStamp struct {
	mod  time.Time
	size int64
}

// Keep reads a secret as LoadSecret does.
func Keep(source string, least int) (*Kept, error) {
	k := &Kept{source: source, least: least, stamp: stampOf(source), looked: time.Now()}
	var err error
	k.secret, err = LoadSecret(source, least)
	return k, err
}

func stampOf(source string) fileStamp {
	path := SecretPath(source)
	if path == "" {
		return fileStamp{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

// Secret gives the secret as it is now. A file that cannot be read leaves the old one in force; it is tried again.
func (k *Kept) Secret() Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if now.Sub(k.looked) < lookEvery {
		return k.secret
	}
	k.looked = now
	stamp := stampOf(k.source)
	if stamp == k.stamp {
		return k.secret
	}
	if s, err := LoadSecret(k.source, k.least); err == nil {
		k.secret, k.stamp = s, stamp
	}
	return k.secret
}
