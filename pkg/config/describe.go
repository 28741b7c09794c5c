package config

import (
	"reflect"
	"strings"
	"sync"
)

// KeyDoc explains one key.
type KeyDoc struct {
	Path     string // as in messages, with [] for entries of lists
	Type     string
	Default  string // "" if there is none
	Required bool
	Variable string // environment variable, "" if the key comes from the file only
	Text     string
}

// Keys explains every key, in the order of the reference.
func Keys() []KeyDoc {
	values := defaults()
	var out []KeyDoc
	for _, k := range root().all() {
		d := KeyDoc{Path: k.path, Type: k.kind.String(), Default: values[k.path]}
		d.Text, d.Required = strings.CutPrefix(descriptions[k.path], must)
		if k.settable() {
			d.Variable = k.variable()
		}
		out = append(out, d)
	}
	return out
}

// must marks keys that have to be there, within their section or list entry.
const must = "! "

// descriptions says of each key what it does. A test holds it against the struct.
var descriptions = map[string]string{
	"name":      must + "Short name of this site: lower-case letters, digits and hyphens. It appears in Via, commands and logs.",
	"state_dir": "Folder for keys and the database; only this user may read it. It must be on a local disk, never in the pipe.",

	"pipe":            must + "The two folders that something else copies between the sites.",
	"pipe.outbox":     must + "Folder that is written. What is put there reaches the other side.",
	"pipe.inbox":      must + "Folder that is read. What the other side wrote appears there. It may be the same folder as the outbox.",
	"pipe.temp_dir":   "Folder for files that are being written, on the same file system as the outbox. Empty: beside the target.",
	"pipe.layout":     "`nested`: a folder for each recipient. `flat`: all files in one folder.",
	"pipe.suffix":     "Added to every file name, for guards that let only certain endings pass. Both sides must agree.",
	"pipe.file_mode":  "Mode of written files, octal. The mover is another user and must be able to read them.",
	"pipe.dir_mode":   "Mode of folders that are made, octal.",
	"pipe.fsync":      "Sync each file to the disk. Only for media that are pulled out by hand: the database is the durable copy.",
	"pipe.private":    "Nobody but hoft's user writes in the folders and no mover changes files in place: packs are then linked into the outbox and moved out of the inbox instead of copied. Refused where the folders are another user's, others may write in them, or they are on a network file system. It saves time only where they are on the disk of the state folder. Where these folders and the state folder are on one btrfs, or xfs with reflink, packs are cloned without it, whoever else writes there.",
	"pipe.consume":    "`remove`: files are removed from the inbox once their effects are durable. `keep`: they stay and are remembered.",
	"pipe.settle":     "How long a file with a bad end must have been still before it counts as cut. Learned upward.",
	"pipe.poll_min":   "Shortest time between two looks into the inbox, while there is traffic.",
	"pipe.poll_max":   "Longest time between two looks into the inbox, when it is quiet.",
	"pipe.max_files":  "Most own files in the outbox at a time, for each peer. Bodies use three quarters at most.",
	"pipe.max_file":   "Largest file that is written or read. The size that the pipe carries whole is learned below it.",
	"pipe.scan_files": "Most files read for each peer in one look.",
	"pipe.scan_bytes": "Most bytes read for each peer in one look.",
	"pipe.quarantine": "Most bytes of refused files that are kept in the state folder for a look by the operator. 0: none.",

	"peers":        must + "Other sites that this one trusts.",
	"peers[].name": must + "Name of the peer, as it calls itself.",
	"peers[].keys": "File of its public keys. Empty: what `hoft keys trust` stored.",
	"peers[].seal": "`encrypted`: files are signed and encrypted. `signed`: they are signed only, and **everybody who reaches the folders can read what travels**: for a virus scanner or guard in the pipe. Both sites must have the same.",
	"peers[].psk":  "File of a pre-shared secret, used instead of public keys.",

	"ingress":                          "Takes calls in. Without this section the site has no such role.",
	"ingress.listen":                   must + "Address that callers use, host:port.",
	"ingress.hosts":                    "Further names of this listener that callers may put into Host: `api.example.com`, `*.example.com`, with a port or for any. Others get 421.",
	"ingress.trusted_proxies":          "Addresses or ranges whose Forwarded and X-Forwarded-* fields are believed.",
	"ingress.wait":                     "How long a connection is held for an answer. The call goes on afterwards.",
	"ingress.wait_max":                 "Longest wait that a caller may ask for by `Prefer: wait`.",
	"ingress.deadline":                 "Time after which a call is not begun any more and ends as failed.",
	"ingress.max_body":                 "Largest request body; a larger one gets 413.",
	"ingress.inline":                   "Bodies up to this size travel inside their message, larger ones as chunks in packs.",
	"ingress.response_buffer":          "How much of an answer may come before its caller has read any. It grows for callers that read fast.",
	"ingress.tls":                      "Certificate with which the listener speaks TLS (HTTP/2 and HTTP/1.1). The files are read again when they change.",
	"ingress.tls.cert_file":            "PEM file of the certificate and its chain. Empty: no TLS.",
	"ingress.tls.key_file":             "PEM file of its private key; nobody else may be able to read it.",
	"ingress.tls.client_ca_file":       "PEM file of the authorities whose client certificates are accepted. Empty: none is asked for.",
	"ingress.insecure":                 "`true`: listen beyond loopback although there is no `tls`, or no `callers`. Without it such a site does not start.",
	"ingress.auth_field":               "Field in which callers send `Bearer TOKEN` or `Basic …`. It never crosses. With `Authorization` the callee never sees that of callers, and 401 is answered in place of 407.",
	"ingress.callers":                  "Who may call. Empty: anybody who reaches the listener, without a name. Else every call must show who makes it.",
	"ingress.callers[].name":           must + "Name of the caller, for routes, logs and Basic.",
	"ingress.callers[].token_file":     "Secret that `Bearer` carries, at least 16 bytes: a file, `credential:NAME` of systemd or `env:NAME`. A file is read again when it changes.",
	"ingress.callers[].password_file":  "Secret that `Basic` carries with the caller's name as user, at least 8 bytes; written as token_file.",
	"ingress.callers[].certificates":   "Names in the client certificate: DNS, mail or URI names, the common name, or `sha256:HEX` of the whole certificate.",
	"ingress.connections":              "Most connections at a time; further ones are closed at once. 0: no limit. A process that may open few files (`ulimit -n`) takes fewer, so that 256 are left for all else.",
	"ingress.per_address":              "Most connections from one address, those of trusted_proxies apart. 0: no limit.",
	"ingress.per_caller":               "Most connections on which one named caller calls; on a further one it gets 429. 0: no limit.",
	"ingress.head_timeout":             "Longest time for the head of a request.",
	"ingress.max_head":                 "Longest head of a request (target, host and fields); a longer one gets 431. At most 48 KiB: it must fit one message.",
	"ingress.max_fields":               "Most header fields of a request; more get 431. At most 256.",
	"ingress.upload_stall":             "Longest pause in an upload; then, or below 64 bytes/s on average, the connection is closed.",
	"ingress.routes":                   must + "Which calls go where. The longest path wins, a route with a host before one without.",
	"ingress.routes[].host":            "Host that the route is for, written as in ingress.hosts. Empty: any that is served.",
	"ingress.routes[].path":            "Path that the route is for, with everything below it.",
	"ingress.routes[].strip_prefix":    "Beginning of the path that is cut before the call crosses.",
	"ingress.routes[].peer":            must + "Peer that makes the call.",
	"ingress.routes[].upstream":        must + "Upstream of that peer.",
	"ingress.routes[].wait":            "As ingress.wait, for this route. 0s: as there.",
	"ingress.routes[].deadline":        "As ingress.deadline, for this route. 0s: as there.",
	"ingress.routes[].max_body":        "As ingress.max_body, for this route. 0: as there.",
	"ingress.routes[].compress":        "`on` or `off`: whether bodies are compressed. Off where a body mixes a secret with text that others choose.",
	"ingress.routes[].dedupe":          "`on`: a piece of a body that the peer holds is not sent again. `off`: nothing of a body looks like anything sent before, so nobody who reads the folder sees that the same comes again.",
	"ingress.routes[].chunking":        "`content`: long bodies are cut where their content says, so that a changed copy shares most pieces. `fixed`: every MiB.",
	"ingress.routes[].response_buffer": "As ingress.response_buffer, for this route. 0: as there.",
	"ingress.routes[].callers":         "Callers that may use the route; others get 403. Empty: every one of ingress.callers.",
	"egress":                           "Makes calls. Without this section the site has no such role.",
	"egress.upstreams":                 must + "The servers that peers may call; nothing else can be reached.",
	"egress.upstreams[].name":          must + "Name that routes of peers use.",
	"egress.upstreams[].url":           must + "Where the server is: http or https, host, port, and a path that is put before that of the call.",
	"egress.upstreams[].peers":         must + "Peers that may call it.",
	"egress.upstreams[].methods":       "Methods that may be called. Empty: all.",
	"ingress.routes[].mode":            "`wait`: the connection is held for the answer. `async`: callers get 202 at once and ask for it, unless they prefer to wait.",
	"ingress.routes[].keep":            "`answers`: requests and answers are kept for results.ttl. `none`: what is stored for a call goes with its end; its answer is for the caller who waits.",
	"egress.upstreams[].paths": "Paths that may be called: `/v2/items` is that path alone, `*` is anything within one segment (`/v2/*/lines`), `/**` at the end is " +
		"everything below (`/files/**`). Empty: all.",
	"egress.upstreams[].preserve_host": "`true`: the server sees the Host that the caller used. `false`: its own.",
	"egress.upstreams[].rewrite_origin": "Whether the server's own origin and prefix in Location, Content-Location, Set-Cookie and Destination are mapped " +
		"to the caller's. Left out: when preserve_host is false.",
	"egress.upstreams[].addresses":                      "Addresses or ranges that the server's name may resolve to. Empty: all but link-local, metadata and multicast addresses.",
	"egress.upstreams[].timeout":                        "Longest wait for the head of an answer, and then for more of its body.",
	"egress.upstreams[].max_head":                       "Longest head of a response; a longer one ends the call with 502. At most 48 KiB.",
	"egress.upstreams[].max_fields":                     "Most header fields of a response. At most 256.",
	"egress.upstreams[].max_response":                   "Largest response body; a larger one ends the call with 502.",
	"egress.upstreams[].concurrency":                    "Most calls at a time; further ones wait.",
	"egress.upstreams[].ca_file":                        "File of PEM certificates that an https server's certificate is checked against, instead of the system's.",
	"egress.upstreams[].cert_file":                      "PEM file of a certificate that is shown to an https server that asks for one.",
	"egress.upstreams[].key_file":                       "PEM file of its private key, or `credential:NAME`; nobody else may be able to read it.",
	"egress.upstreams[].http2":                          "`auto`: HTTP/2 with an https server that offers it. `off`: HTTP/1.1 only.",
	"egress.upstreams[].max_time":                       "Longest time for a whole call, with its bodies. 0s: no limit.",
	"egress.upstreams[].max_request":                    "Largest request body; the call of a larger one ends with 413. 0: no limit.",
	"egress.upstreams[].connections":                    "Most connections to the server at a time. 0: as concurrency.",
	"egress.upstreams[].allow_request_headers":          "Header fields and trailers of requests that may pass, besides Via; a last `*` stands for any ending. Empty: all that are end-to-end.",
	"egress.upstreams[].drop_response_headers":          "Header fields and trailers of answers that stay on this side; a last `*` stands for any ending.",
	"egress.upstreams[].breaker_failures":               "Failures in a row (no connection, no answer, a broken one) after which the server is left alone. 0: never.",
	"egress.upstreams[].breaker_pause":                  "How long it is left alone; calls meanwhile get 503. Then one call tries it.",
	"egress.upstreams[].idempotency_key":                "`honoured`: the server acts once for one Idempotency-Key, so a call that has one may be repeated after a crash.",
	"egress.upstreams[].auth":                           "What this site shows the server. It never crosses the pipe, and replaces what callers send. TRACE is refused on such an upstream: it would show it.",
	"egress.upstreams[].auth.oauth2":                    "Bearer tokens from an OAuth 2 server, kept sealed in the database and renewed at 80 % of their life, and once after a 401.",
	"egress.upstreams[].auth.oauth2.token_url":          must + "Token endpoint: https, or http on loopback.",
	"egress.upstreams[].auth.oauth2.client_id":          must + "Id of this client.",
	"egress.upstreams[].auth.oauth2.client_auth":        "How the client shows who it is: `basic` (also when empty), `post` (secret among the parameters), `private_key_jwt` (RFC 7523) or `none`.",
	"egress.upstreams[].auth.oauth2.client_secret_file": "Its secret, for basic and post: a file, `credential:NAME` or `env:NAME`.",
	"egress.upstreams[].auth.oauth2.key_file":           "Its private key, for private_key_jwt: a JWK or PEM file, or `credential:NAME`.",
	"egress.upstreams[].auth.oauth2.key_id":             "`kid` of the key. Empty: that of the JWK.",
	"egress.upstreams[].auth.oauth2.refresh_token_file": "First refresh token, written as client_secret_file; later ones are kept in the database. Empty: client credentials are used.",
	"egress.upstreams[].auth.oauth2.scopes":             "Scopes that are asked for.",
	"egress.upstreams[].auth.oauth2.audience":           "Parameter `audience`, for servers that want one.",
	"egress.upstreams[].auth.oauth2.ca_file":            "File of PEM certificates that the token server's certificate is checked against, instead of the system's.",
	"egress.upstreams[].auth.basic":                     "User and password.",
	"egress.upstreams[].auth.basic.user":                must + "User.",
	"egress.upstreams[].auth.basic.password_file":       must + "Password: a file, `credential:NAME` or `env:NAME`.",
	"egress.upstreams[].auth.bearer_file":               "Fixed bearer token: a file, `credential:NAME` or `env:NAME`.",
	"egress.upstreams[].auth.fields":                    "Header fields with secret values, such as API keys.",
	"egress.upstreams[].auth.fields[].name":             must + "Name of the field.",
	"egress.upstreams[].auth.fields[].value_file":       must + "Its value: a file, `credential:NAME` or `env:NAME`.",
	"egress.upstreams[].auth.cookies":                   "`true`: cookies that the server sets stay on this side, in a jar for each caller, and callers' own do not pass. Log-in calls then work without any cookie crossing.",
	"egress.remember":                                   "How long executed calls are remembered, so that none is executed twice.",

	"admin":        "The operator's listener.",
	"admin.listen": "Loopback address for health checks and, with the token in admin.token of the state folder, what the commands ask for, host:port. Empty: only the control socket in the state folder.",

	"link":             "Timers between two sites.",
	"link.heartbeat":   "Time after which an idle link says that it is alive.",
	"link.ack_delay":   "Shortest time between two files that hold nothing but acks.",
	"link.initial_rtt": "Round trip that is assumed until one was measured.",

	"results":           "The store of finished calls.",
	"results.ttl":       "How long an answer can be fetched.",
	"results.max_bytes": "Most bytes of finished calls that are kept; the oldest go first, within a minute, but for what is being read. A larger answer is gone when its caller has it.",

	"results.secure_delete": "Whether what is deleted is overwritten in the database, and its write-ahead log emptied. `false` saves some writing.",

	"chunks":                "The store of long bodies, in the folder chunks of the state folder.",
	"chunks.peer_bytes":     "Most bytes of it for bodies of unfinished calls that one peer sends; beyond it 507 chunk-quota. 0: three quarters; with a single peer no bound of its own.",
	"chunks.exchange_bytes": "Most bytes of it for one such body. 0: as peer_bytes, or else all of the store.",
	"chunks.max_bytes":      "Most bytes that it takes on the disk. What no unfinished call needs goes first, the longest unused first. 0: 10 GiB, or a fifth of the disk where that is less.",

	"data":                    "The Direct Data API: self-encrypted data over HTTP ([data-api.md](data-api.md)).",
	"data.listen":             "Address of the API, host:port. Empty: there is none. Beyond loopback it needs tls and tokens_file.",
	"data.hosts":              "Further names of this listener that may stand in Host, without ports. Others get 421.",
	"data.tokens_file":        "Who may use the API: a file, `credential:NAME` or `env:NAME`, read again when it changes. A line each: a name, `read`, `write` or `read,write`, and a token of at least 16 bytes. Empty: whoever reaches the listener, which must be on loopback.",
	"data.tls":                "Certificate with which the listener speaks TLS; as ingress.tls.",
	"data.tls.cert_file":      "PEM file of the certificate and its chain. Empty: no TLS.",
	"data.tls.key_file":       "PEM file of its private key; nobody else may be able to read it.",
	"data.tls.client_ca_file": "PEM file of the authorities that sign clients' certificates. With it every client must show one, besides its token. Empty: none is asked for.",
	"data.peers":              "Peers that are given the chunks that they ask for, and whose `send` is taken. `*`: every peer. Empty: none. Who asks for a chunk holds a map that names it.",
	"data.max_body":           "Largest body of one request; a larger one gets 413.",
	"data.ttl":                "How long data is kept that is stored without `?ttl=`. 0s: until DELETE.",
	"data.resumable":          "Whether an upload that breaks off can go on (draft-ietf-httpbis-resumable-upload).",
	"data.upload_ttl":         "How long an upload that nobody goes on with is kept.",
	"data.max_bytes":          "Most bytes of data that are kept, as long as their maps are pinned; beyond it 507. 0: half of the chunk store.",

	"callbacks":             "Messages to receivers that callers name, when a call ends.",
	"callbacks.allow":       "URLs that callers may name: `https://hooks.example.com/*`. `*` stands for a port, for one label of the host, or at the end for any path. Empty: none.",
	"callbacks.secret_file": "File of the secrets that callbacks are signed with (Standard Webhooks): one `whsec_…` a line; with two lines both sign. Also `credential:NAME` or `env:NAME`. Empty: callbacks.secret in the state folder, made at the first start.",

	"limits":                  "What may wait.",
	"limits.outbox_messages":  "Most messages that wait for one peer, in the database and in the pipe. Beyond it new calls get 503.",
	"limits.outbox_bytes":     "Most bytes of such messages.",
	"limits.transit_messages": "Most messages in the pipe and not acknowledged, for each peer; the others wait in the database. Bodies use three quarters at most.",
	"limits.transit_bytes":    "Most bytes of such messages. They are held in memory too.",
	"limits.exchanges":        "Most calls that are not finished. Beyond it new calls get 503.",

	"limits.caller_calls":     "Most calls of one caller, a number and a time: `10/s`, `600/m`, `1000/h`. Further ones get 429. Empty: no limit. A caller is a name, or an address if it has none.",
	"limits.caller_bytes":     "Most bytes of request bodies of one caller: `1MiB/s`. Empty: no limit.",
	"limits.caller_in_flight": "Most unfinished calls of one caller. 0: no limit.",
	"limits.peer_calls":       "As caller_calls, for all calls to one peer together.",
	"limits.peer_bytes":       "As caller_bytes, for all calls to one peer together.",
	"limits.peer_in_flight":   "As caller_in_flight, for all calls to one peer together.",
	"limits.peer_stored":      "Most that one peer's unfinished calls, and unfinished answers from it, may take of this site's database: their heads and bodies, and 4 KiB for each call (20 KiB where its body comes in parts). There is no bound on their number: whatever is below this waits for its turn. What comes beyond it fails here with `rate-limited`, so it should hold what the peer may accept (its limits.exchanges) while the pipe, or this site, stands still. Chunks: `chunks.peer_bytes`. 0: no limit.",

	"log":        "What is logged, on standard error.",
	"log.level":  "`trace`, `debug` (each file), `info` (each call's end), `warn` or `error`.",
	"log.format": "`json`, `console`, or `auto`: console on a terminal, JSON elsewhere.",
}

// stateDirRule stands for the default of state_dir, which depends on the host.
const stateDirRule = "$STATE_DIRECTORY, else $XDG_STATE_HOME/hoft, else ~/.local/state/hoft"

// defaults gives the default of each scalar key that has one, as text.
var defaults = sync.OnceValue(func() map[string]string {
	c := Default()
	c.StateDir = stateDirRule
	c.Peers = []Peer{DefaultPeer()}
	c.Ingress, c.Egress = DefaultIngress(), DefaultEgress()
	c.Ingress.Routes = []Route{DefaultRoute()}
	c.Egress.Upstreams = []Upstream{DefaultUpstream()}
	out := map[string]string{}
	root().visit(reflect.ValueOf(*c), "", func(k *key, _ string, v reflect.Value) {
		if s := plain(v); k.kind.scalar() && s != "" {
			out[k.path] = s
		}
	})
	return out
})
