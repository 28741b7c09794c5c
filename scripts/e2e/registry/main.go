// Command registry is a package registry for the end-to-end tests: npm's (publish and install) below /npm/, Go's module
// proxy protocol, from a folder, below /go/.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

// registry keeps packages in memory.
type registry struct {
	mu       sync.Mutex
	packages map[string]map[string]any
	tarballs map[string][]byte
}

func main() {
	ready := flag.String("ready", "", "file that gets the address")
	modules := flag.String("modules", "", "folder of modules, laid out as a module cache's cache/download")
	flag.Parse()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = os.WriteFile(*ready, []byte(l.Addr().String()), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
	r := &registry{packages: map[string]map[string]any{}, tarballs: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.Handle("GET /go/", http.StripPrefix("/go/", http.FileServer(http.Dir(*modules))))
	mux.HandleFunc("GET /npm/{name}", r.packument)
	mux.HandleFunc("PUT /npm/{name}", r.publish)
	mux.HandleFunc("GET /npm/{name}/-/{file}", r.tarball)
	log.Fatal(http.Serve(l, mux))
}

// packument tells the versions of a package. Tarballs are at the address that the client used.
func (r *registry) packument(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.packages[req.PathValue("name")]
	if p == nil {
		http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p)
}

func (r *registry) publish(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Authorization") != "Bearer npm-token" {
		w.Header().Set("Www-Authenticate", "Bearer")
		http.Error(w, `{"error":"who are you?"}`, http.StatusUnauthorized)
		return
	}
	var p map[string]any
	if err := json.NewDecoder(req.Body).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := r.store(req.PathValue("name"), p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"ok":true}`)
}

func (r *registry) store(name string, p map[string]any) error {
	attachments, ok := p["_attachments"].(map[string]any)
	if !ok {
		return errors.New("no attachments")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for file, a := range attachments {
		about, _ := a.(map[string]any)
		text, _ := about["data"].(string)
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		r.tarballs[name+"/"+file] = data
	}
	delete(p, "_attachments")
	r.packages[name] = p
	return nil
}

func (r *registry) tarball(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	data := r.tarballs[req.PathValue("name")+"/"+req.PathValue("file")]
	r.mu.Unlock()
	if data == nil {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data)
}
