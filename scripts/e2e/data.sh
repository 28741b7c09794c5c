#!/usr/bin/env bash
# The Direct Data API with curl alone: every way to store, read, change, keep and release data, every error, uploads that go on
# after a break and after the site was killed, tokens and TLS. SIZE (MiB, default 200) is the size of the large data;
# SIZE=2048 is the long form. The pipe part is in data-pipe.sh.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq openssl=openssl sqlite3=sqlite3
build

size=${SIZE:-200}
port=$(free_port) secure=$(free_port)
api=http://127.0.0.1:$port
callee=127.0.0.1:1
a_keys=("chunks: {max_bytes: $((size * 8 + 500))MiB}"
  "data: {listen: 127.0.0.1:$port, tokens_file: ./tokens, max_bytes: $((size * 4 + 200))MiB, upload_ttl: 1h}")
b_keys=("data: {listen: 0.0.0.0:$secure, tokens_file: ./tokens, tls: {cert_file: ./tls.crt, key_file: ./tls.key}}")
log_level=trace
sites
one=one-$(openssl rand -hex 16) two=two-$(openssl rand -hex 16) viewer=viewer-$(openssl rand -hex 16)
printf '# who may do what\none read,write %s\ntwo read,write %s\nviewer read %s\n' "$one" "$two" "$viewer" >"$work/tokens"
chmod 600 "$work/tokens"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 2 \
  -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
chmod 600 "$work/tls.key"
serve a b

call() { curl -sS --max-time 600 -H "Authorization: Bearer ${token:-$one}" "$@"; }
# status ARGS... puts an answer into $work/head and $work/body and prints its status; field NAME prints a field of it.
status() { call -D "$work/head" -o "$work/body" -w '%{http_code}' "$@"; }
field() { tr -d '\r' <"$work/head" | sed -n "s/^$1: //Ip" | tail -n 1; }
store() { status -X POST -T "$1" "$api/data${2:-}" >/dev/null && field Safe-Data-Map; }
# problem WHAT STATUS CODE CURL-ARGS...: an error, as problem details
problem() {
  local what=$1 code=$2 slug=$3
  shift 3
  is "$what: $code $slug" "$(status "$@") $(field Content-Type) $(jq -r .code "$work/body")" "$code application/problem+json $slug"
}
# part FILE OFFSET BYTES prints bytes of a file.
part() { dd if="$1" iflag=skip_bytes,count_bytes bs=1M skip="$2" count="$3" status=none; }
reads() { call "$api/data/$1" | cmp - "$2"; }

say "--- storing and reading"
seq 1 200000 >"$work/text" # 1.3 MB
head -c $((5 << 20)) /dev/urandom >"$work/noise"
printf 'short' >"$work/short"
: >"$work/nothing"
for f in nothing short text noise; do
  is "POST /data of $f: 200" "$(status --data-binary @"$work/$f" "$api/data")" 200
  map=$(field Safe-Data-Map)
  is "the body is the map as JSON, not base64" "$(jq -r 'if type == "object" then keys[0] else "list of " + (.[0] | keys | join(" ")) end' "$work/body" | sed 's/alg //')" \
    "$([[ -s $work/$f && $f != short ]] && echo "list of hsh len num phs" || echo cnt)"
  is "the field is the same in base64url" "$(printf %s "$(<"$work/body")" | base64 -w0 | tr '+/' '-_' | tr -d =)" "$map"
  ok "GET gives it back" reads "$map" "$work/$f"
