#!/usr/bin/env bash
# HTTP through two sites, with curl: each answer is compared with the one of the callee called directly, and each
# way to fail with what docs and problem codes promise.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee

start_callee
dead=$(free_port)
route_keys=("wait: 50s")
more_routes=("path: /short, strip_prefix: /short, peer: site-b, upstream: callee, wait: 3s"
  "path: /single, strip_prefix: /single, peer: site-b, upstream: single"
  "path: /soon, strip_prefix: /soon, peer: site-b, upstream: single, deadline: 5s"
  "path: /small, strip_prefix: /small, peer: site-b, upstream: callee, max_body: 1KiB"
  "path: /read, strip_prefix: /read, peer: site-b, upstream: reader"
  "path: /dead, peer: site-b, upstream: dead"
  "path: /nowhere, peer: site-b, upstream: nowhere"
  "host: only.example, path: /hosted, peer: site-b, upstream: callee")
more_upstreams=("name: reader, url: 'http://$callee', peers: [site-a], methods: [GET, HEAD], paths: [/reflect/open/**]"
  "name: single, url: 'http://$callee', peers: [site-a], concurrency: 1"
  "name: dead, url: 'http://127.0.0.1:$dead', peers: [site-a]")
ingress_keys=("hosts: [only.example]" "max_body: 16MiB")
upstream_keys=("max_response: 16MiB")
sites
# Without the catch-all nothing covers /unrouted; the first route is for what the callee has.
sed -i 's|^    - path: /$|    - path: /all\n      strip_prefix: /all|' "$work/a.yaml"
serve b a
direct=http://$callee
via=$front/all

# A client that does not wait for the 100 that it asked for sends into a connection that a refusal has closed.
curl=(curl -sS --max-time 60 --expect100-timeout 60 --path-as-is)
call() { "${curl[@]}" "$@"; }
code() { call -o /dev/null -w '%{http_code}' "$@"; }
# plain leaves out of a reflection what every gateway adds, and the host.
plain() { grep -avE '^(Via|Forwarded|X-Forwarded-[A-Za-z]+|Traceparent|Host|Expect):' || true; }
# same WHAT PATH CURL-ARGS...: the callee saw the same call on both ways.
same() {
  local what=$1 path=$2
  shift 2
  is "$what" "$(call "$@" "$via$path" | plain)" "$(call "$@" "$direct$path" | plain)"
}
# alike WHAT PATH CURL-ARGS...: status, end-to-end fields and body of the answer are the same on both ways.
alike() {
  local what=$1 path=$2
  shift 2
  call -i "$@" "$via$path" | tr -d '\r' | answer >"$work/via.txt"
  call -i "$@" "$direct$path" | tr -d '\r' | answer >"$work/direct.txt"
  ok "$what" diff -a "$work/via.txt" "$work/direct.txt"
}
# The order of different fields means nothing (RFC 9110 section 5.3), that of equal ones does.
answer() {
  sed '/^Vary: Prefer$/d; /^\(Date\|Via\|Proxy-Status\|Server-Timing\|Hoft-Exchange\|Connection\|X-Hop\|Transfer-Encoding\): /d; s|^\(Set-Cookie: .*Path=/\)all|\1|' |
    awk '!body && /^$/ { body = 1; close(sort) } body { print; next } NR == 1 { print; fflush(); next } { print | sort }' sort='sort -s -t: -k1,1'
}

for m in GET DELETE OPTIONS PROPFIND M-SEARCH; do same "method $m" /reflect/m -X "$m"; done
for m in POST PUT PATCH QUERY DELETE X-OWN; do
  same "method $m with a body" /reflect/m -X "$m" --data-binary "some body"
