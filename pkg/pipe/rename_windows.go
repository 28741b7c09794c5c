package pipe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// renameNew renames a file without overwriting: ErrExists when the name is taken. The name is looked up
// first; what could slip in between is only another process with this site's identity, and that is found
// as a fork by its frames. Out of a temp_dir the rename goes by path, since two roots cannot be joined here.
func renameNew(src *folder, from string, dst *folder, to string) error {
	if _, err := dst.root.Lstat(to); err == nil {
		return ErrExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if src == dst {
		return src.root.Rename(from, to)
	}
	return os.Rename(filepath.Join(src.path, from), filepath.Join(dst.path, to))
}
