#!/usr/bin/env bash
# File systems that share blocks between files (btrfs, xfs with reflink): packs enter and leave the pipe as clones. Nothing is
# written twice, whatever others do to the files in the pipe damages nothing that is stored, and neither cuts nor kills lose
# anything. On one without that (xfs without reflink) nothing is different from what it is elsewhere.
# Each file system is in an image of its own, mounted where nothing else sees it: in a mount namespace that ends with its test.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
need curl=curl jq=jq perl=perl filefrag=e2fsprogs mkfs.xfs=xfsprogs mkfs.btrfs=btrfs-progs unshare=util-linux mount=mount
((EUID == 0)) || die "this test mounts file systems, so it needs root"

if [[ ! ${REFLINK_ON:-} ]]; then
  build callee mover chunkcheck
  if [[ ! -e /dev/loop-control ]]; then modprobe loop || die "there are no loop devices here (/dev/loop-control), and the module loop cannot be loaded"; fi
  on() { # NAME COMMAND...: this test on a file system that a command makes
    local name=$1
    shift
    truncate -s 3G "$work/$name.img"
    mkdir "$work/$name"
    "$@" "$work/$name.img" >"$work/mkfs.log" 2>&1 || { cat "$work/mkfs.log"; die "$* does not work"; }
    # shellcheck disable=SC2016 # for the shell within
    ok "all of that on $name" env REFLINK_ON="$name" TMPDIR="$work/$name" BUILT="${BUILT:-$work/bin}" \
      unshare --mount --propagation private bash -c 'mount -o loop "$TMPDIR.img" "$TMPDIR" && exec "$0"' "$e2e/reflink.sh"
    rm -f "$work/$name.img"
  }
  on xfs mkfs.xfs -q -m reflink=1
  on btrfs mkfs.btrfs -q
  on xfs-without mkfs.xfs -q -m reflink=0
  finish
fi

# From here on: on the file system that is to be tested, which is where $work lies.
source "$e2e/lib/sites.bash"
build callee mover chunkcheck
start_callee
route_keys=("wait: 10m" "max_body: 1GiB")
more_routes=("path: /passing, strip_prefix: /passing, peer: site-b, upstream: callee, keep: none, wait: 10m, max_body: 1GiB")
pipe_keys=("settle: 250ms")
a_keys=("chunks: {max_bytes: 1GiB}") b_keys=("chunks: {max_bytes: 1GiB}")

bytes_of() { head -c "$(($1 << 20))" /dev/urandom >"$work/body"; }
echoed() { curl -sS --max-time 300 -T "$work/body" -H 'Content-Type: application/octet-stream' "$front/passing/echo" | cmp - "$work/body"; }
status() { hoft status --config "$work/$1.yaml" --json; }
cloned() { status "$1" | jq .pipe.cloned; }
resent() { status "$1" | jq '[.peers[].bulk.chunks_resent] | add'; }
used() { sync -f "$work"; df -Pk "$work" | awk 'NR == 2 { print int($3 / 1024) }'; }
packs() { find "$work/$1" -name '*.pack'; }
# shared FILE...: how many of the files share all of their blocks.
shared() {
  local f n=0
  for f; do
    filefrag -v "$f" | awk '/^ *[0-9]+:/ { all++; if (/shared/) some++ } END { exit !(all && all == some) }' && n=$((n + 1))
  done
  printf '%s' "$n"
}
stored_whole() {
  local s found
  for s in a b; do
    end "$s"
    found=$(chunkcheck "$work/$s" 2>&1) || true
    is "$1: all that $s has stored is whole: $found" "$(jq -r '.Chunks > 0 and .Bad == 0' <<<"$found" 2>&1)" true
  done
}

if [[ $REFLINK_ON == *-without ]]; then
  sites
  serve b a
  bytes_of 24
  ok "a body comes back" echoed
  is "nothing was cloned" "$(cloned a) $(cloned b)" "0 0"
  is "and nobody complains" "$(jq -c 'select(.level == "warn" or .level == "error")' "$work/a.log" "$work/b.log")" ""
  finish
fi

