package house

import (
	"fmt"
	"slices"
	"strings"
)

// Order lists the layers, lowest first. A package may import what stands before it, never what stands after.
var Order = []string{
	"pkg/planted", "pkg/prealloc", "pkg/config", "pkg/guard", "pkg/identity", "pkg/frame", "pkg/seal", "pkg/chunk", "pkg/pipe", "pkg/link", "pkg/bulk", "pkg/store", "pkg/node",
	"pkg/exchange", "pkg/datapipe", "pkg/callback", "pkg/ingress", "pkg/egress", "pkg/dataapi", "pkg/admin", "pkg/site", "pkg/demo", "cmd",
}

// Forbidden lists what a layer must not import besides: what it must know nothing of.
var Forbidden = map[string][]string{
	"pkg/link":    {"pkg/pipe", "pkg/store", "pkg/seal", "net/http", "os", "database/sql"},
	"pkg/bulk":    {"pkg/pipe", "pkg/store", "pkg/seal", "net/http", "os", "database/sql"},
	"pkg/pipe":    {"pkg/seal", "pkg/link", "pkg/store", "encoding/json", "github.com/go-json-experiment/json"},
	"pkg/ingress": {"pkg/frame"},
	"pkg/egress":  {"pkg/frame"},
}

// Only lists modules that belong to few layers. Tools and test programs outside of hoft may use them too.
var Only = map[string][]string{
	"github.com/spf13/viper": {"pkg/config"},
	"modernc.org/sqlite":     {"pkg/store"},
	// pkg/egress/credentials signs the assertions by which a client shows itself to a token server (RFC 7523).
	"github.com/go-jose/go-jose/v4": {"pkg/seal", "pkg/identity", "pkg/egress/credentials", "scripts/interop-jose", "internal/vectors"},
	"golang.org/x/oauth2":           {"pkg/egress/credentials"},
	"github.com/sony/gobreaker/v2":  {"pkg/egress"},
}

// layer gives the place in Order of a folder or an import path, -1 if it has none.
func layer(name string) int {
	name = strings.TrimPrefix(name, Module+"/")
	return slices.IndexFunc(Order, func(l string) bool { return under(name, l) })
}

// under says whether name is l or below it.
func under(name, l string) bool { return name == l || strings.HasPrefix(name, l+"/") }

// CheckLayers says which imports break the rules. Test files may import what they like: they prove a layer
// together with others.
func CheckLayers(files []File) []string {
	var out []string
	for _, f := range files {
		if f.Test || f.Tool {
			continue
		}
		at := layer(f.Dir())
		if at < 0 && under(f.Dir(), "pkg") {
			out = append(out, fmt.Sprintf("%s: this package has no place among the layers; add it to Order", f.Path))
			continue
		}
		for _, imp := range f.Imports {
			if why := refused(f, at, imp); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", f.Path, imp, why))
			}
		}
	}
	return out
}

// partOfHoft says whether what is in dir is built into the binary.
func partOfHoft(dir string) bool { return dir == "." || under(dir, "pkg") || under(dir, "cmd") }

// refused says why a file of layer at, -1 for none, must not import imp; "" if it may.
func refused(f File, at int, imp string) string {
	local, isLocal := strings.CutPrefix(imp, Module+"/")
	for module, layers := range Only {
		if partOfHoft(f.Dir()) && under(imp, module) && !slices.ContainsFunc(layers, func(l string) bool { return under(f.Dir(), l) }) {
			return "only " + strings.Join(layers, " and ") + " may"
		}
	}
	if at < 0 {
		return ""
	}
	if isLocal && under(local, "internal") && Order[at] != "cmd" {
		return "internal is for tests and tools"
	}
	if to := layer(local); isLocal && to > at {
		return fmt.Sprintf("%s is a higher layer than %s", Order[to], Order[at])
	}
	for _, no := range Forbidden[Order[at]] {
		if under(local, no) {
			return Order[at] + " must know nothing of it"
		}
	}
	return ""
}
