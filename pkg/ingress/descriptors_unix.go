//go:build unix

package ingress

import "syscall"

// descriptors gives how many this process may have open; 0 where it cannot be told. Go has raised the limit as far as it goes.
func descriptors() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return int(min(uint64(l.Cur), 1<<30))
}
