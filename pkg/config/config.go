package config

import "time"

// Config is a whole configuration. Paths are absolute after Load. A Config is read-only once loaded
// and then safe for concurrent use.
type Config struct {
	Name      string    `mapstructure:"name"`
	StateDir  string    `mapstructure:"state_dir"`
	Pipe      Pipe      `mapstructure:"pipe"`
	Peers     []Peer    `mapstructure:"peers"`
	Ingress   *Ingress  `mapstructure:"ingress"` // nil: the section is absent
	Egress    *Egress   `mapstructure:"egress"`  // nil: the section is absent
	Admin     Admin     `mapstructure:"admin"`
	Link      Link      `mapstructure:"link"`
	Results   Results   `mapstructure:"results"`
	Chunks    Chunks    `mapstructure:"chunks"`
	Data      Data      `mapstructure:"data"`
	Callbacks Callbacks `mapstructure:"callbacks"`
	Limits    Limits    `mapstructure:"limits"`
	Log       Log       `mapstructure:"log"`

	src *source // where the values came from; nil unless made by Load
}

// Pipe describes layer 0: the two folders and how files are written and read there.
type Pipe struct {
	Outbox     string        `mapstructure:"outbox"`
	Inbox      string        `mapstructure:"inbox"`
	TempDir    string        `mapstructure:"temp_dir"` // "": beside the target
	Layout     string        `mapstructure:"layout"`   // nested or flat
	Suffix     string        `mapstructure:"suffix"`   // appended to file names, for guards that insist
	FileMode   string        `mapstructure:"file_mode"`
	DirMode    string        `mapstructure:"dir_mode"`
	Fsync      bool          `mapstructure:"fsync"`
	Private    bool          `mapstructure:"private"`
	Consume    string        `mapstructure:"consume"` // remove or keep
	Settle     time.Duration `mapstructure:"settle"`
	PollMin    time.Duration `mapstructure:"poll_min"`
	PollMax    time.Duration `mapstructure:"poll_max"`
	MaxFiles   int           `mapstructure:"max_files"`
	MaxFile    Size          `mapstructure:"max_file"`
	ScanFiles  int           `mapstructure:"scan_files"` // per peer and scan
	ScanBytes  Size          `mapstructure:"scan_bytes"` // per peer and scan
	Quarantine Size          `mapstructure:"quarantine"`
}

// Peer is another site that this one trusts.
type Peer struct {
	Name string `mapstructure:"name"`
	Keys string `mapstructure:"keys"` // public key file; "": what hoft keys trust stored
	Seal string `mapstructure:"seal"` // encrypted or signed
	PSK  string `mapstructure:"psk"`  // file of a pre-shared secret; "": public keys
}

// Signed says that files of the link are signed and not encrypted.
func (p *Peer) Signed() bool { return p.Seal == "signed" }

// Ingress takes calls in.
type Ingress struct {
	Listen         string        `mapstructure:"listen"`
	Hosts          []string      `mapstructure:"hosts"` // further Host values that are served
	TrustedProxies []string      `mapstructure:"trusted_proxies"`
	Wait           time.Duration `mapstructure:"wait"`
	WaitMax        time.Duration `mapstructure:"wait_max"`
	Deadline       time.Duration `mapstructure:"deadline"`
	MaxBody        Size          `mapstructure:"max_body"`
	ResponseBuffer Size          `mapstructure:"response_buffer"` // how far an answer may be ahead of its caller at first
	Inline         Size          `mapstructure:"inline"`          // bodies up to this travel in their message
	TLS            IngressTLS    `mapstructure:"tls"`
	Insecure       bool          `mapstructure:"insecure"` // reachable by others without TLS or without knowing callers
	AuthField      string        `mapstructure:"auth_field"`
	Callers        []Caller      `mapstructure:"callers"`      // empty: callers are anonymous
	Connections    int           `mapstructure:"connections"`  // in all
	PerAddress     int           `mapstructure:"per_address"`  // connections from one address
	PerCaller      int           `mapstructure:"per_caller"`   // connections of one named caller
	HeadTimeout    time.Duration `mapstructure:"head_timeout"` // for a request's head
	MaxHead        Size          `mapstructure:"max_head"`     // of a request: target, host and fields
	MaxFields      int           `mapstructure:"max_fields"`
	UploadStall    time.Duration `mapstructure:"upload_stall"`
	Routes         []Route       `mapstructure:"routes"`
}

