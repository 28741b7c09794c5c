package exchange

import "strings"

// redacted stands for a value that is not shown.
const redacted = "[redacted]"

// secretFields are header fields whose values are credentials; and so are those that end as secretEnds.
var secretFields = map[string]bool{"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true}

var secretEnds = []string{"-key", "-token", "-secret", "-password", "-signature"}

// secretField says whether the values of a field must never be shown.
func secretField(name string) bool {
	name = strings.ToLower(name)
	if secretFields[name] {
		return true
	}
	for _, end := range secretEnds {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Redacted gives the fields for an operator's eyes: credentials are replaced.
func (f Fields) Redacted() Fields {
	out := make(Fields, len(f))
	for i, x := range f {
		if secretField(x.Name) {
			x.Value = redacted
		}
		out[i] = x
	}
	return out
}

// secretParts are parts of names of query parameters whose values may be credentials.
var secretParts = []string{"key", "token", "secret", "pass", "auth", "sig", "code", "session", "cred"}

// CutTarget gives a request target without its query, which may hold credentials and data.
func CutTarget(target string) string {
	if path, _, ok := strings.Cut(target, "?"); ok {
		return path + "?…"
	}
	return target
}

// RedactTarget gives a request target in which values of parameters that look like credentials are replaced.
func RedactTarget(target string) string {
	path, query, ok := strings.Cut(target, "?")
	if !ok {
		return target
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		name, _, _ := strings.Cut(p, "=")
		for _, s := range secretParts {
			if strings.Contains(strings.ToLower(name), s) {
				parts[i] = name + "=" + redacted
				break
			}
		}
	}
	return path + "?" + strings.Join(parts, "&")
}
