package config

import "time"

// Default gives the values of every key that is left out. Ingress and Egress are nil: a site has
// those roles only when it says so; see DefaultIngress, DefaultEgress, DefaultUpstream and DefaultRoute.
func Default() *Config {
	return &Config{
		StateDir: DefaultStateDir(),
		Pipe: Pipe{
			Layout:     "nested",
			FileMode:   "0640",
			DirMode:    "2770",
			Consume:    "remove",
			Settle:     5 * time.Second,
			PollMin:    20 * time.Millisecond,
			PollMax:    time.Second,
			MaxFiles:   256,
			MaxFile:    500e6,
			ScanFiles:  1000,
			ScanBytes:  256 << 20,
			Quarantine: 256 << 20,
		},
		Link: Link{
			Heartbeat:  60 * time.Second,
			AckDelay:   25 * time.Millisecond,
			InitialRTT: time.Second,
		},
		Results: Results{TTL: 24 * time.Hour, MaxBytes: 1 << 30, SecureDelete: true},
		Data:    Data{MaxBody: 1 << 40, Resumable: true, UploadTTL: 24 * time.Hour, Peers: []string{"*"}},
		Limits:  Limits{OutboxMessages: 1000000, OutboxBytes: 1 << 30, TransitMessages: 4096, TransitBytes: 8 << 20, Exchanges: 100000, PeerStored: 4 << 30},
		Log:     Log{Level: "info", Format: "auto"},
	}
}

// DefaultIngress gives the defaults of an ingress section that is there.
func DefaultIngress() *Ingress {
	return &Ingress{
		Wait:     120 * time.Second,
		WaitMax:  time.Hour,
		Deadline: 24 * time.Hour,
		MaxBody:  16 << 30,

		ResponseBuffer: 1 << 20,

		Inline: 16 << 10,

		AuthField:   DefaultAuthField,
		Connections: 4096,
		PerAddress:  1024,
		PerCaller:   256,
		HeadTimeout: 10 * time.Second,
		MaxHead:     MaxHead,
		MaxFields:   MaxFields,
		UploadStall: time.Minute,
	}
}

// MaxHead and MaxFields are the most that the head of a request or response may have: it must fit one message
// (docs/protocol.md "Limits").
const (
	MaxHead   = 48 << 10
	MaxFields = 256
)

// DefaultAuthField is where callers show who they are: Authorization belongs to the callee (RFC 9110 section 11.7.2).
const DefaultAuthField = "Proxy-Authorization"

// DefaultEgress gives the defaults of an egress section that is there.
func DefaultEgress() *Egress { return &Egress{Remember: 168 * time.Hour} }

// DefaultPeer gives the defaults of an entry of peers.
func DefaultPeer() Peer { return Peer{Seal: "encrypted"} }

// DefaultRoute gives the defaults of an entry of ingress.routes; what is zero is the ingress's.
func DefaultRoute() Route {
	return Route{Path: "/", Compress: "on", Dedupe: "on", Chunking: "content", Mode: "wait", Keep: "answers"}
}

// DefaultUpstream gives the defaults of an entry of egress.upstreams.
func DefaultUpstream() Upstream {
	return Upstream{Timeout: 10 * time.Minute, MaxHead: MaxHead, MaxFields: MaxFields, MaxResponse: 16 << 30, MaxRequest: 16 << 30, Concurrency: 64, HTTP2: "auto",
		BreakerFailures: 10, BreakerPause: 10 * time.Second}
}
