package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serve is the callee: what it answers depends on the path alone.
func serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h := w.Header()
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/status/"):
		code, _ := strconv.Atoi(path[len("/status/"):])
		w.WriteHeader(code)
	case path == "/trailers":
		if r.Trailer.Get("X-Sum") != "7" {
			w.WriteHeader(http.StatusBadRequest)
		}
	case path == "/file":
		h.Set("Etag", `"e1"`)
		http.ServeContent(w, r, "file.txt", time.Time{}, strings.NewReader("0123456789"))
	case path == "/redirect":
		h.Set("Location", "/echo")
		w.WriteHeader(http.StatusFound)
	case path == "/cookies":
		if r.Header.Get("Cookie") != "a=b; c=d" {
			w.WriteHeader(http.StatusBadRequest)
		}
		h.Add("Set-Cookie", "x=y")
		h.Add("Set-Cookie", "z=w; Path=/")
	case path == "/coded":
		h.Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "not really")
	case path == "/chunks":
		h.Set("Trailer", "X-End")
		fmt.Fprint(w, "one")
		_ = http.NewResponseController(w).Flush()
		fmt.Fprint(w, "two")
		h.Set("X-End", "1")
	case path == "/events":
		h.Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	case path == "/broken":
		h.Set("Content-Length", "200000")
		_, _ = w.Write(make([]byte, 100000))
		panic(http.ErrAbortHandler)
	case path == "/sleep":
		<-r.Context().Done()
	case path == "/large":
		h.Set("Content-Length", "2000")
		_, _ = w.Write(make([]byte, 2000))
	default:
		_, _ = w.Write(body)
	}
}

// hostileServer answers with two lengths, so that two readers would see two ends.
func hostileServer() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
				}
			}()
		}
	}()
	return l, nil
}
