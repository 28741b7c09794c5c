#!/usr/bin/env bash
# Bodies of any size through bad pipes: what is sent again is only what is missing, memory stays small, kills resume.
# SIZE (MiB, default 300, at least 100) is the size of the main body; SIZE=5120 is the long form (takes a quarter of an hour and 31 GB).
# ci: alone
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3 perl=perl
size=${SIZE:-300}
((size >= 100)) || die "SIZE=$size is too small: a site must be killed while the body is on its way, so take at least 100 (MiB)"
# A body and its echo must fit into the store, of which half at most is for stored answers.
store=$((size * 5))
((store < size * 2 + 1536)) || store=$((size * 2 + 1536))
# Both stores and a body, or what a body and its echo take of both beside two bodies.
mib=$((2 * store > 5 * size ? 2 * store + size : 6 * size)) free=$(df -Pm "$work" | awk 'NR == 2 { print $4 }')
((free > mib + 512)) || die "SIZE=$size takes $mib MiB of disk, and ${TMPDIR:-/tmp} has $free MiB free: set TMPDIR to a folder with more room, or take a smaller SIZE"
build callee mover

limit=${LIMIT:-96} # MiB of resident memory of each site
start_callee
route_keys=("wait: 1h" "max_body: 64GiB")
upstream_keys=("max_response: 64GiB" "max_request: 64GiB" "timeout: 10m")
pipe_keys=("settle: 500ms")
for s in a b; do declare "${s}_keys"; done
# The answers of most calls are passed on and not kept; one is kept, and must not be one too many.
more_routes=("path: /passing, strip_prefix: /passing, peer: site-b, upstream: callee, keep: none, wait: 1h, max_body: 64GiB")
a_keys=("chunks: {max_bytes: ${store}MiB}" "results: {max_bytes: $((size * 11 / 10 + 1024))MiB}") b_keys=("chunks: {max_bytes: ${store}MiB}")
carrier=mover

# written SITE prints the bytes of packs and frames that a site has put into its outbox.
written() { hoft status --config "$work/$1.yaml" --json | jq '[.peers[].counters.bytes_written] | add'; }
# bad prints how many damaged chunks b has found.
bad() { hoft status --config "$work/b.yaml" --json | jq '[.peers[].bulk.chunks_bad] | add'; }
# again SITE prints how many chunks it had to send once more, as their pack was lost or cut.
again() { hoft status --config "$work/$1.yaml" --json | jq '[.peers[].bulk.chunks_resent] | add'; }
small() { (($1 * 100 < $2 * $3)); } # PART WHOLE PERCENT
# echoed FILE sends a file, and says whether what comes back is the same. Nothing of it is kept: a large body takes room enough.
echoed() { curl -sS --max-time 3600 -T "$1" -H 'Content-Type: application/octet-stream' "$front/passing/echo" | cmp - "$1"; }
# result ID says whether the stored answer of an exchange is the body.
result() { curl -sS "$front/.hoft/v1/exchanges/$1/response" | cmp - "$work/body"; }

carry -kind move -max-size 20000000 -drop 0.05 -seed "${SEED:-3}"
sites
serve b a
head -c "$((size << 20))" /dev/urandom >"$work/body"
bytes=$((size << 20))

before=$SECONDS
ok "$size MiB up and back through a pipe that cuts above 20 MB and loses 5 %" echoed "$work/body"
say "      $((SECONDS - before)) s; written: a $(written a), b $(written b); peak memory: a $(peak a), b $(peak b)"
ok "memory stays small" test "$(peak a | cut -d' ' -f1)" -le "$limit" -a "$(peak b | cut -d' ' -f1)" -le "$limit"

a0=$(written a)
ok "the same again comes back" echoed "$work/body"
a1=$(written a)
ok "the same again costs less than 2 %: $((a1 - a0)) bytes" small $((a1 - a0)) "$bytes" 2

# Where a body is cut does not depend on who else sends at the same time.
for i in 1 2 3 4; do head -c $((48 << 20)) /dev/urandom >"$work/one-$i"; done
all_echoed() {
  local i clients=()
  for i in 1 2 3 4; do echoed "$work/one-$i" & clients+=($!); done
  for i in "${clients[@]}"; do wait "$i" || return 1; done
}
ok "four bodies of 48 MiB at once come back" all_echoed
a0=$(written a)
ok "the same four at once come back again" all_echoed
a1=$(written a)
ok "they cost less than 2 %: $((a1 - a0)) bytes" small $((a1 - a0)) $((192 << 20)) 2
say "      peak memory: a $(peak a), b $(peak b)"
rm "$work"/one-?