done
for m in POST PUT PATCH; do same "method $m with a body of no bytes" /reflect/m -X "$m" -d ''; done
same "raw path: %2F, ;, doubled slashes, dots, lower-case escapes" "/reflect/a%2Fb;v=1//c/%7euser/../d%2e/é"
same "raw query: ?, empty, plus, brackets, escapes" "/reflect/q?a=1&a=2&&b+c=%20?%2f[x]=|" -g
same "an empty query keeps its mark" "/reflect/q?"
same "repeated fields keep their order" /reflect/f -H 'X-Many: one' -H 'X-Many: two, three' -H 'X-Many;' -H 'x-CASE: Kept Value'
same "a field value of bytes that are no UTF-8" /reflect/f -H "X-Bytes: $(printf 'caf\xe9')"
same "Authorization and cookies" /reflect/f -u user:secret -H 'Cookie: a=1; b=2'
same "Expect: 100-continue is answered on the spot" /reflect/e -X POST -H 'Expect: 100-continue' --data-binary @"$work/bin/callee"
gzip -c "$e2e/curl.sh" >"$work/gz"
same "an encoded body is left as it is" /reflect/e -X PUT -H 'Content-Encoding: gzip' --data-binary @"$work/gz"
same "HTTP/1.0" /reflect/e --http1.0
reflection=$(call -H 'Connection: X-Secret-Hop' -H 'X-Secret-Hop: 1' -H 'TE: gzip' -H 'Proxy-Authorization: Basic eDp5' "$via/reflect/v")
is "Via names both sites" "$(sed -n 's/^Via: //p' <<<"$reflection" | paste -sd,)" "1.1 site-a,1.1 site-b"
has "Forwarded names the caller" "$reflection" '^Forwarded: for=127\.0\.0\.1'
is "hop-by-hop fields and what Connection names stop" "$(sed -n '/^\(X-Secret-Hop\|Connection\|Te\|Proxy-Authorization\):/p' <<<"$reflection")" ""

alike "repeated and odd fields of an answer" /fields
is "cookies of the callee are for its path at the ingress" "$(call -i "$via/fields" | tr -d '\r' | grep -a ^Set-Cookie)" \
  $'Set-Cookie: a=1; Path=/all\nSet-Cookie: b=2; Path=/all; HttpOnly'
alike "HEAD has the length and no body" /bytes/12345 -I
for s in 200 201 204 206 301 304 400 401 404 409 418 500 503; do alike "status $s" "/status/$s"; done
alike "HEAD of a 404" /status/404 -I
alike "an answer without a length" "/bytes/70000?chunked" --output -
is "trailers" "$(call --raw "$via/trailers" | tr -d '\r' | grep X-Sum)" "$(call --raw "$direct/trailers" | tr -d '\r' | grep X-Sum)"
is "an answer broken off is broken off" "$(call -o /dev/null -w '%{http_code}' "$via/cut" 2>/dev/null || echo ", curl $?")" "200, curl 18"
has "a redirect leads back through the ingress" "$(call -i "$via/redirect")" "^Location: $front/all/reflect/moved\\?x=1"
head=$(call -sD - -o /dev/null "$via/status/404")
has "Proxy-Status tells the callee's 404" "$head" '^Proxy-Status:.*received-status=404'
has "the answer names its exchange" "$head" '^Hoft-Exchange: [0-9a-f-]{36}'

# Bodies, both ways at once. 16 MiB is the limit; one byte more is refused before anything crosses.
for n in 0 1 1024 16384 16385 65536 65537 1048576 5000000 16777216; do
  head -c "$n" /dev/urandom >"$work/body"
  call -o "$work/back" -X POST -H 'Content-Type: application/octet-stream' --data-binary @"$work/body" "$via/echo"
  ok "a body of $n random bytes, there and back" cmp "$work/body" "$work/back"
done
call -o "$work/back" -T - -H 'Content-Type: application/octet-stream' "$via/echo" <"$work/body"
ok "16 MiB without a length, there and back" cmp "$work/body" "$work/back"
head -c 3000000 /dev/zero | tr '\0' 'a' >"$work/body"
call -o "$work/back" -X POST --data-binary @"$work/body" "$via/echo"
ok "a body that shrinks well" cmp "$work/body" "$work/back"

