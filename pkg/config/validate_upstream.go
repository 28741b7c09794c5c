package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// upstreamGuards checks what bounds the calls to one upstream.
func (v *checker) upstreamGuards(at string, u Upstream) {
	v.period(at+".max_time", u.MaxTime, 0, longest)
	v.size(at+".max_request", u.MaxRequest, 0, 1<<50)
	v.count(at+".connections", u.Connections, 0)
	v.count(at+".breaker_failures", u.BreakerFailures, 0)
	if u.BreakerFailures > 0 {
		v.period(at+".breaker_pause", u.BreakerPause, time.Millisecond, 24*time.Hour)
	}
	if u.HTTP2 != "" {
		v.oneOf(at+".http2", u.HTTP2, "auto", "off")
	}
	v.fieldNames(at+".allow_request_headers", u.AllowRequestHeaders)
	v.fieldNames(at+".drop_response_headers", u.DropResponseHeaders)
	v.clientCertificate(at, u)
}

// fieldNames checks a list of field names, in which a last * stands for any ending.
func (v *checker) fieldNames(key string, names []string) {
	for i, name := range names {
		if plain := strings.TrimSuffix(name, "*"); !isToken(name) || strings.Contains(plain, "*") {
			v.bad(fmt.Sprintf("%s[%d]", key, i), strconv.Quote(name), "is no field name", "write a name as in Content-Type, or the beginning of names as in X-Amz-*")
		}
	}
}

func (v *checker) clientCertificate(at string, u Upstream) {
	switch {
	case u.CertFile == "" && u.KeyFile == "":
		return
	case u.CertFile == "":
		v.bad(at+".cert_file", "", "missing beside key_file", "name both files, or neither")
	case u.KeyFile == "":
		v.bad(at+".key_file", "", "missing beside cert_file", "name both files, or neither")
	case strings.HasPrefix(u.URL, "http://"):
		v.bad(at+".cert_file", strconv.Quote(u.CertFile), "has no effect with an http url", "write https, or remove it")
	}
	v.privateKey(at+".key_file", u.KeyFile)
}

// privateKey checks where a private key is said to be.
func (v *checker) privateKey(key, s string) {
	v.secret(key, s)
	if strings.HasPrefix(s, EnvPrefix) {
		v.bad(key, "", "a private key is not taken from a variable", "name a file or credential:NAME")
	}
}
