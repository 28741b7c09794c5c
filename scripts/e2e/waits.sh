#!/usr/bin/env bash
# A mover that takes files away and then stands still: what lies in the outbox is shown as waiting for it and is not sent
# again, also after a restart; when the mover goes on the call is answered, from the first and only copy.
# ci: alone
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee mover

start_callee
carrier=mover
route_keys=("wait: 60s")
a_keys=("link: {heartbeat: 2s}")
sites
carry -kind move
serve b a
peer() { hoft status --config "$work/a.yaml" --json | jq -c ".peers[0]$1"; }
for i in 1 2 3 4 5; do
  is "call $i is answered" "$(curl -s --max-time 20 -o /dev/null -w '%{http_code}' -X POST -d x "$front/job/before$i")" 200
done
synchronized() { [[ $(peer .outbox.messages) == 0 ]]; }
ok "all is acknowledged" eventually 20 synchronized

resent=$(peer .counters.resent) # on a busy machine an ack may have come late
halt mover
spawn waiting curl -s --max-time 100 -o /dev/null -w '%{http_code}' -X POST -d x "$front/job/waits"
waits() { (($(peer .in_flight.waiting_for_mover) >= 1)); }
ok "the mover stands still: its file is shown as waiting for it" eventually 30 waits
has "in words too" "$(hoft status --config "$work/a.yaml" site-b)" 'waiting for the mover for'
has "and in the table" "$(COLUMNS=200 hoft status --config "$work/a.yaml")" '\(1 waiting\)'
files() { find "$work/a-out" -name '*.jwe' -printf '%f\n' | sort; }
held=$(files | sed -n 1p)
heartbeats() { (($(peer .counters.ack_only) >= $1)); }
ok "several heartbeats later" eventually 30 heartbeats $(($(peer .counters.ack_only) + 4))
is "nothing was sent again" "$(peer .counters.resent)" "$resent"
# While a heartbeat takes the place of the one before there are both, or none.
lie() {
  local now
  mapfile -t now < <(files)
  [[ ${now[0]:-} == "$held" && ${#now[@]} == 2 ]]
}
ok "the same file lies there, and the last heartbeat" eventually 20 lie
# goes_on ID: the mover does, and the call is made while site a stands still, so of nothing that it has sent since. (Afterwards it may: once
# the mover has taken a file, an answer that comes late on a busy machine is missed.)
goes_on() {
  halt a
  kill -CONT "${pid[mover]}"
  ok "the mover goes on: the call is made, from the first and only copy" eventually 30 times "$1" 1
  kill -CONT "${pid[a]}"
}
goes_on waits
eventually 60 gone "${pid[waiting]}" || die "the call does not end"
reap waiting
is "and it is answered" "$(<"$work/waiting.out")" 200
ok "all is acknowledged" eventually 20 synchronized

halt mover
is "another call is accepted" "$(curl -s --max-time 20 -o /dev/null -w '%{http_code}' -H 'Prefer: respond-async' -X POST -d x "$front/job/restart")" 202
ok "again a file waits" eventually 30 waits
end a
serve a
ok "after a restart it still does" eventually 30 waits
is "and was not sent again" "$(peer .counters.resent)" 0
goes_on restart
answered() { [[ $(sqlite3 -readonly "$work/a/hoft.db" "select state from exchanges where target = '/job/restart'") == succeeded ]]; }
ok "and it is answered" eventually 30 answered
ok "all is acknowledged" eventually 20 synchronized
for s in a b mover; do end "$s"; done
finish