problem() { # WHAT STATUS CODE CURL-ARGS...: hoft's own answer, as problem details
  local what=$1 status=$2 slug=$3 body
  shift 3
  body=$(call -w '\n%{http_code} %{content_type}' "$@")
  is "$what: $status" "$(tail -n 1 <<<"$body")" "$status application/problem+json"
  is "$what: $slug" "$(sed '$d' <<<"$body" | jq -r .code)" "$slug"
}
head -c 16777217 /dev/zero >"$work/body"
problem "a body without its digest" 400 digest-mismatch -H 'Content-Digest: sha-256=:AAAAqy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:' --data-binary 'x' "$via/echo"
problem "a body above the limit" 413 body-too-large --data-binary @"$work/body" "$via/echo"
problem "the same without a length" 413 body-too-large -T - "$via/echo" <"$work/body"
problem "a body above the route's limit" 413 body-too-large --data-binary "$(printf 'x%.0s' {1..1025})" "$front/small/echo"
is "a body at the route's limit" "$(code --data-binary "$(printf 'x%.0s' {1..1024})" "$front/small/echo")" 200
problem "an answer above the limit" 502 response-too-large "$via/bytes/16777217"
problem "no route" 404 no-route "$front/unrouted"
problem "a host that is not served" 421 misdirected -H 'Host: other.example' "$via/reflect/x"
problem "a route of another host" 404 no-route "$front/hosted"
is "an allowed path" "$(code "$front/read/reflect/open/x")" 200
problem "a denied method" 403 request-denied -X POST "$front/read/reflect/open/x"
problem "a denied path" 403 request-denied "$front/read/reflect/closed"
problem "a path that only looks allowed" 400 bad-request "$front/read/reflect/open/../closed"
problem "an upstream that the other site has not" 502 no-such-upstream "$front/nowhere"
problem "a callee that refuses" 502 callee-refused "$front/dead/x"
problem "an upgrade" 501 upgrade-refused -H 'Connection: Upgrade' -H 'Upgrade: websocket' "$via/reflect/u"
problem "a loop" 502 loop -H 'Via: 1.1 site-a' "$via/reflect/l"
has "the problem's type explains it" "$(call -H 'Accept: text/plain' "$front/.hoft/problems/callee-refused")" 'refused'
problem "an unknown exchange" 404 unknown-exchange "$front/.hoft/v1/exchanges/01920000-0000-7000-8000-000000000000"

# What is not accepted leaves nothing; what is accepted goes on without its caller.
known() { sqlite3 -readonly "$work/a/hoft.db" "select count(*) from exchanges where side = 0 and target = '$1' and state like '${2:-%}'"; }
known_as() { [[ $(known "$1" "$2") == 1 ]]; }
# breaks_off CURL-ARGS...: the caller leaves in the middle of an upload that the site has asked for, so that it reads.
breaks_off() {
  "${curl[@]}" -v -o /dev/null --limit-rate 1000 -H 'Expect: 100-continue' "$@" 2>"$work/broken.txt" & local caller=$!
  eventually 20 grep -q '100 Continue' "$work/broken.txt" && kill "$caller" && ! wait "$caller"
}
# leaves ID CURL-ARGS...: the caller leaves when its call is under way. (A function in the background is a shell that curl would outlive.)
leaves() {
  "${curl[@]}" -o /dev/null "${@:2}" 2>/dev/null & local caller=$!
  eventually 20 times "$1" 1 && kill "$caller" && ! wait "$caller"
}
head -c 100000 /dev/zero >"$work/body"
ok "an upload that its caller breaks off" breaks_off -T "$work/body" "$via/job/broken"
ended() { grep -q '"code":"caller-left"' "$work/a.log"; }
ok "the site notices" eventually 10 ended
is "and it was never accepted" "$(known /job/broken)" 0
ok "a call that its caller leaves" leaves left -X POST -d x "$via/gate/left"
touch "$work/gates/left"
ok "its call is made and its answer kept" eventually 20 known_as /gate/left succeeded
is "once" "$(executed left)" 1

