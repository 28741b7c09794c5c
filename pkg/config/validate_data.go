package config

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// data checks the Direct Data API.
func (v *checker) data(c *Config) {
	d := c.Data
	v.listenTLS("data.tls", d.TLS)
	v.secret("data.tokens_file", d.TokensFile)
	v.size("data.max_body", d.MaxBody, 1, 1<<53-1)
	v.size("data.max_bytes", d.MaxBytes, 0, 1<<60)
	v.period("data.ttl", d.TTL, 0, longest)
	v.period("data.upload_ttl", d.UploadTTL, time.Second, longest)
	for i, name := range d.Peers {
		if name != "*" && !slices.ContainsFunc(c.Peers, func(p Peer) bool { return p.Name == name }) {
			v.bad(fmt.Sprintf("data.peers[%d]", i), strconv.Quote(name), "is no peer", "write the name of one under peers, or * for all")
		}
	}
	if d.Listen == "" {
		return
	}
	v.listen("data.listen", d.Listen)
	for _, other := range []struct{ key, listen string }{{"admin.listen", c.Admin.Listen}, {"ingress.listen", ingressListen(c)}} {
		if other.listen == d.Listen && port(d.Listen) != "0" {
			v.bad("data.listen", strconv.Quote(d.Listen), "is "+other.key+" too", "choose another port")
		}
	}
	if loopback(d.Listen) {
		return
	}
	if d.TokensFile == "" {
		v.bad("data.listen", strconv.Quote(d.Listen), "other hosts reach it, and anybody could store data", "set data.tokens_file, or listen on 127.0.0.1")
	}
	if d.TLS.CertFile == "" {
		v.bad("data.listen", strconv.Quote(d.Listen), "other hosts reach it, and tokens and data maps would cross the network in clear",
			"set data.tls, or listen on 127.0.0.1 behind a proxy that speaks TLS")
	}
}

func ingressListen(c *Config) string {
	if c.Ingress == nil {
		return ""
	}
	return c.Ingress.Listen
}
