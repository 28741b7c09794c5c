package exchange

import "fmt"

// Problem is an error made by hoft itself, not by a callee: RFC 9457 problem details with a stable
// code, and the RFC 9209 error type that Proxy-Status shows. It crosses the pipe by its code.
type Problem struct {
	Code   string // stable, one of the codes below
	Detail string // for people; no secrets, no bodies
	// RetryAfter is in seconds; 0: none.
	RetryAfter int
	// Far says that the other site found it, Stage how far the exchange had got then. Who waits for a call is told them;
	// with what comes out of the store they are zero.
	Far   bool
	Stage string
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// Problemf makes a problem; code must be one of the codes below.
func Problemf(code, format string, args ...any) *Problem {
	return &Problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// state is that of an exchange which ends with the problem.
func (p *Problem) state() string {
	switch p.Code {
	case CodeUncertain:
		return StateUncertain
	case CodeCanceled:
		return StateCanceled
	}
	return StateFailed
}

// Codes of problems. A code is never given a new meaning.
const (
	CodeNoRoute         = "no-route"
	CodeNoPeer          = "no-such-peer"
	CodePeerSilent      = "peer-silent"
	CodeOutboxFull      = "outbox-full"
	CodeStoreFailed     = "store-failed"
	CodeTooLarge        = "body-too-large"
	CodeResponseLarge   = "response-too-large"
	CodeFieldsLarge     = "fields-too-large"
	CodeBadRequest      = "bad-request"
	CodeMisdirected     = "misdirected"
	CodeUpgrade         = "upgrade-refused"
	CodeLoop            = "loop"
	CodeDenied          = "request-denied"
	CodeNoUpstream      = "no-such-upstream"
	CodeCalleeRefused   = "callee-refused"
	CodeCalleeDNS       = "callee-dns"
	CodeCalleeTLS       = "callee-tls"
	CodeCalleeTimeout   = "callee-timeout"
	CodeCalleeBroken    = "callee-broken"
	CodeAddressRefused  = "address-refused"
	CodeUncertain       = "outcome-uncertain"
	CodeDeadline        = "deadline-passed"
	CodeCanceled        = "canceled"
	CodeTimeoutAck      = "not-arrived"
	CodeTimeoutResponse = "not-answered"
	CodeUnsupported     = "unsupported"
	CodePoison          = "set-aside"
	CodeInternal        = "internal"
	CodeUnknownExchange = "unknown-exchange"
	CodePending         = "pending"
	CodeGone            = "gone"
	CodeCalleeAway      = "callee-away"
	CodeCalleeLogin     = "callee-login"
	CodeProxyAuth       = "proxy-login-needed"
	CodeAuth            = "login-needed"
	CodeCallerDenied    = "caller-denied"
	CodeConnections     = "too-many-connections"
	CodeCrossOrigin     = "cross-origin"
	CodeKeyReused       = "key-reused"
	CodeKeyBusy         = "key-busy"
	CodeNameless        = "caller-unknown"
	CodeRate            = "rate-limited"
	CodeCallback        = "callback-refused"
	CodeNotKept         = "answers-not-kept"
	CodeChunksGone      = "chunks-gone"
	CodeSeal            = "seal-mismatch"
	CodeDigest          = "digest-mismatch"
	CodeDataMap         = "data-map-wrong"
	CodeDataMissing     = "data-missing"
	CodeDataFull        = "data-quota"
	CodeStorageFull     = "storage-full"
	CodeChunkQuota      = "chunk-quota"
	CodeRange           = "range-outside"
	CodeMethod          = "method-not-allowed"
	CodeNotFound        = "not-found"
	CodeScope           = "scope-missing"
	CodeToken           = "token-needed"
	CodeMediaType       = "media-type"
	CodeNotPinned       = "data-not-kept"
	CodePrecondition    = "precondition-failed"
	CodeUploadOffset    = "upload-offset"
	CodeUploadDone      = "upload-complete"
	CodeUploadLength    = "upload-length"
	CodeUploadGone      = "upload-gone"
)

// Kind is what every problem of one code has in common.
type Kind struct {
	Status     int
	Title      string
	ProxyError string // RFC 9209 section 2.3; "" where no proxy error fits
	Mend       string // what the reader can do
}

// Kinds explains every code.
var Kinds = map[string]Kind{
	CodeNoRoute:         {404, "No route for this request", "destination_not_found", "Add a route for this host and path at the ingress."},
	CodeNoPeer:          {500, "The route names a peer that this site does not know", "destination_not_found", "Check peers in the config and run hoft keys list."},
	CodePeerSilent:      {503, "The other site is silent", "destination_unavailable", "Run hoft status; check the mover between the folders."},
	CodeOutboxFull:      {503, "Too much is waiting for the other site", "connection_limit_reached", "Try again later; run hoft status to see what waits."},
	CodeStoreFailed:     {503, "The site cannot store the call", "proxy_internal_error", "Check free disk space and the state folder, then try again."},
	CodeTooLarge:        {413, "The request body is too large", "http_request_error", "Send a smaller body or raise the route's limit."},
	CodeResponseLarge:   {502, "The response body is too large", "http_response_body_size", "Ask for less, or raise the limit at the egress."},
	CodeFieldsLarge:     {431, "The header fields are too large", "http_request_error", "Send fewer or shorter fields."},
	CodeBadRequest:      {400, "The request is malformed", "http_request_error", "See the detail."},
	CodeMisdirected:     {421, "This host is not served here", "http_request_error", "Use a host name that the ingress serves; see ingress.hosts."},
	CodeUpgrade:         {501, "Upgrade and CONNECT cannot cross a file pipe", "http_upgrade_failed", "Use plain requests."},
	CodeLoop:            {502, "The call came back to a site that it already passed", "proxy_loop_detected", "Check the routes and upstreams of both sites for a circle."},
	CodeDenied:          {403, "The other site does not allow this request", "http_request_denied", "Ask the operator of the other site to allow it in egress.upstreams."},
	CodeNoUpstream:      {502, "The other site has no such upstream", "destination_not_found", "Compare the route's upstream with egress.upstreams of the other site."},
	CodeCalleeRefused:   {502, "The server refused the connection", "connection_refused", "Check that the server behind the other site runs."},
	CodeCalleeDNS:       {502, "The server's name was not found", "dns_error", "Check the upstream's url at the other site."},
	CodeCalleeTLS:       {502, "The server's certificate was not accepted", "tls_certificate_error", "Check the certificate or the upstream's CA file."},
	CodeCalleeTimeout:   {504, "The server did not answer in time", "http_response_timeout", "Raise the upstream's timeout or look at the server."},
	CodeCalleeBroken:    {502, "The server's answer was broken off or malformed", "http_protocol_error", "Look at the server's log."},
	CodeAddressRefused:  {403, "The server's address is not allowed", "destination_ip_prohibited", "See the upstream's addresses at the other site."},
	CodeUncertain:       {502, "It is not known whether the server acted", "connection_terminated", "The server may have acted. Ask it before you send the request again."},
	CodeDeadline:        {504, "The deadline passed before the call was made", "connection_timeout", "The server was not called. Send the request again if it is still wanted."},
	CodeCanceled:        {499, "The call was canceled", "", ""},
	CodeTimeoutAck:      {504, "The request has not arrived at the other site yet", "connection_timeout", "It goes on: ask the status link later."},
	CodeTimeoutResponse: {504, "The other site has not answered yet", "http_response_timeout", "It goes on: ask the status link later."},
	CodeUnsupported:     {502, "The other site runs a version that cannot do this", "proxy_internal_error", "Update the other site."},
	CodePoison:          {500, "The message was set aside after it failed three times", "proxy_internal_error", "Report this with the log of the site that set it aside."},
	CodeInternal:        {500, "Internal error", "proxy_internal_error", "Report this with the site's log."},
	CodeUnknownExchange: {404, "No such exchange", "", "Check the id; answers are deleted after results.ttl."},
	CodePending:         {404, "Not finished yet", "", "Ask again later."},
	CodeCalleeAway:      {503, "The server failed several times in a row and is left alone", "destination_unavailable", "Try again later; look at the server, and at hoft status of the other site."},
	CodeCalleeLogin:     {503, "The other site has nothing valid to show the server", "destination_unavailable", "The server was not called. Run hoft status at the other site: it says why no token could be got."},
	CodeProxyAuth:       {407, "It is not known who calls", "http_request_denied", "Send Proxy-Authorization with the token or password that the ingress's operator gave you."},
	CodeAuth:            {401, "It is not known who calls", "http_request_denied", "Send the token or password that the ingress's operator gave you."},
	CodeCallerDenied:    {403, "This caller may not use the route", "http_request_denied", "Ask the ingress's operator to add the caller to the route."},
	CodeConnections:     {429, "The caller holds too many connections", "connection_limit_reached", "Use fewer connections at once; see ingress.per_caller."},
	CodeCrossOrigin:     {403, "A page of another site sent this request", "", "Send it from a page of the same origin, or from a program."},
	CodeKeyReused:       {422, "The Idempotency-Key was used for another request", "http_request_error", "Use a new key for a new request."},
	CodeKeyBusy:         {409, "A call with this Idempotency-Key is under way", "http_request_error", "Wait for the first call, or leave out Prefer: handling=strict to be joined to it."},
	CodeNameless:        {403, "Only a caller with a name may ask for this", "", "Ask for one exchange by its id, or have the operator name the callers."},
	CodeRate:            {429, "Too many calls", "connection_limit_reached", "Wait as long as Retry-After says; see limits in the config of the ingress."},
	CodeCallback:        {403, "The callback's address is not allowed", "", "Ask the ingress's operator to add it to callbacks.allow."},
	CodeNotKept:         {400, "This route keeps no answers", "http_request_error", "Hold the connection instead of asking for a callback."},
	CodeSeal:            {502, "The content did not come in the form that the link demands", "http_protocol_error", "One of the two sites was set to the other seal while the call was under way, or runs with another one. Both must have the same seal for each other: the operators have to look. Send the request again afterwards if it is safe to do so."},
	CodeChunksGone:      {502, "A part of the body was lost on its way", "connection_terminated", "The server was not called, or its answer is incomplete. Send the request again if it is safe to do so."},
	CodeDigest:          {400, "The body does not have its digest", "http_request_error", "The body changed on its way to hoft, or Content-Digest is of something else. Send it again."},
	CodeDataMap:         {400, "The data map is malformed", "", "Send the map as it was given: its JSON in base64url or base64, or the JSON itself as the body of QUERY."},
	CodeDataMissing:     {404, "Some of the data is not here", "", "Its chunks were evicted, or lie at another site: look at the map's origin, or store the data again."},
	CodeDataFull:        {507, "No more data may be kept", "", "DELETE maps that are not needed, store with ?ttl=, or raise data.max_bytes."},
	CodeStorageFull:     {507, "The chunk store is full", "proxy_internal_error", "Wait until exchanges have ended, DELETE data that is not needed, or raise chunks.max_bytes."},
	CodeChunkQuota:      {507, "The body takes more of the chunk store than it may", "connection_limit_reached", "Send less at a time, or raise chunks.exchange_bytes or chunks.peer_bytes at the site that refused it."},
	CodeRange:           {416, "The range lies outside of the data", "", "Ask for the size first (HEAD)."},
	CodeMethod:          {405, "This method is not known here", "", "See Allow."},
	CodeNotFound:        {404, "There is nothing here", "", "See /.hoft/v1/openapi.yaml for what there is."},
	CodeScope:           {403, "The token may not do this", "", "Use a token with the scope read or write, as data.tokens_file gives it."},
	CodeToken:           {401, "It is not known who asks", "", "Send Authorization: Bearer TOKEN with a token of data.tokens_file."},
	CodeMediaType:       {415, "The content is of another type than is expected here", "", "See the detail."},
	CodeNotPinned:       {404, "No such data is kept for this token", "", "It was released before, its time was over, or another token keeps it."},
	CodePrecondition:    {412, "A condition of the request is not fulfilled", "", "See If-Match and If-None-Match."},
	CodeUploadOffset:    {409, "The upload is at another offset", "", "Go on at Upload-Offset of this answer."},
	CodeUploadDone:      {400, "The upload is complete", "", "Nothing can be added. HEAD of the upload gives its map in Safe-Data-Map."},
	CodeUploadLength:    {400, "The lengths given for the upload differ", "", "Give one length for the whole upload, or none."},
	CodeUploadGone:      {404, "There is no such upload", "", "It ended, was deleted, or nobody went on with it for data.upload_ttl. Begin a new one."},
	CodeGone:            {410, "The answer is no longer stored", "", "Send the request again if it is safe to do so."},
}