# The wait limit: 504 with the status link, where the answer appears later.
tries=0
overlong() {
  slow=slow-$((++tries)) # one whose file, or the word that it came, takes longer than the wait has not arrived; another will
  call -D "$work/head" -o "$work/late.json" -X POST --data-binary "slow" "$front/short/gate/$slow"
  [[ $(jq -r .code "$work/late.json") == not-answered ]]
}
ok "the wait is over: not answered" eventually 60 overlong
has "the wait is over: 504" "$(<"$work/head")" '^HTTP/1.1 504'
has "the wait is over: Proxy-Status" "$(<"$work/head")" '^Proxy-Status:.*http_response_timeout'
link=$(sed -n 's/^Link: <\(.*\)>; rel="status".*/\1/p' "$work/head" | tr -d '\r')
pending() { [[ $(call "$front$link" | jq -r '.status, .stage, .done' | paste -sd' ') == "Running calling false" ]]; }
ok "the status link, pending" eventually 20 pending
is "the answer, pending" "$(code "$front$link/response")" 202
touch "$work/gates/$slow"
done_now() { [[ $(call "$front$link" | jq .done) == true ]]; }
ok "the exchange ends" eventually 20 done_now
is "the status link, ended" "$(call "$front$link" | jq -r '.status, .stage, .response.status' | paste -sd' ')" "Succeeded answered 200"
is "the answer, by the link" "$(call "$front$link/response")" "through $slow"
is "executed" "$(executed "$slow")" 1
has "Prefer: wait=1 shortens the wait" "$(call -i -H 'Prefer: wait=1' "$via/gate/preferred")" '^HTTP/1.1 504'
touch "$work/gates/preferred"

# A deadline: not begun after it, however long the callee keeps others waiting.
call -o "$work/first.txt" -X POST -d x "$front/single/gate/first" & first=$!
ok "a call takes the only slot" eventually 20 times first 1
call -w '%{http_code}' -o "$work/overdue.json" -X POST -d x "$front/soon/job/overdue" >"$work/overdue.code" & overdue=$!
overdue_now() { [[ $(sqlite3 -readonly "$work/b/hoft.db" "select count(*) from exchanges where target = '/job/overdue' and deadline > 0 and deadline < strftime('%s', 'now') * 1000") == 1 ]]; }
ok "another waits for it beyond its deadline" eventually 20 overdue_now
touch "$work/gates/first"
wait "$first" "$overdue"
is "the one that was in time is answered" "$(<"$work/first.txt")" "through first"
is "the other is not made any more" "$(<"$work/overdue.code") $(jq -r .code "$work/overdue.json") $(executed overdue)" "504 deadline-passed 0"

# Uncertain: the egress dies in the middle of a call that must not be made twice; one that may be is made again.
call -D "$work/post.head" -o "$work/post.json" -X POST --data-binary "once" "$via/gate/once" & post=$!
call -o "$work/get.txt" "$via/gate/again" & get=$!
ok "both calls are under way" eventually 20 times once 1
ok "both calls are under way, too" eventually 20 times again 1
crash b
touch "$work/gates/once" "$work/gates/again"
serve b
wait "$post" "$get"
has "a POST under way when the egress died: 502" "$(<"$work/post.head")" '^HTTP/1.1 502'
is "its code" "$(jq -r .code "$work/post.json")" outcome-uncertain
has "its Proxy-Status" "$(<"$work/post.head")" '^Proxy-Status:.*connection_terminated'
is "it was not made again" "$(executed once)" 1
is "a GET under way is made again" "$(<"$work/get.txt") $(executed again)" "through again 2"

# A silent peer refuses nothing: the call is queued, and answered when the peer is back.
end b
call -D "$work/head" -o "$work/silent.json" -X POST --data-binary q "$front/short/job/queued"
is "a silent peer: queued, 504" "$(head -n 1 "$work/head" | cut -d' ' -f 2) $(jq -r .code "$work/silent.json")" "504 not-arrived"
link=$(sed -n 's/^Link: <\(.*\)>; rel="status".*/\1/p' "$work/head" | tr -d '\r')
serve b
ok "the queued call ends when the peer is back" eventually 20 done_now
is "it was executed" "$(executed queued)" 1
finish
