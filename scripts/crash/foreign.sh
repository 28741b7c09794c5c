#!/usr/bin/env bash
# One folder, shared with others who do not care: 25,000 foreign files, symbolic links, FIFOs, names of every odd form,
# a sparse file of 10 GB under a foreign name and one under a name of the peer's. Calls are carried, also after a
# restart in the middle of it; nothing foreign is read through, changed or removed; processor time and memory stay bounded.
source "$(dirname "${BASH_SOURCE[0]}")/lib/crash.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee load

say "seed $seed"
carrier=shared
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
start_callee
sites
# Both sites have this one folder as outbox and inbox.
share=$work/share
mkdir "$share"
sed -i 's|\./[ab]-out$|./share|' "$work/a.yaml" "$work/b.yaml"
id() { hoft keys list --state-dir "$work/$1" --json | jq -r '.site.id // .id'; }
A=$(id a) B=$(id b)
[[ $A =~ ^[0-9a-f-]{36}$ && $B =~ ^[0-9a-f-]{36}$ ]] || die "no ids of the sites: $A $B"
stranger=01920000-0000-7000-8000-00000000abcd

serve b a
ok "calls are carried before" eventually 60 fine

# cost SITE SECONDS prints the processor time of a site in that time, in milliseconds per second.
spent() { awk '{ print ($14 + $15) * 10 }' "/proc/${pid[$1]}/stat"; }
cost() {
  local from
  from=$(spent "$1")
  sleep "$2" # the time that is measured
  echo $((($(spent "$1") - from) / $2))
}
watch=${short:+5}
watch=${watch:-20}
empty=$(cost b "$watch")

here=$share/$B # b's subfolder, where b looks
# A name for each kind of oddity; $frame is one that b would read, if it were what it seems to be.
frame() { printf '%s--%s--%016d%s' "${2:-$B}" "${1:-$A}" "$((RANDOM * 32768 + RANDOM + ${3:-1}))" "${4:-.jwe}"; }
(cd "$share" && seq -f 'report-%06g.csv' 5000 | xargs touch)
(cd "$here" && seq -f 'upload-%06g.dat' 10000 | xargs touch)
# Frames of a site that b does not list, for b; of b's, for the stranger; in the wrong folder.
(cd "$here" && seq -f "$B--$stranger--%016.0f.jwe" 1 8000 | xargs touch)
(cd "$here" && seq -f "$stranger--$A--%016.0f.jwe" 1 1500 | xargs touch)
mkdir -p "$share/$stranger"
(cd "$share/$stranger" && seq -f "$stranger--$A--%016.0f.jwe" 1 500 | xargs touch)
for name in "$(frame '' '' 3 .JWE)" "$(frame '' '' 4 .jwe.part)" ".$(frame)" "-rf" "--help" "a b" $'new\nline' $'\e[31mred' $'caf\xe9' \
  "%2e%2e%2fetc" "..." "..jwe" ".jwe" "$B--$A--.jwe" "$B--$A--1.jwe" "$B--$A--00000000000000001.jwe" "$B--$A---000000000000001.jwe" "$B--$A--99999999999999999999.jwe" \
  "$B--$A--000000000000000x.jwe" "$B--$A--0000000000000001 .jwe" "$B--$A--0000000000000001.jwe~" "$B--$A--0000000000000001 (conflicted copy).jwe" "${B^^}--$A--0000000000000001.jwe" \
  "$A--$A--0000000000000001.jwe" "$B--$B--0000000000000001.jwe" "$B--..--0000000000000001.jwe" 'CON' 'Thumbs.db' '.DS_Store' \
  "$(printf 'x%.0s' {1..255})" "$(printf 'é%.0s' {1..127})" '*' '?' '$(reboot)' '`id`' "'" '"' '\' "$(frame '' '' 9 .jwe)"$'\r'; do
  printf 'foreign' >"$here/$name"
