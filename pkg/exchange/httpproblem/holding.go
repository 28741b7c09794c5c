package httpproblem

import "net/http"

// Holding passes an answer on, but for a refusal (a status of 400 or more), which it keeps back with its text: handlers of
// net/http refuse in plain text, and who uses one says why in problem details instead. Not safe for concurrent use.
type Holding struct {
	http.ResponseWriter
	// Refused is the status of the refusal that was kept back; 0: none was.
	Refused int
}

// WriteHeader implements http.ResponseWriter.
func (h *Holding) WriteHeader(status int) {
	if status >= 400 {
		h.Refused = status
		return
	}
	h.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (h *Holding) Write(p []byte) (int, error) {
	if h.Refused != 0 {
		return len(p), nil
	}
	return h.ResponseWriter.Write(p)
}
