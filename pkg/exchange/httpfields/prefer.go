package httpfields

import "strings"

// Preference is one entry of Prefer.
type Preference struct {
	Name, Value string // Name in lower case, Value without quotes
	Params      map[string]string
	Text        string // as it was
}

// Preferences reads the values of Prefer (RFC 7240 section 2).
func Preferences(lines []string) (out []Preference) {
	for _, line := range lines {
		for _, text := range splitQuoted(line, ',') {
			parts := splitQuoted(text, ';')
			name, value, _ := strings.Cut(parts[0], "=")
			x := Preference{Name: strings.ToLower(strings.TrimSpace(name)), Value: Unquote(value), Params: map[string]string{}, Text: strings.TrimSpace(text)}
			for _, part := range parts[1:] {
				name, value, _ := strings.Cut(part, "=")
				x.Params[strings.ToLower(strings.TrimSpace(name))] = Unquote(value)
			}
			if x.Name != "" {
				out = append(out, x)
			}
		}
	}
	return out
}

// splitQuoted splits at sep outside of quoted strings (RFC 9110 section 5.6.4).
func splitQuoted(s string, sep byte) (out []string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// Unquote gives the value of a token or quoted string.
func Unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
