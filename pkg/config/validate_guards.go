package config

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// guards checks who may reach the ingress, and how.
func (v *checker) guards(in *Ingress) {
	v.listenTLS("ingress.tls", in.TLS)
	v.callers(in)
	v.count("ingress.connections", in.Connections, 0)
	v.count("ingress.per_address", in.PerAddress, 0)
	v.count("ingress.per_caller", in.PerCaller, 0)
	v.period("ingress.head_timeout", in.HeadTimeout, time.Millisecond, time.Hour)
	v.head("ingress", in.MaxHead, in.MaxFields)
	v.period("ingress.upload_stall", in.UploadStall, time.Millisecond, time.Hour)
	if in.AuthField != "" && !isToken(in.AuthField) {
		v.bad("ingress.auth_field", strconv.Quote(in.AuthField), "is no field name", "write "+DefaultAuthField+", or a name as in X-Hoft-Authorization")
	}
	v.reachable(in)
}

// reachable refuses a listener that other hosts reach without protection, unless the file says that it is meant.
func (v *checker) reachable(in *Ingress) {
	if in.Insecure || in.Listen == "" || loopback(in.Listen) {
		return
	}
	const mend = ", listen on 127.0.0.1 behind a proxy that does it, or write insecure: true if the network itself protects it"
	switch {
	case in.TLS.CertFile == "":
		v.bad("ingress.listen", strconv.Quote(in.Listen), "other hosts reach it, and calls would cross the network in clear", "set ingress.tls"+mend)
	case len(in.Callers) == 0:
		v.bad("ingress.listen", strconv.Quote(in.Listen), "other hosts reach it, and anybody could call", "list ingress.callers"+mend)
	}
}

// listenTLS checks the files of a listener that may speak TLS.
func (v *checker) listenTLS(at string, t IngressTLS) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		missing, given := at+".key_file", "cert_file"
		if t.CertFile == "" {
			missing, given = at+".cert_file", "key_file"
		}
		v.bad(missing, "", "missing beside "+given, "name both files, or neither")
	}
	if t.ClientCAFile != "" && t.CertFile == "" && t.KeyFile == "" {
		v.bad(at+".client_ca_file", strconv.Quote(t.ClientCAFile), "has no effect without TLS", "set cert_file and key_file, or remove it")
	}
	if elsewhere(t.CertFile) || elsewhere(t.ClientCAFile) {
		v.bad(at+".cert_file", "", "a certificate is no secret", "name a file")
	}
	v.privateKey(at+".key_file", t.KeyFile)
}

func (v *checker) callers(in *Ingress) {
	seen := map[string]bool{}
	for i, c := range in.Callers {
		at := fmt.Sprintf("ingress.callers[%d]", i)
		v.word(at+".name", c.Name, "give the caller a short name")
		if seen[c.Name] && c.Name != "" {
			v.bad(at+".name", strconv.Quote(c.Name), "is the name of another caller too", "choose another name")
		}
		seen[c.Name] = true
		v.secret(at+".token_file", c.TokenFile)
		v.secret(at+".password_file", c.PasswordFile)
		if c.TokenFile == "" && c.PasswordFile == "" && len(c.Certificates) == 0 {
			v.bad(at, "", "has no way to show who it is", "add token_file, password_file or certificates")
		}
		if len(c.Certificates) > 0 && in.TLS.ClientCAFile == "" {
			v.bad(at+".certificates", "", "no client certificate is ever asked for", "set ingress.tls.client_ca_file, or remove them")
		}
		for j, name := range c.Certificates {
			v.certificate(fmt.Sprintf("%s.certificates[%d]", at, j), name)
		}
	}
}

func (v *checker) certificate(key, name string) {
	print, ok := strings.CutPrefix(name, "sha256:")
	if b, err := hex.DecodeString(print); ok && (err != nil || len(b) != 32) {
		v.bad(key, strconv.Quote(name), "is no SHA-256 fingerprint", "write sha256: and 64 hexadecimal digits")
	}
	if name == "" || hasControl(name) {
		v.bad(key, strconv.Quote(name), "names nothing", "write a name of the certificate, as in client.example")
	}
}

func (v *checker) routeCallers(in *Ingress, at string, r Route) {
	names := make([]string, len(in.Callers))
	for i, c := range in.Callers {
		names[i] = c.Name
	}
	for i, name := range r.Callers {
		if slices.Contains(names, name) {
			continue
		}
		mend := "add it to ingress.callers"
		if near := Closest(name, names); near != "" {
			mend = fmt.Sprintf("did you mean %q?", near)
		}
		v.bad(fmt.Sprintf("%s.callers[%d]", at, i), strconv.Quote(name), "is not one of ingress.callers", mend)
	}
}
