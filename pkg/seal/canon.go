package seal

// The shape of a token, tested by hand before any library sees it (RFC 7515 section 7.1, RFC 7516
// section 7.1). Nothing is decoded here.

// value64 maps a base64url character (RFC 4648 section 5) to its value, anything else to 0xff.
var value64 = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// canonical says whether encoding what p decodes to gives p again, where p is known to hold base64url
// characters only: no impossible length, no bits set in the last character that decoding drops.
func canonical(p []byte) bool {
	n := len(p)
	switch n % 4 {
	case 1:
		return false
	case 2:
		return value64[p[n-1]]&0x0f == 0
	case 3:
		return value64[p[n-1]]&0x03 == 0
	}
	return true
}

// split cuts a compact token at its dots into exactly len(parts) canonical base64url parts.
// It returns "" or what is wrong.
func split(token []byte, parts [][]byte) string {
	n, start := 0, 0
	for i, c := range token {
		if value64[c] != 0xff {
			continue
		}
		if c != '.' {
			return "a character that no token has"
		}
		if n+1 >= len(parts) {
			return "too many dots"
		}
		parts[n] = token[start:i]
		n, start = n+1, i+1
	}
	if n+1 != len(parts) {
		return "too few dots"
	}
	parts[n] = token[start:]
	for _, p := range parts {
		if !canonical(p) {
			return "a part that is not canonical base64url"
		}
	}
	return ""
}
