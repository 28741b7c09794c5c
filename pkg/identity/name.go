package identity

import "errors"

// maxName bounds a site name, in bytes.
const maxName = 63

var errNameForm = errors.New("a site name is 1 to 63 letters, digits, '-', '_' or '.', beginning with a letter or digit")

// CheckName says whether a site may have this name. The characters are those that a header token (RFC 9110 section
// 5.6.2), a Via pseudonym and an obfuscated node of Forwarded (RFC 7239 section 6.3) all accept.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return errNameForm
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '-' && c != '_' && c != '.') {
			return errNameForm
		}
	}
	return nil
}
