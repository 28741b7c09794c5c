package main

import "strings"

// row is one request. Statuses are "200", or "403 request-denied" with the code of a problem; several answers to one request are joined by ", ".
type row struct {
	what    string
	request string // HOST stands for the address, TOKEN for a caller's credentials, BODY:n for n bytes
	want    string // by hoft
	direct  string // directly; "": hoft alone can answer it
	brief   string // how the request is shown; "": its first line and telling fields
}

// shown is the request in one line.
func (r row) shown() string {
	if r.brief != "" {
		return r.brief
	}
	head, _, _ := strings.Cut(r.request, "\r\n\r\n")
	var parts []string
	for i, line := range strings.Split(head, "\r\n") {
		switch {
		case i == 0:
			parts = append(parts, strings.TrimSuffix(line, " HTTP/1.1"))
		case line == "Host: HOST", line == "TOKEN", strings.HasPrefix(line, "Connection: close"):
		default:
			parts = append(parts, line)
		}
	}
	return strings.ReplaceAll(strings.Join(parts, " · "), "|", `\|`)
}

// req is a request with a caller's credentials.
func req(line string, fields ...string) string {
	return line + " HTTP/1.1\r\nHost: HOST\r\nTOKEN\r\n" + strings.Join(append(fields, "Connection: close"), "\r\n") + "\r\n\r\n"
}

// same is a row whose answer is the callee's own.
func same(what, status, request string) row {
	return row{what: what, request: request, want: status, direct: status}
}

// guard is a row that hoft answers itself.
func guard(what, status, request string) row { return row{what: what, request: request, want: status} }

func rows() []row {
	return append(features(), append(ingressGuards(), egressGuards()...)...)
}

func features() []row {
	return []row{
		same("any method", "200", req("PROPFIND /echo")),
		same("raw path and query", "200", req("GET /echo/a%2Fb;c=d//e?x=%20&y=;")),
		same("empty query", "200", req("GET /echo?")),
		same("`OPTIONS *`", "200", req("OPTIONS *")),
		same("absolute-form", "200", "GET http://HOST/echo HTTP/1.1\r\nHost: other\r\nTOKEN\r\nConnection: close\r\n\r\n"),
		{what: "forward proxy, route by host", request: "GET http://proxied.example/echo HTTP/1.1\r\nHost: proxied.example\r\nTOKEN\r\nConnection: close\r\n\r\n", want: "200"},
		same("body with a length", "200", req("POST /echo", "Content-Length: 2")+"ab"),
		same("body in chunks, trailer", "200", req("PUT /trailers", "Transfer-Encoding: chunked", "Trailer: X-Sum")+"2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n"),
		same("`Expect: 100-continue`", "100, 200", req("PUT /echo", "Expect: 100-continue", "Content-Length: 2")+"ab"),
		same("HEAD", "200", req("HEAD /echo")),
		same("204", "204", req("GET /status/204")),
		same("conditional request", "304", req("GET /file", `If-None-Match: "e1"`)),
		same("range", "206", req("GET /file", "Range: bytes=2-4")),
		same("unmet range", "416", req("GET /file", "Range: bytes=99-")),
		same("condition that fails", "412", req("PUT /file", `If-Match: "other"`, "Content-Length: 0")),
		same("redirect, passed on", "302", req("GET /redirect")),
		same("cookies", "200", req("GET /cookies", "Cookie: a=b; c=d")),
		same("content coding as it is", "200", req("GET /coded", "Accept-Encoding: gzip")),
		same("answer in chunks, trailers", "200", req("GET /chunks", "TE: trailers")),
		same("event stream", "200", req("GET /events", "Accept: text/event-stream")),
		same("HTTP/1.0", "200", "GET /echo HTTP/1.0\r\nHost: HOST\r\nTOKEN\r\n\r\n"),
		same("callee's 404", "404", req("GET /status/404")),
		same("callee's 500", "500", req("GET /status/500")),
		same("answer broken off", "broken", req("GET /broken")),
	}
}

