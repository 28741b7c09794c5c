package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

const envPrefix = "HOFT_"

// variableOf is the environment variable of a key path.
func variableOf(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// otherVariables mean something to hoft and are no keys.
var otherVariables = []string{"HOFT_CONFIG"}

// readEnv notes which keys a variable gives, and warns about variables that mean nothing. present holds
// the roles that the file has.
func (s *source) readEnv(present map[string]bool) {
	known := slices.Clone(otherVariables)
	for _, k := range root().all() {
		if !k.settable() {
			continue
		}
		name := k.variable()
		known = append(known, name)
		value := os.Getenv(name)
		if value == "" { // as good as unset, for viper too
			continue
		}
		if role := missingRole(k.path, present); role != "" {
			s.warn = append(s.warn, fmt.Sprintf("%s has no effect: the file has no section %s", name, role))
			continue
		}
		s.env[k.path] = true
		s.text[k.path] = value
	}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || value == "" || slices.Contains(known, name) {
			continue
		}
		s.warn = append(s.warn, fmt.Sprintf("%s has no effect: %s", name, whyUnknown(name, known)))
	}
}

func whyUnknown(name string, known []string) string {
	for _, k := range root().all() {
		if k.variable() == name {
			return fmt.Sprintf("%s is a %v, which comes from the file", k.path, k.kind)
		}
	}
	if near := Closest(name, known); near != "" {
		return fmt.Sprintf("no key has this name; did you mean %s?", near)
	}
	return "no key has this name"
}

// missingRole gives the section that path belongs to if it is a role that the file does not have.
func missingRole(path string, present map[string]bool) string {
	for _, k := range root().children {
		if k.kind == role && !present[k.path] && strings.HasPrefix(path, k.path+".") {
			return k.path
		}
	}
	return ""
}
