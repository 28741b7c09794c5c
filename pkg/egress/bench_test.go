package egress_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/egress"
	"github.com/hoft/hoft/pkg/exchange/exchangetest"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/ingress"
)

// BenchmarkEdges compares POSTs of 1 KiB at 64 callers through both edges (no pipe between them) with two reverse
// proxies in a row; only the ratio of one run means anything.
func BenchmarkEdges(b *testing.B) {
	callee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}))
	defer callee.Close()

	a := identity.ID{1}
	out, err := egress.New(config.Egress{Upstreams: []config.Upstream{{Name: "x", URL: callee.URL, Peers: []string{"site-a"}}}}, "site-b",
		map[identity.ID]string{a: "site-a"}, nil, egress.Secrets{}, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	in, err := ingress.New(config.Ingress{Listen: "127.0.0.1:0", Routes: []config.Route{{Path: "/", Peer: "site-b", Upstream: "x"}}}, "site-a",
		map[string]identity.ID{"site-b": {2}}, &exchangetest.Direct{Upstreams: out, Self: a, PeerName: "site-b", Forget: true}, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	edges := httptest.NewServer(in)
	defer edges.Close()

	second := httptest.NewServer(proxyTo(b, callee.URL))
	defer second.Close()
	first := httptest.NewServer(proxyTo(b, second.URL))
	defer first.Close()

	for _, c := range []struct{ name, url string }{{"edges", edges.URL}, {"two-proxies", first.URL}} {
		b.Run(c.name, func(b *testing.B) { hammer(b, c.url) })
	}
}

func proxyTo(b *testing.B, to string) http.Handler {
	u, err := url.Parse(to)
	if err != nil {
		b.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}
}

func hammer(b *testing.B, target string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	body := bytes.Repeat([]byte(`{"a":1} `), 128)
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post(target, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			n, _ := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if n != int64(len(body)) {
				b.Errorf("%d bytes of %d, status %d", n, len(body), resp.StatusCode)
				return
			}
		}
	})
}
