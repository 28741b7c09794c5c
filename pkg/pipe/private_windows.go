package pipe

import (
	"errors"
	"io/fs"
	"os"
)

func ownedHere(fs.FileInfo) bool { return false }

func linkNew(string, *folder, string) error { return ErrNoLink }

func moveOut(*folder, string, string) error { return ErrNoLink }

func localDisk(*os.File) error { return errors.New("pipe.private is not supported on Windows") }
