#!/usr/bin/env bash
# Data that is stored at one site is read at the other, through a pipe that loses and cuts files: only the chunks that are
# needed travel. Sent data, stored data as the body of a call, answers that are kept as data.
# SIZE (MiB, default 120) is the size of the data; SIZE=2048 is the long form.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq
build callee mover

size=${SIZE:-120}
limit=${LIMIT:-96} # MiB of resident memory of each site
start_callee
data_a=$(free_port) data_b=$(free_port)
a_keys=("data: {listen: 127.0.0.1:$data_a}" "chunks: {max_bytes: $((size * 6))MiB}")
b_keys=("data: {listen: 127.0.0.1:$data_b}" "chunks: {max_bytes: $((size * 6))MiB}")
at_a=http://127.0.0.1:$data_a/data at_b=http://127.0.0.1:$data_b/data
route_keys=("wait: 5m" "max_body: 64GiB" "response_buffer: 64MiB")
upstream_keys=("max_response: 64GiB" "max_request: 64GiB" "timeout: 5m")
pipe_keys=("settle: 500ms")
carrier=mover
carry -kind move -max-size 20000000 -drop 0.05 -seed "${SEED:-3}"
sites
serve b a

# written SITE prints the bytes of packs and frames that a site has put into its outbox; moved what a did since the mark.
written() { hoft status --config "$work/$1.yaml" --json | jq '[.peers[].counters.bytes_written] | add'; }
moved() { printf '%s' "$(($(written a) - from))"; }
mark() { from=$(written a) lost=$(resent); }
below() { (($1 < $2)); }
# most BYTES prints how many may have moved since the mark for these: what the pipe lost or cut is sent again, chunks of at most 4 MiB.
most() { printf '%s' "$(($1 + ($(resent) - lost) * 4 * mib))"; }
resent() { hoft status --config "$work/a.yaml" --json | jq '[.peers[].bulk.chunks_resent] | add'; }
# put URL FILE stores a file and prints the identifier of its map.
put() { curl -sS --fail-with-body --max-time 600 -D "$work/head" -o "$work/map.json" -X POST -T "$2" "$1" && field Safe-Data-Map; }
field() { sed -n "s/^$1: *\\([^\\r]*\\)\\r*$/\\1/Ip" "$work/head" | head -n 1; }
# get URL ARGS... reads into $work/got and prints the status.
get() { curl -sS --max-time 600 -D "$work/head" -o "$work/got" -w '%{http_code}' "$@"; }
# nothing_of TEXT... : none of them is in what the sites logged.
nothing_of() {
  local t
  for t; do ! grep -qF -- "$t" "$work"/*.log || return 1; done
}
part() { dd if="$work/data" of="$work/part" bs=1M iflag=skip_bytes,count_bytes skip="$1" count="$2" status=none; }
mib=$((1 << 20))

head -c "$((size * mib))" /dev/urandom >"$work/data"
map=$(put "$at_a" "$work/data")
ok "$size MiB are stored at a; the identifier of the map has ${#map} bytes" test "${#map}" -gt 0 -a "${#map}" -le 6144
code() { get "$at_b/$map" "$@"; }

middle=$((size * mib / 2 + 12345))
part "$middle" 5000
mark
is "5,000 bytes in the middle are read at b" "$(code -r "$middle-$((middle + 4999))")" 206
ok "they are the data" cmp "$work/part" "$work/got"
# They lie in two chunks at most; the rest is nodes of the map and frames.
ok "a few chunks moved for them: $(moved) bytes" below "$(moved)" "$(most $((9 * mib)))"
mark
is "once more" "$(code -r "$middle-$((middle + 4999))")" 206
ok "nothing moves: $(moved) bytes" below "$(moved)" "$(most 200000)"
part $((7 * mib)) $((20 * mib))
mark
is "20 MiB by offset and length" "$(get "$at_b/$map?offset=$((7 * mib))&length=$((20 * mib))&peer=site-a")" 200
ok "they are the data" cmp "$work/part" "$work/got"
ok "no more than their chunks and the nodes moved, and what was lost: $(moved) bytes" below "$(moved)" "$(most $((30 * mib)))"
mark
is "HEAD" "$(get -I "$at_b/$map")" 200
is "it tells the size" "$(field Content-Length)" $((size * mib))
ok "it fetches nothing: $(moved) bytes" below "$(moved)" "$(most 200000)"
mark
is "all of it" "$(code)" 200
ok "it is the data" cmp "$work/data" "$work/got"
say "      $(moved) bytes moved for $size MiB; peak memory: a $(peak a), b $(peak b)"
ok "memory stays small" test "$(peak a | cut -d' ' -f1)" -le "$limit" -a "$(peak b | cut -d' ' -f1)" -le "$limit"

# What b has lost is fetched again.
end b
rm -rf "$work/b/chunks"
serve b
part "$middle" 3000
mark
is "b has lost its chunks: 3,000 bytes are read" "$(code -r "$middle-$((middle + 2999))")" 206
ok "they are the data" cmp "$work/part" "$work/got"
ok "their chunk came once more: $(moved) bytes" below 200000 "$(moved)"
ok "and no more: $(moved) bytes" below "$(moved)" "$(most $((9 * mib)))"

# Who is given nothing is told that it is not there; so is who asks for what nobody has.
end a
cp "$work/a.yaml" "$work/a.whole"
sed -i "s/^data: {/data: {peers: [], /" "$work/a.yaml"
serve a
is "data.peers: [] at a: 404 at b" "$(code -r 100-200)" 404
is "with a code" "$(jq -r .code "$work/got")" data-missing
end a
cp "$work/a.whole" "$work/a.yaml"
serve a
is "no such peer: 404 or 500 with a code" "$(get "$at_b/$map?peer=site-z&length=3" >/dev/null; jq -r .code "$work/got")" no-such-peer

# A peer that is away: 202, the fetch goes on, also over a restart; then the data is here.
end a
part $((40 * mib)) $((30 * mib))
is "a is away: b answers 202" "$(get "$at_b/$map?offset=$((40 * mib))&length=$((30 * mib))" -H 'Prefer: wait=1')" 202
is "the preference counted" "$(field Preference-Applied)" "wait=1"
status=http://127.0.0.1:$data_b$(field Location)
is "its state can be asked for" "$(curl -sS "$status" | jq -r '.status, .done' | paste -sd ' ')" "Running false"
crash b
serve b a
is "b was killed, a is back: it ends" "$(curl -sS --max-time 120 -H 'Prefer: wait=100' "$status" | jq -r .status)" Succeeded
has "its events are told" "$(curl -sS --max-time 20 "$status/events")" '^event: exchange.completed'
mark
is "it is read" "$(get "$at_b/$map?offset=$((40 * mib))&length=$((30 * mib))")" 200
ok "it is the data" cmp "$work/part" "$work/got"
ok "nothing moves any more: $(moved) bytes" below "$(moved)" "$(most 200000)"

# Sending, the other way round.
head -c $((30 * mib)) /dev/urandom >"$work/data"
sent=$(put "$at_a" "$work/data")
is "30 MiB are sent from a to b" "$(get -X POST "$at_a/$sent/send?to=site-b")" 200
is "b says what it took" "$(jq -r .size "$work/got")" $((30 * mib))
mark
is "they are read at b" "$(get "$at_b/$sent")" 200
ok "they are the data" cmp "$work/data" "$work/got"
ok "nothing moves: $(moved) bytes" below "$(moved)" "$(most 200000)"
is "again, without waiting: 202" "$(get -X POST -H 'Prefer: respond-async' "$at_a/$sent/send?to=site-b")" 202
is "it ends" "$(curl -sS --max-time 120 -H 'Prefer: wait=100' "http://127.0.0.1:$data_a$(field Location)" | jq -r .status)" Succeeded
is "what b said is kept" "$(curl -sS --max-time 20 "http://127.0.0.1:$data_a$(field Location)/response" | jq -r .size)" $((30 * mib))
printf '%s' "$sent" >"$work/sent.map"
is "the command does the same" "$(hoft data send "@$work/sent.map" --to site-b --config "$work/a.yaml" --json | jq -c '[.schema, .size, .fetched]')" '["hoft.data.send/1",'$((30 * mib))',0]'
is "and reads at b" "$(hoft data get "@$work/sent.map" --config "$work/b.yaml" | cmp - "$work/data" && printf same)" same
is "what a does not have cannot be sent: 404" "$(get -X POST "$at_a/$(printf '[{"num":0,"hsh":"%s","phs":"%s","len":5000}]' "$(printf 'A%.0s' {1..43})" "$(printf 'A%.0s' {1..43})" | base64 -w 0 | tr '+/' '-_' | tr -d =)/send?to=site-b")" 404

# Stored data as the body of a call, and an answer that is kept.
mark
is "stored data is the body of a call" "$(get -X POST -H "Hoft-Body-Map: $sent" -H 'Prefer: return=data-map' "$front/echo")" 200
ok "b has it: nothing moves but the call: $(moved) bytes" below "$(moved)" "$(most 200000)"
is "the preference counted" "$(field Preference-Applied)" "return=data-map"
answer=$(field Safe-Data-Map)
is "the answer is a map, kept at a" "$(get "$at_a/$answer")" 200
ok "it is what the server answered" cmp "$work/data" "$work/got"
is "a map that nobody has: 404" "$(get -X POST -H "Hoft-Body-Map: $(printf '[{"num":0,"hsh":"%s","phs":"%s","len":5000}]' "$(printf 'A%.0s' {1..43})" "$(printf 'A%.0s' {1..43})" | base64 -w 0 | tr '+/' '-_' | tr -d =)" "$front/echo")" 404
ok "no map is in a log" nothing_of "${map:200:60}" "${sent:200:60}" "${answer:200:60}"
finish
