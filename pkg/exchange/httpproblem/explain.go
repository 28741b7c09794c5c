package httpproblem

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/hoft/hoft/pkg/exchange"
)

// explanation is what the type URI of a problem leads to (RFC 9457 section 3.1.1).
type explanation struct {
	Code       string `json:"code"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	ProxyError string `json:"proxyError,omitzero"`
	Mend       string `json:"mend,omitzero"`
}

var page = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Code}} · hoft</title>
<h1>{{.Title}}</h1>
<p>Code <code>{{.Code}}</code>, status {{.Status}}{{with .ProxyError}}, Proxy-Status error <code>{{.}}</code>{{end}}.</p>
{{with .Mend}}<p>{{.}}</p>{{end}}
</html>
`))

// Explain answers in HTML, JSON or plain text, as the caller accepts; false, and no answer, if there is no such code.
func Explain(w http.ResponseWriter, r *http.Request, code string) bool {
	kind, known := exchange.Kinds[code]
	if !known {
		return false
	}
	e := explanation{code, kind.Title, kind.Status, kind.ProxyError, kind.Mend}
	accept := strings.Join(r.Header["Accept"], ",")
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	switch {
	case strings.Contains(accept, "json"):
		h.Set("Content-Type", "application/json")
		WriteJSON(w, http.StatusOK, e)
	case strings.Contains(accept, "text/html"):
		h.Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, e) // the caller left
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "%s (%d)\n%s\n%s\n", e.Code, e.Status, e.Title, e.Mend)
	}
	return true
}