// IngressTLS makes the listener speak TLS. The files are read again when they change.
type IngressTLS struct {
	CertFile     string `mapstructure:"cert_file"`
	KeyFile      string `mapstructure:"key_file"`
	ClientCAFile string `mapstructure:"client_ca_file"` // "": no client certificates
}

// Caller is one who may call, and how it shows who it is.
type Caller struct {
	Name         string   `mapstructure:"name"`
	TokenFile    string   `mapstructure:"token_file"`    // secret: a file, credential:NAME or env:NAME
	PasswordFile string   `mapstructure:"password_file"` // likewise; the user is Name
	Certificates []string `mapstructure:"certificates"`  // names in a client certificate, or sha256:HEX
}

// Route sends matching requests to an upstream of a peer. Zero durations and sizes: the ingress's.
type Route struct {
	Host        string        `mapstructure:"host"`
	Path        string        `mapstructure:"path"`
	StripPrefix string        `mapstructure:"strip_prefix"`
	Peer        string        `mapstructure:"peer"`
	Upstream    string        `mapstructure:"upstream"`
	Wait        time.Duration `mapstructure:"wait"`
	Deadline    time.Duration `mapstructure:"deadline"`
	MaxBody     Size          `mapstructure:"max_body"`
	Compress    string        `mapstructure:"compress"` // on or off
	Dedupe      string        `mapstructure:"dedupe"`   // on or off
	Chunking    string        `mapstructure:"chunking"` // content or fixed
	// ResponseBuffer is how far an answer may be ahead of its caller at first; 0: the ingress's.
	ResponseBuffer Size     `mapstructure:"response_buffer"`
	Callers        []string `mapstructure:"callers"` // names of callers that may use it; empty: every known one
	Mode           string   `mapstructure:"mode"`    // wait or async
	Keep           string   `mapstructure:"keep"`    // answers or none
}

// Egress makes the calls.
type Egress struct {
	Upstreams []Upstream    `mapstructure:"upstreams"`
	Remember  time.Duration `mapstructure:"remember"`
}

// Upstream is one callee that peers may reach.
type Upstream struct {
	Name          string        `mapstructure:"name"`
	URL           string        `mapstructure:"url"`
	Peers         []string      `mapstructure:"peers"`
	Methods       []string      `mapstructure:"methods"`
	Paths         []string      `mapstructure:"paths"`
	PreserveHost  bool          `mapstructure:"preserve_host"`
	RewriteOrigin *bool         `mapstructure:"rewrite_origin"`
	Addresses     []string      `mapstructure:"addresses"`
	Timeout       time.Duration `mapstructure:"timeout"`
	MaxResponse   Size          `mapstructure:"max_response"`
	MaxHead       Size          `mapstructure:"max_head"` // of a response
	MaxFields     int           `mapstructure:"max_fields"`
	Concurrency   int           `mapstructure:"concurrency"`
	CAFile        string        `mapstructure:"ca_file"`
	CertFile      string        `mapstructure:"cert_file"` // client certificate; "": none
	KeyFile       string        `mapstructure:"key_file"`
	HTTP2         string        `mapstructure:"http2"`       // auto or off
	MaxTime       time.Duration `mapstructure:"max_time"`    // of a whole call; 0: none
	MaxRequest    Size          `mapstructure:"max_request"` // bytes of a request body
	Connections   int           `mapstructure:"connections"` // 0: as concurrency

	AllowRequestHeaders []string `mapstructure:"allow_request_headers"` // empty: all end-to-end fields
	DropResponseHeaders []string `mapstructure:"drop_response_headers"`

	BreakerFailures int           `mapstructure:"breaker_failures"` // in a row; 0: no breaker
	BreakerPause    time.Duration `mapstructure:"breaker_pause"`

	IdempotencyKey string `mapstructure:"idempotency_key"` // honoured, or "" (not known to be)
	Auth           *Auth  `mapstructure:"auth"`            // nil: calls go as they come
}

// Auth is what this site shows an upstream. At most one of OAuth2, Basic and BearerFile is set. Every secret is a
// file, credential:NAME or env:NAME.
type Auth struct {
	OAuth2     *OAuth2     `mapstructure:"oauth2"`
	Basic      *Basic      `mapstructure:"basic"`
	BearerFile string      `mapstructure:"bearer_file"`
	Fields     []AuthField `mapstructure:"fields"`
	Cookies    bool        `mapstructure:"cookies"` // cookies stay on this side, a jar for each caller
}

