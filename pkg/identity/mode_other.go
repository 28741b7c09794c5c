//go:build !unix

package identity

import (
	"io/fs"
	"os"
)

// Windows has access lists in place of mode bits, and a folder in the user's profile is closed to other users by what
// it inherits. hoft does not read access lists: who puts the state folder elsewhere closes it himself.

func checkPrivate(string, fs.FileInfo) error { return nil }

func checkTrusted(string, fs.FileInfo) error { return nil }

func checkFolder(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fileErr(dir, err)
	}
	return nil
}

func openToOthers(string) (bool, error) { return false, nil }

// syncFolder does nothing: folders cannot be synced here, NTFS journals names itself.
func syncFolder(string) error { return nil }
