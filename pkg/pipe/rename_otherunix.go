//go:build unix && !linux && !darwin

package pipe

// renameExclusive is not to be had here; renameNew looks the name up first.
func renameExclusive(int, string, int, string) error { return errNoExclusive }

func noExclusive(error) bool { return true }
