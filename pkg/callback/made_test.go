package callback

import (
	"sync"
	"testing"
)

// The secret has its name only when it is whole: whoever comes upon it, be it after a crash or a full disk, can read it.
func TestSecretIsWhole(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := keepSecrets("", dir); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}
