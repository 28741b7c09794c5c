package egress

import (
	"slices"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

// names is a list of field names in lower case; one that ends with * stands for any ending.
type names []string

func newNames(list []string) names {
	var out names
	for _, n := range list {
		out = append(out, strings.ToLower(n))
	}
	return out
}

func (n names) has(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(n, func(s string) bool {
		if start, any := strings.CutSuffix(s, "*"); any {
			return strings.HasPrefix(name, start)
		}
		return s == name
	})
}

// allowed gives those fields of a request that the upstream lets pass. Via always does: it ends loops.
func (u *upstream) allowed(fields exchange.Fields) exchange.Fields {
	if len(u.allow) == 0 {
		return fields
	}
	return slices.DeleteFunc(slices.Clone(fields), func(f exchange.Field) bool { return !strings.EqualFold(f.Name, "Via") && !u.allow.has(f.Name) })
}

// passed gives those fields of an answer that may leave this side.
func (u *upstream) passed(fields exchange.Fields) exchange.Fields {
	if len(u.drop) == 0 {
		return fields
	}
	return slices.DeleteFunc(slices.Clone(fields), func(f exchange.Field) bool { return u.drop.has(f.Name) })
}
