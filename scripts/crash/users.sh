#!/usr/bin/env bash
# Four users, as on real hosts: each site has its own, the mover another, and a group joins each site with the mover.
# Modes and owners that are right carry calls; each that is wrong is told with user, group and mode, loses nothing, and
# is mended while everything runs.
source "$(dirname "${BASH_SOURCE[0]}")/lib/crash.bash"
source "$e2e/lib/users.bash"
need curl=curl jq=jq sqlite3=sqlite3 setpriv=util-linux
build callee load mover

say "seed $seed"
declare -A user=([a]=61001 [b]=61002 [mover]=61003)
is "processes can be started as another user" "$(as mover id -u) $(as mover id -G)" "${user[mover]} ${user[mover]} $xfer"
chmod 755 "$work" "$work/bin"

carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
more_routes=("$short_route")
start_callee
umask 022
sites
for s in a b; do
  chown -R "${user[$s]}:${user[$s]}" "$work/$s"
  chown "${user[$s]}:$xfer" "$work/$s-out" "$work/$s-in"
  chmod 2770 "$work/$s-out" "$work/$s-in"
done
starting() {
  before[$1]=$(served "$1")
  spawn "$1" setpriv --reuid "${user[$1]}" --regid "${user[$1]}" --groups "$xfer" -- hoft serve --config "$work/$1.yaml"
}
carry() { # MODE: what the mover gives to files that it delivers
  spawn mover setpriv --reuid "${user[mover]}" --regid "${user[mover]}" --groups "$xfer" -- \
    mover -route "$work/a-out:$work/b-in" -route "$work/b-out:$work/a-in" -kind move -truncate 0.05 -drop 0.05 -seed "$seed" -file-mode "$1"
}
for s in b a; do starting "$s"; done
started a b
carry 0660
# A process is of root until setpriv has made it the user's.
users() { [[ $(for p in a b mover; do awk '/^Uid/ { print $2 }' "/proc/${pid[$p]}/status"; done | paste -sd' ') == "${user[a]} ${user[b]} ${user[mover]}" ]]; }
ok "three processes of three users" eventually 20 users
ok "calls are carried" eventually 20 fine

load_begins -prefix users -pause 50ms

# What hoft writes: its mode and group do not depend on the umask of the process.
halt mover
# Looked at when it is found: a file that only acknowledges goes when a later one is written.
written() { read -r mode folder < <(find "$work/a-out" -name '*.jwe' -printf '%m:%U:%G %h\n' -quit); }
ok "a file lies in the outbox" eventually 20 written
is "its mode and group let the mover read it" "$mode" "640:${user[a]}:$xfer"
is "so do those of its folder" "$(stat -c '%a %u %g' "$folder")" "2770 ${user[a]} $xfer"
has "the state folder is for its user alone" "$(as mover ls "$work/a" 2>&1 || true)" 'Permission denied'
kill -CONT "${pid[mover]}"
works "modes as documented"

# A mover whose umask is wrong: hoft may not read what it brings.
since b
end mover
carry 0600
ok "the mover brings files that b may not read: calls wait" eventually 30 queued
ok "b says so in its log" eventually 20 logged b 'cannot read a file of the inbox'
ok "with the reason" logged b 'permission denied'
calm b "unreadable files"
end mover
carry 0660
works "the mover's mode is mended"
# The mover and the sites work meanwhile: what they rename or take just then is not where it was found, and the next look is at the rest.
mended() { find "$work"/b-in "$work"/a-in -type f -perm 600 -exec chmod 660 {} + 2>/dev/null; }
ok "the files that came before are mended" eventually 20 mended

# A site whose outbox it may not write, while it runs.
since a
chmod 0755 "$work"/a-out/* # before it changes hands: a tells what it finds once
chown "${user[mover]}:${user[mover]}" "$work"/a-out/*
ok "a may not write in its outbox: calls wait" eventually 30 queued
ok "a says so in its log, with user, group and mode" eventually 20 logged a "owned by .*${user[mover]}.*mode dg?rwxr-xr-x; hoft runs as .*${user[a]}"
calm a "an outbox that is not writable"
chown "${user[a]}:$xfer" "$work"/a-out/*
chmod 2770 "$work"/a-out/*
works "the outbox is mended"

# Handled files that cannot be removed do no harm but lie there.
since b
chown "${user[mover]}:$xfer" "$work"/b-in/*
chmod 2750 "$work"/b-in/*
chmod u+w "$work"/b-in/*
ok "b may not remove what it has read: calls are carried all the same" eventually 60 fine
ok "b says so in its log" eventually 20 logged b 'cannot remove a handled file'
left=$(find "$work/b-in" -name '*.jwe' | wc -l)
ok "the files lie there ($left)" test "$left" -gt 0
calm b "files that cannot be removed"
chmod 2770 "$work"/b-in/*
works "the inbox is mended"

load_ends
emptied() { [[ $(find "$work"/a-in "$work"/b-in -name '*.jwe' -mmin +0.1 | wc -l) == 0 ]]; }
ok "what was left is removed, once that is possible" eventually 120 emptied
audit "users"

# At the start the same is told at once.
refused() { # WHAT PATTERN
  local text code=0
  text=$(cd "$work" && timeout 60 setpriv --reuid "${user[a]}" --regid "${user[a]}" --groups "$xfer" -- hoft serve --config a.yaml 2>&1) || code=$?
  is "$1: the start is refused" "$code" 1
  has "$1: with what to do" "$text" "$2"
}
end a
chown "${user[mover]}:${user[mover]}" "$work/a-out" "$work"/a-out/*
chmod 0755 "$work/a-out" "$work"/a-out/*
refused "an outbox of another user" "a-out.*owned by .*${user[mover]}.*hoft runs as .*${user[a]}"
chown "${user[a]}:$xfer" "$work/a-out" "$work"/a-out/*
chmod 2770 "$work/a-out" "$work"/a-out/*
chown "${user[mover]}:$xfer" "$work"/a-in/*
chmod 3770 "$work"/a-in/*
refused "an inbox with the sticky bit" "a-in.*sticky"
chmod 2770 "$work"/a-in/*
starting a
started a
works "after that"
for s in a b mover; do end "$s"; done
row "sites and mover of different users" "modes, owners, umask" "$(counts)" "$SECONDS s"
finish