func ingressGuards() []row {
	anonymous := func(line string, fields ...string) string {
		return strings.Replace(req(line, fields...), "TOKEN\r\n", "", 1)
	}
	return []row{
		guard("CONNECT", "501 upgrade-refused", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"),
		guard("upgrade", "501 upgrade-refused", req("GET /echo", "Upgrade: websocket", "Connection: Upgrade")),
		guard("foreign host", "421 misdirected", "GET /echo HTTP/1.1\r\nHost: evil.example\r\nTOKEN\r\nConnection: close\r\n\r\n"),
		guard("no route", "404 no-route", "GET /echo HTTP/1.1\r\nHost: routeless.example\r\nTOKEN\r\nConnection: close\r\n\r\n"),
		guard("no credentials", "407 proxy-login-needed", anonymous("GET /echo")),
		guard("wrong credentials", "407 proxy-login-needed", anonymous("GET /echo", "Proxy-Authorization: Bearer wrong")),
		guard("no credentials, upload not asked for", "407 proxy-login-needed", anonymous("PUT /echo", "Expect: 100-continue", "Content-Length: 9")),
		guard("route of another caller", "403 caller-denied", req("GET /private")),
		guard("own resource of another origin", "403 cross-origin", req("DELETE /.hoft/v1/exchanges/x", "Origin: http://evil.example")),
		guard("body too large, upload not asked for", "413 body-too-large", req("PUT /small", "Expect: 100-continue", "Content-Length: 2000")),
		{what: "body too large, in chunks", request: req("PUT /small", "Transfer-Encoding: chunked") + "7d0\r\nBODY:2000\r\n0\r\n\r\n", want: "413 body-too-large"},
		{what: "head too large", request: req("GET /echo", "X: BODY:50000"), want: "431 fields-too-large", brief: "GET /echo · X: 50,000 bytes"},
		{what: "too many fields", request: req("GET /echo", strings.Repeat("X: y\r\n", 299)+"X: y"), want: "431 fields-too-large", brief: "GET /echo · X: y, 300 times"},
		guard("loop", "502 loop", req("GET /echo", "Via: 1.1 site-a")),
		guard("two different lengths", "400", req("PUT /echo", "Content-Length: 1", "Content-Length: 2")+"ab"),
		guard("space before the colon", "400", req("GET /echo", "X : y")),
		guard("userinfo in the target", "400 bad-request", "GET http://u:p@HOST/echo HTTP/1.1\r\nHost: HOST\r\nTOKEN\r\nConnection: close\r\n\r\n"),
		guard("fragment in the target", "400 bad-request", req("GET /echo#x")),
		guard("`Max-Forwards: 0`", "200", req("TRACE /echo", "Max-Forwards: 0")),
	}
}

func egressGuards() []row {
	return []row{
		guard("method that is not allowed", "403 request-denied", req("DELETE /narrow/open/x")),
		guard("path that is not allowed", "403 request-denied", req("GET /narrow/closed")),
		guard("path that only looks allowed", "400 bad-request", req("GET /narrow/open/../closed")),
		guard("the same, encoded", "400 bad-request", req("GET /narrow/open/%2e%2e/closed")),
		guard("encoded slash that changes the match", "400 bad-request", req("GET /narrow/open%2F..%2Fclosed")),
		guard("upstream that is not there", "502 no-such-upstream", req("GET /nowhere")),
		guard("metadata address", "403 address-refused", req("GET /metadata")),
		guard("address outside of `addresses`", "403 address-refused", req("GET /elsewhere")),
		guard("own listener", "403 address-refused", req("GET /self")),
		guard("name that does not resolve", "502 callee-dns", req("GET /unnamed")),
		guard("server that refuses", "502 callee-refused", req("GET /dead")),
		guard("server that failed several times", "503 callee-away", req("GET /dead")),
		guard("certificate of nobody", "502 callee-tls", req("GET /strange")),
		guard("no answer in time", "504 callee-timeout", req("GET /slow/sleep")),
		guard("answer too large", "502 response-too-large", req("GET /slow/large")),
		guard("answer with two lengths", "502 callee-broken", req("GET /hostile")),
		guard("no token for the server", "503 callee-login", req("GET /login")),
		guard("TRACE where credentials would show", "403 request-denied", req("TRACE /secret/echo")),
	}
}