done
is "application/octet-stream" "$(status "$api/data/$map") $(field Content-Type)" "200 application/octet-stream"
map_noise=$map map=$(store "$work/text") text=$(stat -c %s "$work/text")
is "offset and length" "$(call "$api/data/$map?offset=10&length=5")" "$(part "$work/text" 10 5)"
is "offset alone, to the end" "$(call "$api/data/$map?offset=$((text - 7))")" 200000
is "length alone, from the beginning" "$(call "$api/data/$map?length=3")" "$(head -c 3 "$work/text")"
is "the map in Safe-Data-Map" "$(call -H "Safe-Data-Map: $map" "$api/data?length=3")" "$(head -c 3 "$work/text")"
is "the map in both, the same" "$(status -H "Safe-Data-Map: $map" "$api/data/$map")" 200
padded=$map$(printf '%*s' $(((4 - ${#map} % 4) % 4)) '' | tr ' ' =)
is "padded" "$(status "$api/data/$padded")" 200
is "base64 in place of base64url" "$(status -H "Safe-Data-Map: $(tr -- '-_' '+/' <<<"$padded")" "$api/data")" 200
ok "QUERY /data with the map as JSON" cmp "$work/text" <(call -X QUERY -H 'Content-Type: application/json' --data-binary @<(base64 -d <<<"$(tr -- '-_' '+/' <<<"$padded")") "$api/data")
ok "QUERY /data with the identifier" cmp "$work/text" <(call -X QUERY -H 'Content-Type: text/plain' -d "$map" "$api/data")

say "--- errors of naming and numbers"
problem "two maps" 400 bad-request -H "Safe-Data-Map: $map_noise" "$api/data/$map"
problem "no map to read" 400 bad-request "$api/data"
problem "offset without a map" 400 bad-request -d x "$api/data?offset=1"
problem "a malformed map" 400 data-map-wrong "$api/data/abc"
problem "a map of other JSON" 400 data-map-wrong "$api/data/$(base64 -w0 <<<'{"a":1}' | tr '+/' '-_')"
problem "a negative number" 400 bad-request "$api/data/$map?offset=-1"
problem "a number beyond 63 bits" 400 bad-request "$api/data/$map?offset=9223372036854775808"
problem "truncate beyond the size" 400 bad-request -X POST "$api/data/$map?truncate=$((text + 1))"
problem "Range with offset" 400 bad-request -r 0-1 "$api/data/$map?offset=1"
problem "Range with length" 400 bad-request -r 0-1 "$api/data/$map?length=1"
unknown=$(base64 -w0 <<<'[{"num":0,"hsh":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","phs":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","len":5000}]' | tr '+/' '-_')
problem "unknown data" 404 data-missing "$api/data/$unknown?peer=site-b" -H 'Prefer: wait=30'
printf 'X-Long: %s\n' "$(head -c 66000 /dev/zero | tr '\0' x)" >"$work/long"
problem "fields of more than 64 KiB" 431 fields-too-large -H @"$work/long" "$api/data/$map"
problem "an unknown method" 405 method-not-allowed -X PUT -d x "$api/data/$map"
has "each type explains itself" "$(call -H 'Accept: text/plain' "$api$(jq -r .type "$work/body")")" 405

say "--- changing"
edit() { status "${@:3}" -X POST --data-binary @"$1" "$api/data/$2"; }
printf 'CHANGED' >"$work/more"
{ head -c 1000 "$work/text"; cat "$work/more"; tail -c +1008 "$work/text"; } >"$work/want"
is "POST over the data" "$(edit "$work/more" "$map?offset=1000")" 200
ok "the complete new map" reads "$(field Safe-Data-Map)" "$work/want"
ok "the old map is still good" reads "$map" "$work/text"
cat "$work/text" "$work/more" >"$work/want"
is "POST without offset appends" "$(edit "$work/more" "$map")" 200
ok "behind the end" reads "$(field Safe-Data-Map)" "$work/want"
is "it is the map of the same bytes at once" "$(field Safe-Data-Map)" "$(store "$work/want")"
{ cat "$work/text"; head -c 5000 /dev/zero; cat "$work/more"; } >"$work/want"
is "POST behind the end" "$(edit "$work/more" "$map?offset=$((text + 5000))")" 200
ok "zeros in between" reads "$(field Safe-Data-Map)" "$work/want"
head -c 777777 "$work/text" >"$work/want"
is "truncate" "$(edit "$work/nothing" "$map?truncate=777777")" 200
ok "the beginning" reads "$(field Safe-Data-Map)" "$work/want"
chunks() { sqlite3 -readonly "$work/a/hoft.db" 'select count(*), sum(len) from chunks' -separator ' '; }
before=$(chunks)
edit "$work/more" "$map_noise?offset=2500000" >/dev/null
after=$(chunks)
ok "unchanged chunks are reused: $before, then $after" test $((${after% *} - ${before% *})) -le 4

say "--- HTTP"
etag=$(status -I "$api/data/$map" >/dev/null && field ETag)
is "HEAD: size" "$(field Content-Length)" "$text"
is "a strong ETag" "$(sed 's/".*"/quoted/' <<<"$etag")" quoted
is "it may be cached for ever" "$(field Cache-Control)" "private, max-age=31536000, immutable"
is "Accept-Ranges" "$(field Accept-Ranges)" bytes
is "Link to the description" "$(field Link)" '</.hoft/v1/openapi.yaml>; rel="service-desc"'
has "which is served" "$(curl -sS "$api/.hoft/v1/openapi.yaml")" '^openapi: 3\.1'
is "one range" "$(status -r 100-199 "$api/data/$map") $(field Content-Range)" "206 bytes 100-199/$text"
ok "is these bytes" cmp "$work/body" <(part "$work/text" 100 100)
is "a suffix" "$(status -r -7 "$api/data/$map") $(<"$work/body")" "206 200000"
is "several ranges" "$(status -r 0-1,1000-1001,-2 "$api/data/$map") $(field Content-Type | cut -d';' -f1) $(grep -ac '^Content-Range: ' "$work/body")" "206 multipart/byteranges 3"
is "If-Range, the same" "$(status -r 0-1 -H "If-Range: $etag" "$api/data/$map")" 206
is "If-Range, another" "$(status -r 0-1 -H 'If-Range: "x"' "$api/data/$map")" 200
is "If-None-Match" "$(status -H "If-None-Match: $etag" "$api/data/$map")" 304
problem "a range behind the end" 416 range-outside -r $((text + 5))- "$api/data/$map"
sum=$(openssl dgst -sha256 -binary "$work/text" | base64)
is "Want-Repr-Digest" "$(status -I -H 'Want-Repr-Digest: sha-256=1' "$api/data/$map") $(field Repr-Digest)" "200 sha-256=:$sum:"
is "Repr-Digest of an upload is checked" "$(status -H "Repr-Digest: sha-256=:$sum:" --data-binary @"$work/text" "$api/data")" 200
problem "and what differs is refused" 400 digest-mismatch -H "Content-Digest: sha-256=:$sum:" -d other "$api/data"

say "--- keeping and releasing"
token=$two is "another token keeps the same" "$(token=$two status --data-binary @"$work/noise" "$api/data")" 200
is "one's DELETE" "$(status -X DELETE "$api/data/$map_noise")" 204
problem "frees nobody else's, but its own" 404 data-not-kept -X DELETE "$api/data/$map_noise"
is "the other's is kept" "$(sqlite3 -readonly "$work/a/hoft.db" "select count(*) from data_pins where token = 'two'")" 1
is "with ?ttl=2 the end is told" "$(status --data-binary @"$work/noise" "$api/data?ttl=2" && field Hoft-Data-Until | wc -w)" "2006"
pinned() { sqlite3 -readonly "$work/a/hoft.db" "select count(*) from data_pins where expires > 0"; }
unpinned() { [[ $(pinned) == 0 ]]; }
ok "and it is released" eventually 60 unpinned
problem "more than may be kept" 507 data-quota -X POST --data-binary @<(printf x) "$api/data/$map?offset=$(((size * 4 + 200) << 20))"

say "--- access"
token=$viewer is "the scope read reads" "$(token=$viewer status "$api/data/$map")" 200
token=$viewer problem "and does not write" 403 scope-missing -d x "$api/data"
token=nobody-nobody-nobody problem "an unknown token" 401 token-needed "$api/data/$map"
third=third-$(openssl rand -hex 16)
printf 'third read %s\n' "$third" >>"$work/tokens"
third_may() { [[ $(token=$third status "$api/data/$map") == 200 ]]; }
ok "a token that is added counts without a restart" eventually 20 third_may
problem "a foreign Host" 421 misdirected -H 'Host: rebound.example' "$api/data/$map"
problem "a page of another origin" 403 cross-origin -H 'Origin: http://evil.example' -d x "$api/data"
is "TLS beyond loopback" "$(curl -sS --cacert "$work/tls.crt" -o /dev/null -w '%{http_code} %{http_version}' -H "Authorization: Bearer $one" --data-binary @"$work/text" "https://localhost:$secure/data")" "200 2"
sed 's/, tokens_file: .\/tokens//' "$work/b.yaml" >"$work/open.yaml"
has "no tokens beyond loopback: refused" "$(hoft config check --config "$work/open.yaml" 2>&1 || true)" 'anybody could store data'

say "--- uploads that go on: $size MiB"
head -c $((size << 20)) /dev/urandom >"$work/large"
large=$((size << 20)) half=$(((size << 20) / 2 + 12345))
is "OPTIONS tells of them" "$(status -X OPTIONS "$api/data") $(field Accept-Patch)" "204 application/partial-upload"
is "the first part: 201" "$(status -H 'Upload-Complete: ?0' -H "Upload-Length: $large" --data-binary @"$work/text" "$api/data")" 201
has "a 104 came first" "$(<"$work/head")" '^HTTP/1.1 104'
upload=$(field Location)
has "limits" "$(field Upload-Limit)" 'max-size=[0-9]+, max-append-size=[0-9]+, max-age=3600'
is "it can be given up" "$(status -X DELETE "$api$upload")" 204
problem "and is gone then" 404 upload-gone -X PATCH -H 'Content-Type: application/partial-upload' -H 'Upload-Offset: 0' -H 'Upload-Complete: ?0' -d x "$api$upload"
status -H 'Upload-Complete: ?0' -H "Upload-Length: $large" -d '' "$api/data" >/dev/null
upload=$(field Location)
state() { call -sI "$api$upload" | tr -d '\r' | sed -n "s/^$1: //Ip"; }
more() { # FROM BYTES COMPLETE CURL-ARGS...
  part "$work/large" "$1" "$2" |
    status -X PATCH -H 'Content-Type: application/partial-upload' -H "Upload-Offset: $1" -H "Upload-Complete: $3" "${@:4}" -T - "$api$upload"
}
# The site is killed while half of the upload comes, and the offset never goes back.
more 0 "$half" '?0' --limit-rate 40M >/dev/null 2>&1 & sender=$!
stored() { [[ $(sqlite3 -readonly "$work/a/hoft.db" "select coalesce(max(length(map)), 0) from data_uploads where complete = 0") -gt 20 ]]; }
ok "some of it is durable before its end" eventually 60 stored
crash a
wait "$sender" 2>/dev/null || true
serve a
offset=$(state Upload-Offset)
ok "after a kill and a restart $offset bytes are there" test "$offset" -ge $((64 << 20)) -a "$offset" -le "$half"
is "HEAD: not complete, and how long it is to be" "$(state Upload-Complete) $(state Upload-Length)" "?0 $large"
problem "another offset" 409 upload-offset -X PATCH -H 'Content-Type: application/partial-upload' -H 'Upload-Offset: 1' -H 'Upload-Complete: ?0' -d x "$api$upload"
is "with the right one told" "$(jq '."expected-offset"' "$work/body") $(field Upload-Offset)" "$offset $offset"
# A client that breaks off, in time to have sent something and not all: what came stays, once the site has seen it leave.
more "$offset" $((48 << 20)) '?0' --limit-rate 8M --max-time 4 >/dev/null 2>&1 || true
grown() {
  next=$(state Upload-Offset)
  [[ $next ]] && ((next > offset && next < offset + (48 << 20)))
}
ok "a client broke off, and what came is there" eventually 20 grown
say "      $((next - offset)) bytes more"
is "the rest completes it: 200" "$(more "$next" $((large - next)) '?1')" 200
map_large=$(field Safe-Data-Map)
is "HEAD gives the map to whoever missed the answer" "$(state Safe-Data-Map)" "$map_large"
ok "$size MiB are what was sent" reads "$map_large" "$work/large"
is "and the map is that of a plain POST" "$(store "$work/large")" "$map_large"
ok "its identifier has ${#map_large} bytes" test "${#map_large}" -le 6144
is "bytes in the middle" "$(status -r "$half-$((half + 9999))" "$api/data/$map_large")" 206
ok "are these" cmp "$work/body" <(part "$work/large" "$half" 10000)
memory=$(peak a)
ok "memory does not follow the size: $memory" test "${memory% MiB}" -lt 120

say "--- nothing secret is logged"
unlogged() { ! grep -qF -- "$1" "$work"/*.log "$work"/*.out; }
for secret in "$map_large" "${map:30:50}" "$one" "$two" "$(jq -r '.[0].phs' <<<"$(base64 -d <<<"$(tr -- '-_' '+/' <<<"$padded")")")"; do
  ok "not ${secret:0:6}…" unlogged "$secret"
done
finish
