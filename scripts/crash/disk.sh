#!/usr/bin/env bash
# Disks that are full, taken away, or turned read-only, under load: the state folder of either site, the outbox (no
# bytes left, no files left), the inbox; also a kill -9 while the disk is full. Meanwhile nothing is lost and the site
# says what is wrong; afterwards calls are carried again, and in the end the books must agree.
# All of it in a mount namespace of its own, on small file systems in memory.
[[ ${HOFT_CRASH_NAMESPACE:-} ]] ||
  HOFT_CRASH_NAMESPACE=1 exec unshare --mount --propagation private "${BASH_SOURCE[0]}" "$@"
source "$(dirname "${BASH_SOURCE[0]}")/lib/crash.bash"
need curl=curl jq=jq sqlite3=sqlite3 mount=mount
build callee load mover

say "seed $seed"
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
more_routes=("$short_route")
start_callee

# small FOLDER MiB [OPTION]: a file system of its own in that place.
small() {
  mkdir -p "$work/$1"
  mount -t tmpfs -o "size=$2m,mode=0755${3:+,$3}" hoft-crash "$work/$1" || die "cannot mount a file system at $1: this test needs root and the right to mount"
}
unmount_all() { awk -v w="$work/" 'index($2, w) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r m; do umount -l "$m"; done; }
for s in a b; do
  small "$s" 200
  small "$s-out" 8 nr_inodes=600
  small "$s-in" 8
done
# at_exit removes the work folder; what is mounted in it goes before.
trap 'code=$?; trap - ERR; set +e; for n in "${!pid[@]}"; do crash "$n"; done; unmount_all; (exit $code); at_exit' EXIT

sites
starting b
starting a
started a b
carry -kind move -truncate 0.05 -drop 0.05 -delay-max 20ms -seed "$seed"
load_begins -prefix disk -pause 50ms

# refused CODE: one that came before the site knew is in the commit that fails, and hears nothing until that succeeds: the next is
# tried then.
refused() { posted=$((posted + 1)); [[ $(patience=5 post "/short/job/refused-$posted") == 503 && $(jq -r .code "$work/answer") == "$1" ]]; }
# fill FOLDER, until nothing more goes in; the dot keeps the mover from taking it away. free undoes it.
fill() {
  dd if=/dev/zero of="$work/$1/.filler" oflag=append conv=notrunc bs=64k status=none 2>/dev/null || true
  dd if=/dev/zero of="$work/$1/.filler2" oflag=append conv=notrunc bs=1k status=none 2>/dev/null || true
}
# full FOLDER COMMAND...: what the mover has taken away, or the site removed, makes room again, which is filled up before each look.
full() { fill "$1" && "${@:2}"; }
free() { rm -f "$work/$1"/.filler*; }
# ferry carries what a has written while the mover stands still: so b has something to answer, and notices its outbox.
ferry() { (cd "$work/a-out" && find . -name '*.jwe' -exec mv -f {} "$work/b-in/{}" \;); }

# away puts a file in the place of the folder $where. What was mounted over is a folder too, in which a site makes files meanwhile.
away() { rm -rf "${work:?}/$where" && : >"$work/$where"; } 2>/dev/null
# told SITE: it has said that its folder is away.
told() {
  [[ $where != b-out ]] || ferry
  logged "$1" 'not a (folder|directory)'
}

ok "calls are carried" eventually 60 fine

since a
ok "a's state folder is full: new calls are refused with 503" eventually 60 full a refused store-failed
has "a says when to come again" "$(tr -d '\r' <"$work/head")" '^Retry-After: [0-9]+$'
ok "a says so in its log" eventually 60 full a logged a 'no room left.*cannot store changes'
calm a "a's state folder is full"
free a
works "a's state folder was full"

since a
ok "a's state folder is full again" eventually 60 full a refused store-failed
strike a
ok "killed meanwhile: a's database is whole" whole a
starting a
# It may serve, or refuse to start, but it must not do harm.
settled() { gone "${pid[a]}" || [[ $(served a) != "${before[a]}" ]]; }
ok "a start on the full disk serves or ends" eventually 20 settled
strike a
ok "and leaves the database whole" whole a
free a
starting a
started a
works "a was killed on the full disk"

since b
ok "b's state folder is full: b says so" eventually 60 full b logged b 'no room left.*cannot store changes'
ok "calls wait" eventually 30 full b queued
calm b "b's state folder is full"
free b
works "b's state folder was full"

since a
ok "a's outbox is full: calls are accepted and wait" eventually 30 full a-out queued
ok "a says so in its log" eventually 60 full a-out logged a 'cannot write to the outbox'
calm a "a's outbox is full"
free a-out
works "a's outbox was full"

since b
mkdir "$work/b-out/.files"
# crowd makes files until no more can be made; what the mover takes away makes room again.
crowd() { while : >"$work/b-out/.files/$((++files))"; do :; done 2>/dev/null; }
crowded() { crowd; "$@"; }
files=0
ok "b's outbox has room for no file: calls wait" eventually 30 crowded queued
ok "b says so in its log" eventually 60 crowded logged b 'cannot write to the outbox'
calm b "b's outbox has room for no file"
rm -rf "$work/b-out/.files"
works "b's outbox had room for no file"

for where in a-out b-in b-out a-in; do
  s=${where%%-*}
  since "$s"
  if [[ $where == *-out ]]; then
    # A writer may be in the way at this moment.
    ok "$where is turned read-only" eventually 20 mount -o remount,ro "$work/$where"
    ok "calls wait" eventually 30 queued
    ok "$s says so in its log" eventually 60 logged "$s" 'read-only.*cannot write to the outbox'
    calm "$s" "$where is read-only"
    mount -o remount,rw "$work/$where"
    works "$where was read-only"
  else
    # What the mover brought is there; hoft can read it and not remove it.
    ok "$where is turned read-only" eventually 20 mount -o remount,ro "$work/$where"
    ok "calls wait" eventually 30 queued
    ok "$s lives" alive "$s"
    calm "$s" "$where is read-only"
    mount -o remount,rw "$work/$where"
    works "$where was read-only"
  fi
  since "$s"
  halt mover # it makes folders that it misses, and carries what lies in their place
  umount -l "$work/$where"
  eventually 20 away || die "$where cannot be taken away"
  ok "$where is away: calls wait" eventually 30 queued
  ok "$s says so in its log" eventually 60 told "$s"
  calm "$s" "$where is away"
  rm "$work/$where"
  small "$where" 8
  kill -CONT "${pid[mover]}"
  works "$where was away, and an empty one is there now"
done

load_ends
audit_outcomes='["right", "late", "outcome-uncertain", "connection-lost", "store-failed", "storage-full"]'
audit "disks"
for s in a b mover; do end "$s"; done
row "disks full, away, read-only" "state folders, outboxes, inboxes" "$(counts)" "$SECONDS s"
finish