done
printf 'another program' >"$here/.$B--$stranger--12345.part"
printf 'of somebody else' >"$work/target" # nothing of the system's: if hoft followed links, it would be gone
ln -s "$work/target" "$here/$(frame)"
ln -s "$here" "$here/$(frame)"
ln -s nowhere "$here/$(frame)"
ln -s /dev/zero "$here/$(frame)"
ln -s "$here" "$here/loop"
ln -s / "$share/root"
mkfifo "$here/$(frame)" "$here/fifo" "$share/fifo"
mkdir "$here/$(frame)" "$here/folder"
printf 'in a folder' >"$here/folder/$(frame)"
# perl is everywhere git is; bash has no sockets.
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die "no socket: $!"' "$here/socket"
truncate -s 10G "$here/video.raw"
huge=$here/$B--$A--0000000000000077.jwe
truncate -s 10G "$huge"
printf 'no frame' >"$here/$B--$A--0000000000000078.jwe"
aside() { [[ ! -e $here/$B--$A--0000000000000078.jwe ]] && ls "$work"/b/quarantine/*0000000000000078.jwe >/dev/null 2>&1; }
ok "a file under a's name that a did not write is set aside" eventually 60 aside
is "the files are there" "$(($(find "$share" -type f | wc -l) >= 25000))" 1

# Everything but the frames of the two sites themselves, which come and go meanwhile, and those that they are writing: name, type,
# size, target, inode, times. What is foreign and goes is missed afterwards.
inventory() {
  # A name may hold a line end: records end with a zero byte.
  find "$share" -ignore_readdir_race -mindepth 1 ! -path "$huge" ! -path "$share/$A" ! -path "$here" -printf '%P|%y|%s|%l|%i|%T@|%m\0' |
    LC_ALL=C grep -zvE "^($A/$A--$B|$B/$B--$A)--[0-9]{16}\.jwe\|f\|[0-9]{1,9}\||^($A/\.$A--$B|$B/\.$B--$A)--[0-9a-f]{16}\.part\|f\|" | LC_ALL=C sort -z
}
inventory >"$work/before"
entries() { tr -cd '\0' <"$work/$1" | wc -c; }
say "      $(entries before) foreign entries"

begun=$SECONDS
calls=${CALLS:-${short:+300}}
calls=${calls:-3000}
load -url "$front" -n "$calls" -c 16 -prefix foreign -methods POST,PUT,GET -patience 120s -within 15m >"$work/load.out"
is "calls are carried among them" "$(jq -r '"\(.right) right, \(.wrong) wrong"' "$work/load.out")" "$calls right, 0 wrong"
say "      $(jq -c 'del(.examples)' "$work/load.out")"
is "what a link leads to is as it was" "$(<"$work/target")" 'of somebody else'
ok "what is too long under a's name lies where it was" test -e "$huge"
# A site removes files under its own name that it did not write in this life: a does, of that one, at its start.
strike a b
starting b
starting a
started a b
ok "and after a restart" eventually 60 fine
# The start and the call have left something to do, which is no cost of being idle.
idle() {
  crowded=$(cost b "$watch")
  ((crowded < 100))
}
ok "the processor time of an idle site stays below a tenth of a core" eventually 60 idle
say "      idle, b takes $empty ms of processor time per second with an empty folder, $crowded with the full one"
for s in a b; do
  mem=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/${pid[$s]}/status")
  is "the memory of $s stayed below 128 MiB ($mem)" "$((mem < 128))" 1
done
inventory >"$work/after"
ok "nothing foreign was changed or removed" cmp "$work/before" "$work/after"
is "the sites live" "$(alive a && alive b && echo yes)" yes
has "status still answers" "$(hoft status --config "$work/b.yaml" 2>&1)" 'site-a'
is "no log line for each of them" "$(($(grep -c '"level":"\(warn\|error\)"' "$work/b.log") < 100))" 1
is "no control character in the log" "$(LC_ALL=C grep -c $'\e' "$work/b.log" || true)" 0
row "25,000 foreign files, links, FIFOs, odd names, 10 GB" "$(entries before) entries; restart" "$(counts); idle $crowded ms/s of processor (empty folder: $empty)" "$((SECONDS - begun)) s"
for s in a b; do end "$s"; done
finish