// OAuth2 says how tokens are got (RFC 6749, RFC 7523).
type OAuth2 struct {
	TokenURL         string   `mapstructure:"token_url"`
	ClientID         string   `mapstructure:"client_id"`
	ClientAuth       string   `mapstructure:"client_auth"` // basic (or ""), post, private_key_jwt or none
	ClientSecretFile string   `mapstructure:"client_secret_file"`
	KeyFile          string   `mapstructure:"key_file"`           // of private_key_jwt
	KeyID            string   `mapstructure:"key_id"`             // its kid; "": that of a JWK
	RefreshTokenFile string   `mapstructure:"refresh_token_file"` // "": client credentials
	Scopes           []string `mapstructure:"scopes"`
	Audience         string   `mapstructure:"audience"`
	CAFile           string   `mapstructure:"ca_file"`
}

// Basic is a user and a password (RFC 7617).
type Basic struct {
	User         string `mapstructure:"user"`
	PasswordFile string `mapstructure:"password_file"`
}

// AuthField is a header field whose value is secret.
type AuthField struct {
	Name      string `mapstructure:"name"`
	ValueFile string `mapstructure:"value_file"`
}

// Admin is the operator's listener.
type Admin struct {
	Listen string `mapstructure:"listen"` // "": the control socket only
}

// Link tunes layer 1.
type Link struct {
	Heartbeat  time.Duration `mapstructure:"heartbeat"`
	AckDelay   time.Duration `mapstructure:"ack_delay"`
	InitialRTT time.Duration `mapstructure:"initial_rtt"`
}

// Chunks is the store of long bodies.
type Chunks struct {
	MaxBytes Size `mapstructure:"max_bytes"` // 0: 10 GiB, or a fifth of the disk where that is less
	// PeerBytes bounds what all unfinished bodies that one peer sends may take of it, ExchangeBytes what one may.
	PeerBytes     Size `mapstructure:"peer_bytes"`     // 0: three quarters of the store, with one peer no bound of its own
	ExchangeBytes Size `mapstructure:"exchange_bytes"` // 0: as PeerBytes
}

// Data is the Direct Data API.
type Data struct {
	Listen     string     `mapstructure:"listen"`      // "": the API is off
	Hosts      []string   `mapstructure:"hosts"`       // further Host values that are served
	TokensFile string     `mapstructure:"tokens_file"` // secret: a file, credential:NAME or env:NAME; "": whoever reaches the listener
	TLS        IngressTLS `mapstructure:"tls"`
	MaxBody    Size       `mapstructure:"max_body"`  // of one request
	MaxBytes   Size       `mapstructure:"max_bytes"` // of all data that is kept; 0: half of the chunk store
	Peers      []string   `mapstructure:"peers"`     // who is given stored data, and may send some; "*": every peer

	TTL       time.Duration `mapstructure:"ttl"` // of data that is stored without another; 0: until DELETE
	Resumable bool          `mapstructure:"resumable"`
	UploadTTL time.Duration `mapstructure:"upload_ttl"` // of an upload since its last byte
}

// Results is the store of finished exchanges.
type Results struct {
	TTL      time.Duration `mapstructure:"ttl"`
	MaxBytes Size          `mapstructure:"max_bytes"`
	// SecureDelete has what is deleted overwritten.
	SecureDelete bool `mapstructure:"secure_delete"`
}

// Callbacks are messages to receivers that callers name.
type Callbacks struct {
	Allow      []string `mapstructure:"allow"`       // URL patterns; empty: no callbacks
	SecretFile string   `mapstructure:"secret_file"` // whsec_…, one a line
}

// Limits bounds what may wait.
type Limits struct {
	OutboxMessages int  `mapstructure:"outbox_messages"` // per peer
	OutboxBytes    Size `mapstructure:"outbox_bytes"`    // per peer
	// TransitMessages and TransitBytes are what of it is in the pipe, and in memory, per peer.
	TransitMessages int  `mapstructure:"transit_messages"`
	TransitBytes    Size `mapstructure:"transit_bytes"`
	Exchanges       int  `mapstructure:"exchanges"` // unfinished ones

	CallerCalls    string `mapstructure:"caller_calls"` // a rate, as in 10/s
	CallerBytes    string `mapstructure:"caller_bytes"` // a rate, as in 1MiB/s
	CallerInFlight int    `mapstructure:"caller_in_flight"`
	PeerCalls      string `mapstructure:"peer_calls"`
	PeerBytes      string `mapstructure:"peer_bytes"`
	PeerInFlight   int    `mapstructure:"peer_in_flight"`
	// PeerStored is what one peer's unfinished calls and answers may take of this site's database.
	PeerStored Size `mapstructure:"peer_stored"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `mapstructure:"level"`
	Format string `mapstructure:"format"` // auto, json or console
}
