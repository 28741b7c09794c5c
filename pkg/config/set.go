package config

import (
	"fmt"
	"slices"
	"strings"
)

// assignment is one --set key=value.
type assignment struct {
	key   *key
	value string
}

// readSet parses --set values; of two for one key the later counts.
func (s *source) readSet(args []string, present map[string]bool) ([]assignment, problems) {
	var out []assignment
	var ps problems
	for _, arg := range args {
		path, value, found := strings.Cut(arg, "=")
		if !found {
			ps.add(&Problem{Where: "--set", Key: arg, Reason: "no value", Mend: "write --set key=value"})
			continue
		}
		k, p := settable(strings.TrimSpace(path), present)
		if p != nil {
			ps.add(p)
			continue
		}
		s.set[k.path] = true
		s.text[k.path] = value
		out = append(out, assignment{k, value})
	}
	return out, ps
}

func settable(path string, present map[string]bool) (*key, *Problem) {
	p := &Problem{Where: "--set", Key: path}
	keys := root().all()
	i := slices.IndexFunc(keys, func(k *key) bool { return k.path == path })
	switch {
	case strings.Contains(path, "["):
		p.Reason, p.Mend = "entries of lists come from the file", "change the file"
	case i < 0:
		p.Reason = "unknown key"
		var known []string
		for _, k := range keys {
			if k.settable() {
				known = append(known, k.path)
			}
		}
		if near := Closest(path, known); near != "" {
			p.Mend = fmt.Sprintf("did you mean %s?", near)
		} else {
			p.Mend = "hoft config show lists the keys"
		}
	case !keys[i].settable():
		p.Reason, p.Mend = fmt.Sprintf("a %v cannot be set here", keys[i].kind), "set one of its keys, or change the file"
	case missingRole(path, present) != "":
		p.Reason, p.Mend = "the file has no section "+missingRole(path, present), "add the section to the file"
	default:
		return keys[i], nil
	}
	return nil, p
}