half=$((bytes / 2))
again1=$(again a)
{ head -c "$half" "$work/body"; head -c 1000000 /dev/urandom; tail -c "$half" "$work/body"; } >"$work/changed"
mv "$work/changed" "$work/body"
ok "a copy with 1 MB inserted comes back" echoed "$work/body"
a2=$(written a)
# An insertion touches the chunk that it lies in, and those beside it until cuts are where they were: of small bodies
# that is more than 2 %.
touched=$((12 << 20))
((touched * 50 > bytes)) || touched=$((bytes / 50))
touched=$((touched + ($(again a) - again1) * (4 << 20))) # the pipe loses packs
ok "it costs less than 2 % or three chunks: $((a2 - a1)) bytes" test $((a2 - a1)) -lt "$touched"
say "      peak memory: a $(peak a), b $(peak b)"

# kill -9 of each site in the middle: the transfer goes on where it was.
packs_in() { compgen -G "$work/$1-in/*/*.pack" >/dev/null; }
sent_since() { (($(written a) - a3 > $1)); }
for victim in b a; do
  head -c "$bytes" /dev/urandom >"$work/body"
  a3=$(written a)
  if [[ $victim == b ]]; then
    echoed "$work/body" &
    client=$!
    eventually 60 sent_since $((bytes / 4)) || die "nothing is sent"
    crash b
    serve b
    ok "killed site b: the body comes back" wait "$client"
  else
    curl -sS --max-time 3600 -D "$work/head" -o "$work/back" -T "$work/body" -H 'Prefer: respond-async' "$front/echo"
    crash a
    a3=0 # counters begin anew
    serve a
    id=$(sed -n 's/^[Hh]oft-[Ee]xchange: *\([0-9a-f-]*\).*/\1/p' "$work/head" | head -n 1)
    done_now() { [[ $(curl -sS "$front/.hoft/v1/exchanges/$id" | jq -r .done) == true ]]; }
    eventually $((300 + size / 4)) done_now || die "exchange $id does not end"
    ok "killed site a: the body comes back" result "$id"
  fi
  ok "killed site $victim: less than 1.6 times the body was written" test "$(($(written a) - a3))" -lt $((bytes * 8 / 5))
done

# Of what was sent twice nothing is left lying in an inbox.
no_packs() { ! packs_in a && ! packs_in b; }
ok "no pack is left lying" eventually 60 no_packs || say "$(find "$work"/?-in -name '*.pack' -printf '      %P %s\n')"

# A byte is changed in every pack that waits for a stopped site: each is found, and only the chunk that it lies in is
# sent again. The pipe does no other harm here, else a pack might be sent again as a whole.
end mover
carry -kind move
head -c $((40 << 20)) /dev/urandom >"$work/body"
a4=$(written a)
bad0=$(bad)
halt b
curl -sS --max-time 3600 -o "$work/back" -T "$work/body" "$front/passing/echo" >/dev/null &
client=$!
come() { (($(find "$work/b-in" -name '*.pack' -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }') > 16 << 20)); }
eventually 60 come || die "no packs come"
halt mover # each pack is there whole or not at all
hit=0
while read -r f; do
  n=$(($(stat -c %s "$f") / 2))
  old=$(od -An -tu1 -j "$n" -N 1 "$f")
  printf "\\x$(printf %x $((old ^ 1)))" | dd of="$f" bs=1 seek="$n" conv=notrunc status=none
  hit=$((hit + 1))
done < <(find "$work/b-in" -name '*.pack')
kill -CONT "${pid[mover]}"
kill -CONT "${pid[b]}"
wait "$client"
ok "bytes changed in the pipe: the body comes back" cmp "$work/body" "$work/back"
is "each of the $hit was found" "$(($(bad) - bad0))" "$hit"
again=$(($(written a) - a4 - (40 << 20)))
ok "no more than those chunks was sent again: $again bytes" test "$again" -lt $((hit * (4 << 20) + (1 << 20)))
say "      peak memory: a $(peak a), b $(peak b)"

# A byte of every chunk that b has stored goes bad on its disk before the callee has read the body: b finds them, and
# asks for them again. What the sockets hold meanwhile, up to 36 MiB as Linux is set up, is sent as it was.
head -c $((96 << 20)) /dev/urandom >"$work/body"
a5=$(written a)
halt callee
curl -sS --max-time 3600 -o "$work/back" -T "$work/body" "$front/passing/echo" >/dev/null &
client=$!
calling() { [[ $(sqlite3 -readonly "$work/b/hoft.db" "select count(*) from exchanges where state = 'running' and stage = 'calling'") == 1 ]]; }
eventually 60 calling || die "the callee is not called"
for f in "$work"/b/chunks/*.chunks; do
  perl -e 'open(my $f, "+<", $ARGV[0]) or die $!; for (my $at = 1000; $at < -s $f; $at += 200000) { seek $f, $at, 0; read $f, my $b, 1; seek $f, $at, 0; print $f chr(ord($b) ^ 1) } close $f or die $!' "$f"
done
kill -CONT "${pid[callee]}"
wait "$client"
ok "bytes changed on the disk of b: the body comes back" cmp "$work/body" "$work/back"
again=$(($(written a) - a5 - (96 << 20)))
ok "what was damaged was sent again: $again bytes" test "$again" -gt $((20 << 20))
finish