# Both sites on the same two folders.
sites
serve b a
bytes_of 64
before=$(used)
curl -sS --max-time 300 -o "$work/back" -T "$work/body" "$front/passing/job/first"
is "64 MiB go up" "$(awk '$1 == "first" { print $3 }' "$record")" "$(sha256sum <"$work/body" | cut -d' ' -f1)"
grown=$(($(used) - before))
large() { find "$work"/[ab]/chunks -name '*.chunks' -size +1M; }
both=$(du -cm --apparent-size "$work/a/chunks" "$work/b/chunks" | awk 'END { print $1 }')
ok "both sites have them: $both MiB in all, on $grown MiB of disk" test "$both" -ge 126 -a "$grown" -le 100
# shellcheck disable=SC2046 # a list of names without spaces
shares=$(shared $(large)) all=$(large | wc -l)
ok "$shares of $all large files share all of their blocks" test "$shares" -ge 8 -a $((shares * 4)) -ge $((all * 3))
bytes_of 24
ok "24 MiB go up and come back" echoed
ok "packs entered and left the pipe as clones: $(cloned a) and $(cloned b)" test "$(cloned a)" -ge 4 -a "$(cloned b)" -ge 4

# Packs wait for a stopped site. Another tenant keeps names of its own for them, harms one in each of three ways before it is
# read, and writes into all when they have been taken over. How many wait, is as fast as the disk is.
come() { (($(packs a-out | wc -l) > 0)); }
answered() { [[ $(status a | jq '[.peers[].bulk.open_packs] | add') == 0 ]]; } # else a asks b for its answer before it writes another
mkdir "$work/held"
held=0 before=$(cloned b)
for how in cut longer written; do
  bytes_of 12
  eventually 20 answered || die "packs stay without an answer"
  halt b
  echoed &
  client=$!
  eventually 60 come || die "no packs come"
  victim= # the longest: the last of a body may be shorter than the place where it is harmed
  while read -r _ f; do
    ln "$f" "$work/held/$held" || die "a site that is stopped takes packs"
    held=$((held + 1)) victim=$f
  done < <(find "$work/a-out" -name '*.pack' -printf '%s %p\n' | sort -n)
  case $how in
    cut) truncate -s 1000000 "$victim" ;;
    longer) printf 'longer' >>"$victim" ;;
    written) printf 'written by another tenant' | dd of="$victim" bs=1 seek=1000000 conv=notrunc status=none ;;
  esac
  kill -CONT "${pid[b]}"
  ok "a pack in the pipe is $how: the body comes back" wait "$client"
done
ok "what it damaged was sent again: $(resent a) chunks" test "$(resent a)" -ge 2
ok "others were cloned out of the pipe: $(($(cloned b) - before))" test "$(($(cloned b) - before))" -ge 3
for f in "$work"/held/*; do
  perl -e 'open(my $f, "+<", $ARGV[0]) or die $!; for (my $at = 1000; $at < -s $f; $at += 100000) { seek $f, $at, 0; print $f "written later" } close $f or die $!' "$f"
done
stored_whole "it wrote into all $held afterwards"

# kill -9 of each site while packs are on their way.
serve b a
files() { find "$work/$1/chunks" -name '*.chunks' | wc -l; }
more() { (($(files b) >= had + 2)); }
bytes_of 48
had=$(files b)
echoed &
client=$!
eventually 60 more || die "b takes nothing over"
crash b
serve b
ok "killed site b: the body comes back" wait "$client"
bytes_of 48
halt callee
had=$(files b)
curl -sS --max-time 300 -D "$work/head" -o "$work/back" -T "$work/body" -H 'Prefer: respond-async' "$front/echo"
eventually 60 more || die "b takes nothing over"
crash a
kill -CONT "${pid[callee]}"
serve a
id=$(sed -n 's/^[Hh]oft-[Ee]xchange: *\([0-9a-f-]*\).*/\1/p' "$work/head" | head -n 1)
done_now() { [[ $(curl -sS "$front/.hoft/v1/exchanges/$id" | jq -r .done) == true ]]; }
eventually 60 done_now || die "exchange $id does not end"
back() { curl -sS "$front/.hoft/v1/exchanges/$id/response" | cmp - "$work/body"; }
ok "killed site a: the body comes back" back
none_left() { [[ ! $(packs a-out; packs b-out) ]]; }
ok "no file is left in the pipe but for the last words" eventually 60 none_left
stored_whole "killed"

# A mover that copies files, and cuts the long ones and some others.
rm -rf "$work"/{a,b}{,-out,-in} "$work"/*.yaml "$work/held"
carrier=mover
sites
serve b a
carry -kind copy -max-size 6500000 -truncate 0.1 -seed "${SEED:-4}"
bytes_of 48
ok "a mover copies and cuts: the body comes back" echoed
ok "packs were cloned into the outbox and out of the inbox: $(cloned a) and $(cloned b)" test "$(cloned a)" -ge 2 -a "$(cloned b)" -ge 2
ok "what was cut was sent again: $(resent a) and $(resent b) chunks" test $(($(resent a) + $(resent b))) -ge 1
end mover
stored_whole "a mover"
finish
