package admin

import (
	"errors"

	"golang.org/x/sys/windows"
)

// nobodyListens knows how Windows says that a socket is gone or served by nobody.
func nobodyListens(err error) bool {
	return errors.Is(err, windows.WSAECONNREFUSED) || errors.Is(err, windows.WSAENETDOWN) || errors.Is(err, windows.WSAEINVAL)
}
