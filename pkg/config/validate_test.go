package config

import (
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"
)

// both is a valid configuration with both roles, for one change at a time.
func both() *Config {
	c := Default()
	c.Name, c.StateDir = "site-a", "/s/a"
	c.Pipe.Outbox, c.Pipe.Inbox = "/p/out", "/p/in"
	c.Peers = []Peer{{Name: "site-b", Seal: "encrypted"}, {Name: "site-c", Seal: "encrypted"}}
	c.Ingress, c.Egress = DefaultIngress(), DefaultEgress()
	c.Ingress.Listen = "127.0.0.1:8080"
	r := DefaultRoute()
	r.Peer, r.Upstream = "site-b", "orders"
	c.Ingress.Routes = []Route{r}
	u := DefaultUpstream()
	u.Name, u.URL, u.Peers = "orders", "http://127.0.0.1:9000", []string{"site-b"}
	c.Egress.Upstreams = []Upstream{u}
	c.Admin.Listen = "localhost:8081"
	return c
}

func TestValidateRefuses(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		key    string // "" if nothing is wrong
		text   string
	}{
		{func(c *Config) {}, "", ""},
		{func(c *Config) { c.Name = "Site A" }, "name", "is no name"},
		{func(c *Config) { c.Name = "-a" }, "name", "is no name"},
		{func(c *Config) { c.Name = strings.Repeat("a", 64) }, "name", "is no name"},
		{func(c *Config) { c.Name = "café" }, "name", "is no name"},
		{func(c *Config) { c.StateDir = "" }, "state_dir", "missing"},
		{func(c *Config) { c.StateDir = "/p/out/state" }, "state_dir", "lies in pipe.outbox"},
		{func(c *Config) { c.StateDir = "/p/in" }, "state_dir", "lies in pipe.inbox"},
		{func(c *Config) { c.StateDir = "/p/input" }, "", ""},
		{func(c *Config) { c.Pipe.Inbox = c.Pipe.Outbox }, "", ""},
		{func(c *Config) { c.Pipe.Outbox = "" }, "pipe.outbox", "missing"},
		{func(c *Config) { c.Pipe.Layout = "tree" }, "pipe.layout", "write nested or flat"},
		{func(c *Config) { c.Pipe.Suffix = ".dat" }, "", ""},
		{func(c *Config) { c.Pipe.Suffix = "/x" }, "pipe.suffix", "not safe"},
		{func(c *Config) { c.Pipe.Suffix = ".part" }, "pipe.suffix", "meaning of its own"},
		{func(c *Config) { c.Pipe.FileMode = "0888" }, "pipe.file_mode", "octal"},
		{func(c *Config) { c.Pipe.FileMode = "0440" }, "pipe.file_mode", "shuts out hoft"},
		{func(c *Config) { c.Pipe.DirMode = "27770" }, "pipe.dir_mode", "octal"},
		{func(c *Config) { c.Pipe.Consume = "move" }, "pipe.consume", "remove or keep"},
		{func(c *Config) { c.Pipe.Settle = 0 }, "pipe.settle", "too short"},
		{func(c *Config) { c.Pipe.Settle = time.Hour }, "pipe.settle", "too long"},
		{func(c *Config) { c.Pipe.PollMax = time.Millisecond }, "pipe.poll_max", "at least 20ms"},
		{func(c *Config) { c.Pipe.MaxFiles = 0 }, "pipe.max_files", "too small"},
		{func(c *Config) { c.Pipe.MaxFile = 1 }, "pipe.max_file", "at least 256KiB"},
		{func(c *Config) { c.Pipe.Quarantine = 0 }, "", ""},
		{func(c *Config) { c.Peers[1].Name = "site-b" }, "peers[1].name", "another peer"},
		{func(c *Config) { c.Peers[1].Name = "site-a" }, "peers[1].name", "own name"},
		{func(c *Config) { c.Peers[0].Seal = "none" }, "peers[0].seal", "write encrypted"},
		{func(c *Config) { c.Peers[0].Keys, c.Peers[0].PSK = "/k", "/p" }, "peers[0].psk", "not both"},
		{func(c *Config) { c.Ingress.Listen = "8080" }, "ingress.listen", "no address"},
		{func(c *Config) { c.Ingress.Listen = "127.0.0.1:99999" }, "ingress.listen", "port"},
		{func(c *Config) { c.Ingress.Listen = "127.0.0.1:http" }, "ingress.listen", "port"},
		{func(c *Config) { c.Ingress.Listen = ":8080" }, "ingress.listen", "in clear"},
		{func(c *Config) { c.Ingress.Listen, c.Ingress.Insecure = "10.0.0.1:8080", true }, "", ""},
		{func(c *Config) {
			c.Ingress.Listen, c.Ingress.TLS = ":8443", IngressTLS{CertFile: "/c", KeyFile: "/k"}
		}, "ingress.listen", "anybody could call"},
		{func(c *Config) {
			c.Ingress.Listen, c.Ingress.TLS = ":8443", IngressTLS{CertFile: "/c", KeyFile: "/k"}
			c.Ingress.Callers = []Caller{{Name: "x", TokenFile: "env:X"}}
		}, "", ""},
		{func(c *Config) { c.Ingress.TLS.CertFile = "/c" }, "ingress.tls.key_file", "beside cert_file"},
		{func(c *Config) { c.Ingress.TLS.KeyFile = "/c" }, "ingress.tls.cert_file", "beside key_file"},
		{func(c *Config) { c.Ingress.TLS = IngressTLS{CertFile: "/c", KeyFile: "env:K"} }, "ingress.tls.key_file", "not taken from a variable"},
		{func(c *Config) { c.Ingress.TLS.ClientCAFile = "/c" }, "ingress.tls.client_ca_file", "without TLS"},
		{func(c *Config) { c.Ingress.AuthField = "a b" }, "ingress.auth_field", "no field name"},
		{func(c *Config) { c.Ingress.Callers = []Caller{{Name: "x"}} }, "ingress.callers[0]", "no way"},
		{func(c *Config) { c.Ingress.Callers = []Caller{{Name: "x", TokenFile: "credential:a/b"}} }, "ingress.callers[0].token_file", "no credential"},
		{func(c *Config) { c.Ingress.Callers = []Caller{{Name: "x", PasswordFile: "env:"}} }, "ingress.callers[0].password_file", "no variable"},
		{func(c *Config) { c.Ingress.Callers = []Caller{{Name: "x", Certificates: []string{"c"}}} }, "ingress.callers[0].certificates", "client_ca_file"},
		{func(c *Config) {
			c.Ingress.Callers = []Caller{{Name: "x", TokenFile: "/t"}, {Name: "x", TokenFile: "/u"}}
		}, "ingress.callers[1].name", "another caller"},
		{func(c *Config) { c.Ingress.Routes[0].Callers = []string{"x"} }, "ingress.routes[0].callers[0]", "not one of"},
		{func(c *Config) { c.Ingress.PerCaller = -1 }, "ingress.per_caller", "at least 0"},
		{func(c *Config) { c.Ingress.Listen = "[::1]:0" }, "", ""},
		{func(c *Config) { c.Ingress.Hosts = []string{"api.example.com", "http://x"} }, "ingress.hosts[1]", "no host name"},
		{func(c *Config) { c.Ingress.Hosts = []string{"*.example.com", "x:8443", "[::1]:80", "10.0.0.1", "::1"} }, "", ""},
		{func(c *Config) { c.Ingress.Hosts = []string{"*"} }, "ingress.hosts[0]", "no host name"},
		{func(c *Config) { c.Ingress.Hosts = []string{"*.10.0.0.1"} }, "ingress.hosts[0]", "no host name"},
		{func(c *Config) { c.Ingress.Hosts = []string{"x:99999"} }, "ingress.hosts[0]", "port"},
		{func(c *Config) { c.Ingress.TrustedProxies = []string{"10.0.0.0/33"} }, "ingress.trusted_proxies[0]", "neither"},
		{func(c *Config) { c.Ingress.TrustedProxies = []string{"10.0.0.0/8", "::1"} }, "", ""},
		{func(c *Config) { c.Ingress.WaitMax = time.Second }, "ingress.wait_max", "at least 2m"},
		{func(c *Config) { c.Ingress.Inline = 1 << 20 }, "ingress.inline", "too large"},
		{func(c *Config) { c.Ingress.Routes = nil }, "ingress.routes", "missing"},
		{func(c *Config) { c.Ingress.Routes = append(c.Ingress.Routes, c.Ingress.Routes[0]) }, "ingress.routes[1].path", "same host and path"},
		{func(c *Config) {
			r := c.Ingress.Routes[0]
			c.Ingress.Routes[0].Path, r.Path = "/a", "/a/"
			c.Ingress.Routes = append(c.Ingress.Routes, r)
		}, "ingress.routes[1].path", "same host and path"},
		{func(c *Config) { c.Ingress.Routes[0].Path = "v2" }, "ingress.routes[0].path", "slash"},
		{func(c *Config) { c.Ingress.Routes[0].Path = "/a/../b" }, "ingress.routes[0].path", "dot segment"},
		{func(c *Config) { c.Ingress.Routes[0].Path = "/a?b" }, "ingress.routes[0].path", "cannot be part"},
		{func(c *Config) { c.Ingress.Routes[0].Path, c.Ingress.Routes[0].StripPrefix = "/orders/v2", "/orders" }, "", ""},
		{func(c *Config) { c.Ingress.Routes[0].Path, c.Ingress.Routes[0].StripPrefix = "/orders", "/ord" }, "ingress.routes[0].strip_prefix", "no beginning"},
		{func(c *Config) { c.Ingress.Routes[0].Peer = "site-d" }, "ingress.routes[0].peer", "did you mean"},
		{func(c *Config) { c.Ingress.Routes[0].Upstream = "" }, "ingress.routes[0].upstream", "missing"},
		{func(c *Config) { c.Ingress.Routes[0].Wait = 2 * time.Hour }, "ingress.routes[0].wait", "at most 1h"},
		{func(c *Config) { c.Ingress.Routes[0].Compress = "zstd" }, "ingress.routes[0].compress", "on or off"},
		{func(c *Config) { c.Egress.Upstreams = nil }, "egress.upstreams", "missing"},
		{func(c *Config) { c.Egress.Upstreams = append(c.Egress.Upstreams, c.Egress.Upstreams[0]) }, "egress.upstreams[1].name", "another upstream"},
		{func(c *Config) { c.Egress.Upstreams[0].URL = "ftp://x" }, "egress.upstreams[0].url", "neither http"},
		{func(c *Config) { c.Egress.Upstreams[0].URL = "http://" }, "egress.upstreams[0].url", "no host"},
		{func(c *Config) { c.Egress.Upstreams[0].URL = "http://x/?a" }, "egress.upstreams[0].url", "query"},
		{func(c *Config) { c.Egress.Upstreams[0].URL = "http://x/#a" }, "egress.upstreams[0].url", "fragment"},
		{func(c *Config) { c.Egress.Upstreams[0].URL = "http://u@x/" }, "egress.upstreams[0].url", "credentials"},
		{func(c *Config) { c.Egress.Upstreams[0].URL = "http://x:0/" }, "egress.upstreams[0].url", "port"},
		{func(c *Config) { c.Egress.Upstreams[0].URL = "https://[::1]:8443/base" }, "", ""},
		{func(c *Config) { c.Egress.Upstreams[0].Peers = nil }, "egress.upstreams[0].peers", "missing"},
		{func(c *Config) { c.Egress.Upstreams[0].Peers = []string{"*"} }, "egress.upstreams[0].peers[0]", "no wildcard"},
		{func(c *Config) { c.Egress.Upstreams[0].Methods = []string{"GET", "post"} }, "egress.upstreams[0].methods[1]", "write POST"},
		{func(c *Config) { c.Egress.Upstreams[0].Methods = []string{"M-SEARCH", "baseline"} }, "", ""},
		{func(c *Config) { c.Egress.Upstreams[0].Methods = []string{"CONNECT"} }, "egress.upstreams[0].methods[0]", "cannot cross"},
		{func(c *Config) { c.Egress.Upstreams[0].Methods = []string{"A B"} }, "egress.upstreams[0].methods[0]", "no method"},
		{func(c *Config) { c.Egress.Upstreams[0].Paths = []string{"/v2", "items"} }, "egress.upstreams[0].paths[1]", "slash"},
		{func(c *Config) { c.Egress.Upstreams[0].Paths = []string{"/**", "/v2/*/lines", "/a%20b", "/files/**"} }, "", ""},
		{func(c *Config) { c.Egress.Upstreams[0].Paths = []string{"/**/a"} }, "egress.upstreams[0].paths[0]", "last segment"},
		{func(c *Config) { c.Egress.Upstreams[0].Paths = []string{"/a%2"} }, "egress.upstreams[0].paths[0]", "percent-encoding"},
		{func(c *Config) { c.Egress.Upstreams[0].Paths = []string{"/a/%2e%2e/b"} }, "egress.upstreams[0].paths[0]", "dot segment"},
		{func(c *Config) { c.Egress.Upstreams[0].Addresses = []string{"host"} }, "egress.upstreams[0].addresses[0]", "neither"},
		{func(c *Config) { c.Egress.Upstreams[0].Timeout = 0 }, "egress.upstreams[0].timeout", "too short"},
		{func(c *Config) { c.Egress.Upstreams[0].Concurrency = 0 }, "egress.upstreams[0].concurrency", "at least 1"},
		{func(c *Config) { c.Egress.Upstreams[0].CAFile = "/ca" }, "egress.upstreams[0].ca_file", "no effect"},
		{func(c *Config) { c.Egress.Upstreams[0].CertFile = "/c" }, "egress.upstreams[0].key_file", "beside cert_file"},
		{func(c *Config) { c.Egress.Upstreams[0].KeyFile = "/c" }, "egress.upstreams[0].cert_file", "beside key_file"},
		{func(c *Config) { c.Egress.Upstreams[0].CertFile, c.Egress.Upstreams[0].KeyFile = "/c", "/k" }, "egress.upstreams[0].cert_file", "no effect"},
		{func(c *Config) { c.Egress.Upstreams[0].HTTP2 = "on" }, "egress.upstreams[0].http2", "auto or off"},
		{func(c *Config) { c.Egress.Upstreams[0].AllowRequestHeaders = []string{"X-*", "Content-Type"} }, "", ""},
		{func(c *Config) { c.Egress.Upstreams[0].AllowRequestHeaders = []string{"X-*-Y"} }, "egress.upstreams[0].allow_request_headers[0]", "no field name"},
		{func(c *Config) { c.Egress.Upstreams[0].DropResponseHeaders = []string{"a:"} }, "egress.upstreams[0].drop_response_headers[0]", "no field name"},
		{func(c *Config) { c.Egress.Upstreams[0].BreakerPause = 0 }, "egress.upstreams[0].breaker_pause", "too short"},
		{func(c *Config) { c.Egress.Upstreams[0].BreakerFailures, c.Egress.Upstreams[0].BreakerPause = 0, 0 }, "", ""},
		{func(c *Config) { c.Egress.Upstreams[0].MaxTime = -1 }, "egress.upstreams[0].max_time", "too short"},
		{func(c *Config) { c.Egress.Upstreams[0].IdempotencyKey = "yes" }, "egress.upstreams[0].idempotency_key", "honoured"},
		{func(c *Config) { c.Admin.Listen = "0.0.0.0:8081" }, "admin.listen", "must not be reachable"},
		{func(c *Config) { c.Admin.Listen = c.Ingress.Listen }, "admin.listen", "ingress.listen too"},
		{func(c *Config) { c.Admin.Listen = "" }, "", ""},
		{func(c *Config) { c.Link.Heartbeat = time.Millisecond }, "link.heartbeat", "too short"},
		{func(c *Config) { c.Results.TTL = math.MaxInt64 }, "results.ttl", "too long"},
		{func(c *Config) { c.Limits.OutboxBytes = 0 }, "limits.outbox_bytes", "too small"},
		{func(c *Config) { c.Limits.TransitMessages = 1 }, "limits.transit_messages", "too small"},
		{func(c *Config) { c.Limits.TransitBytes = 0 }, "limits.transit_bytes", "at least 256KiB"},
		{func(c *Config) { c.Log.Level = "verbose" }, "log.level", "or error"},
	} {
		cfg := both()
		c.change(cfg)
		err := cfg.Validate()
		switch ps := Problems(err); {
		case c.key == "" && err != nil:
			t.Errorf("refused: %v", err)
		case c.key == "":
		case len(ps) != 1 || ps[0].Key != c.key || !strings.Contains(ps[0].Error(), c.text):
			t.Errorf("want %s ... %s, got %v", c.key, c.text, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1234": 1234, "16MiB": 16 << 20, "16 MiB": 16 << 20, "64KiB": 64 << 10, "1GiB": 1 << 30,
		"500MB": 500e6, "2TB": 2e12, "3kB": 3000, "3KB": 3000, "9B": 9, "8388607TiB": 8388607 << 40,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if back, err := ParseSize(got.String()); err != nil || back != want {
			t.Errorf("%s is shown as %s, which is %d, %v", text, got, back, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5MiB", "1M", "16mib", "1 2", "8388608TiB", "99999999999999999999", "MiB", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for size, want := range map[Size]string{16 << 20: "16MiB", 500e6: "500MB", 1 << 10: "1KiB", 1000: "1kB", 1001: "1001B", 0: "0B"} {
		if got := size.String(); got != want {
			t.Errorf("%d is shown as %s, want %s", int64(size), got, want)
		}
	}
}

func TestMode(t *testing.T) {
	for text, want := range map[string]fs.FileMode{"0640": 0o640, "640": 0o640, "2770": 0o770 | fs.ModeSetgid, "0o1777": 0o777 | fs.ModeSticky} {
		if got, err := Mode(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "64", "0x1ff", "rw-r", "17777", "-640"} {
		if got, err := Mode(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestPrefixes(t *testing.T) {
	got, err := Prefixes([]string{"10.1.2.3/8", "::1"})
	if err != nil || fmt.Sprint(got) != "[10.0.0.0/8 ::1/128]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Prefixes([]string{"ten"}); err == nil {
		t.Error("a word was read as a range")
	}
}

func TestClosest(t *testing.T) {
	words := []string{"upstream", "peer", "path", "wait", "wait_max", "host"}
	for word, want := range map[string]string{
		"upstraem": "upstream", "upstreams": "upstream", "per": "peer", "hots": "host", "watt": "wait", "waitmax": "wait_max", "xyz": "", "": "", "deadline": "",
	} {
		if got := Closest(word, words); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestAuth(t *testing.T) {
	good := func() *Auth {
		return &Auth{OAuth2: &OAuth2{TokenURL: "https://as.example/token", ClientID: "me", ClientSecretFile: "/s"}}
	}
	for _, c := range []struct {
		change func(*Auth)
		key    string // below auth; "-" for auth itself, "" if nothing is wrong
		text   string
	}{
		{func(a *Auth) {}, "", ""},
		{func(a *Auth) { *a = Auth{} }, "-", "holds nothing"},
		{func(a *Auth) { a.BearerFile = "/t" }, "-", "more than one"},
		{func(a *Auth) { *a = Auth{Cookies: true} }, "", ""},
		{func(a *Auth) { *a = Auth{Basic: &Basic{User: "a:b", PasswordFile: "/p"}} }, "basic.user", "colon"},
		{func(a *Auth) { *a = Auth{BearerFile: "credential:../x"} }, "bearer_file", "no credential"},
		{func(a *Auth) { *a = Auth{Fields: []AuthField{{Name: "X-Key", ValueFile: "env:K"}}} }, "", ""},
		{func(a *Auth) { a.Fields = []AuthField{{Name: "authorization", ValueFile: "/k"}} }, "fields[0].name", "another way"},
		{func(a *Auth) { a.Fields = []AuthField{{Name: "via", ValueFile: "/k"}} }, "fields[0].name", "by hoft itself"},
		{func(a *Auth) { a.Fields = []AuthField{{Name: "X", ValueFile: "/k"}, {Name: "x", ValueFile: "/l"}} }, "fields[1].name", "another way"},
		{func(a *Auth) { a.Fields, a.Cookies = []AuthField{{Name: "Cookie", ValueFile: "/k"}}, true }, "fields[0].name", "another way"},
		{func(a *Auth) { a.OAuth2.TokenURL = "http://as.example/token" }, "oauth2.token_url", "in clear"},
		{func(a *Auth) { a.OAuth2.TokenURL = "http://127.0.0.1:99/token" }, "", ""},
		{func(a *Auth) { a.OAuth2.ClientSecretFile = "" }, "oauth2.client_secret_file", "needed by client_auth: basic"},
		{func(a *Auth) { a.OAuth2.ClientAuth = "none" }, "oauth2.client_secret_file", "no effect"},
		{func(a *Auth) { a.OAuth2.ClientAuth = "mtls" }, "oauth2.client_auth", "write basic"},
		{func(a *Auth) { a.OAuth2.ClientAuth, a.OAuth2.ClientSecretFile = "private_key_jwt", "" }, "oauth2.key_file", "needed"},
		{func(a *Auth) { a.OAuth2.KeyID = "k" }, "oauth2.key_file", "no effect"},
		{func(a *Auth) {
			a.OAuth2.ClientAuth, a.OAuth2.ClientSecretFile, a.OAuth2.KeyFile = "private_key_jwt", "", "env:K"
		}, "oauth2.key_file", "not taken from a variable"},
	} {
		cfg := both()
		cfg.Egress.Upstreams[0].Auth = good()
		c.change(cfg.Egress.Upstreams[0].Auth)
		err := cfg.Validate()
		key := "egress.upstreams[0].auth"
		if c.key != "-" {
			key += "." + c.key
		}
		switch ps := Problems(err); {
		case c.key == "" && err != nil:
			t.Errorf("refused: %v", err)
		case c.key == "":
		case len(ps) != 1 || ps[0].Key != key || !strings.Contains(ps[0].Error(), c.text):
			t.Errorf("want %s ... %s, got %v", key, c.text, err)
		}
	}
}
