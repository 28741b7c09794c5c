package egress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

func writeCert(t *testing.T, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// strangeCA is a well-formed authority that signed nothing here.
func strangeCA(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return writeCert(t, der)
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestTLS(t *testing.T) {
	names := make(chan string, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names <- r.TLS.ServerName + " " + r.Host
	}))
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	defer s.Close()
	own := writeCert(t, s.Certificate().Raw)

	do(t, open(t, config.Upstream{URL: s.URL, CAFile: own}), get("/"))
	if got := <-names; got != " "+s.Listener.Addr().String() {
		t.Errorf("asked for %q", got)
	}
	r := get("/")
	r.Host = "example.com:8080" // a name in httptest's certificate
	do(t, open(t, config.Upstream{URL: s.URL, CAFile: own, PreserveHost: true}), r)
	if got := <-names; got != "example.com example.com:8080" {
		t.Errorf("asked for %q", got)
	}
	plain := serveRaw(t, func(_ int, c net.Conn) {
		c.Read(make([]byte, 1))
		io.WriteString(c, "HTTP/1.1 400 no TLS here\r\n\r\n")
	})
	for name, u := range map[string]config.Upstream{
		"the system's authorities": {URL: s.URL},
		"a strange authority":      {URL: s.URL, CAFile: strangeCA(t)},
		"another name":             {URL: s.URL, CAFile: own, PreserveHost: true}, // caller.example
		"no TLS there":             {URL: "https://" + plain.l.Addr().String(), CAFile: own},
	} {
		t.Run(name, func(t *testing.T) {
			if fail(t, open(t, u), post("/", "x"), exchange.CodeCalleeTLS) {
				t.Error("said to be sent")
			}
		})
	}
}
