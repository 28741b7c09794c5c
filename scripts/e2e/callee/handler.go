package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// handler has one page for each thing that a test compares.
func handler(b *book, gates string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/job/{id}", b.work)
	mux.HandleFunc("/gate/{id}", func(w http.ResponseWriter, r *http.Request) { b.gate(w, r, gates) })
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/wrap", wrap)
	mux.HandleFunc("/reflect/", reflect)
	mux.HandleFunc("/status/{code}", status)
	mux.HandleFunc("/bytes/{n}", random)
	mux.HandleFunc("/fields", fields)
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://"+r.Host+"/reflect/moved?x=1")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/trailers", trailers)
	mux.HandleFunc("/cut", cut)
	// Not through the mux's own cleaning of paths, which redirects: a test of raw paths must see them.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) >= 9 && r.URL.Path[:9] == "/reflect/" || r.RequestURI == "*" {
			reflect(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// digest reads the body and gives its SHA-256 in hex; false: it broke off, and nothing was executed.
func digest(r *http.Request) (string, int64, bool) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	return hex.EncodeToString(h.Sum(nil)), n, err == nil
}

// work executes a call: it is recorded before it is answered. The answer depends on nothing but the call.
func (b *book) work(w http.ResponseWriter, r *http.Request) {
	sum, _, ok := digest(r)
	if !ok {
		return
	}
	if err := b.executed(r.PathValue("id"), r.Method, sum); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	select {
	case <-r.Context().Done():
		return
	case <-time.After(b.takes):
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %s %s\n", r.Method, r.RequestURI, sum)
	for _, name := range []string{"Authorization", "Cookie", "X-Canary"} {
		fmt.Fprintf(w, "%s: %s\n", name, r.Header.Get(name))
	}
	io.WriteString(w, filler(r.PathValue("id")))
}

// filler is 512 characters that follow from the id.
func filler(id string) string {
	var out []byte
	for i := range 8 {
		sum := sha256.Sum256([]byte(id + strconv.Itoa(i)))
		out = hex.AppendEncode(out, sum[:])
	}
	return string(out)
}

// gate executes a call and answers when the file of its id appears, or never, if the caller leaves.
func (b *book) gate(w http.ResponseWriter, r *http.Request, gates string) {
	sum, _, ok := digest(r)
	if !ok {
		return
	}
	if err := b.executed(r.PathValue("id"), r.Method, sum); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for tick := time.Tick(10 * time.Millisecond); ; {
		if _, err := os.Stat(filepath.Join(gates, r.PathValue("id"))); err == nil {
			break
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick:
		}
	}
	fmt.Fprintf(w, "through %s\n", r.PathValue("id"))
}

// passing is from which length on a body is given back while it comes: this process must not hold gigabytes.
const passing = 64 << 20

// echo gives the body back, with its type and, when that is known, its length.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > passing && http.NewResponseController(w).EnableFullDuplex() == nil {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		if _, err := io.Copy(w, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.Write(body)
}

// wrap gives the body back between brackets: what comes back is not what came.
func wrap(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "[%s]", body)
}

// reflect tells all of the request: line, fields in the order of their names, length and digest of the body.
func reflect(w http.ResponseWriter, r *http.Request) {
	sum, n, ok := digest(r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%s %s\nHost: %s\n", r.Method, r.RequestURI, r.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			fmt.Fprintf(w, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(w, "body %d %s\n", n, sum)
	for _, name := range slices.Sorted(maps.Keys(r.Trailer)) {
		fmt.Fprintf(w, "trailer %s: %s\n", name, r.Trailer.Get(name))
	}
}

func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "no such status", http.StatusBadRequest)
		return
	}
	w.Header().Set("ETag", `"v1"`)
	w.Header().Set("X-Callee", "yes")
	w.WriteHeader(code)
	if code != http.StatusNoContent && code != http.StatusNotModified {
		fmt.Fprintf(w, "this is %d\n", code)
	}
}

// random gives n bytes, the same for each n. With ?chunked the length is not told.
func random(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 {
		http.Error(w, "no such length", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if !r.URL.Query().Has("chunked") {
		w.Header().Set("Content-Length", strconv.Itoa(n))
	} else {
		w.(http.Flusher).Flush()
	}
	if r.Method == http.MethodHead {
		return
	}
	var seed [32]byte
	copy(seed[:], "the same bytes for each length")
	io.CopyN(w, rand.NewChaCha8(seed), int64(n))
}

// fields answers with repeated and with odd fields.
func fields(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Set-Cookie"] = []string{"a=1; Path=/", "b=2; Path=/; HttpOnly"}
	h["X-Twice"] = []string{"one", "two, three", ""}
	h["X-Bytes"] = []string{"caf\xe9"}
	h["Warning"] = []string{`199 - "odd"`}
	h["Connection"] = []string{"X-Hop"}
	h["X-Hop"] = []string{"this field is for one connection only"}
	io.WriteString(w, "fields\n")
}

func trailers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Sum")
	io.WriteString(w, "a body with a trailer\n")
	w.(http.Flusher).Flush()
	w.Header().Set("X-Sum", "42")
}

// cut breaks off in the middle of the body.
func cut(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100000")
	w.Write(make([]byte, 50000))
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}
