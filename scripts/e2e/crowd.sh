#!/usr/bin/env bash
# 100,000 calls wait for a peer that is away (COUNT for another number): what they cost in memory, and that nothing is done
# for them meanwhile. After a restart the same. With DRAIN=yes (or a small COUNT) all are answered then.
# ci: alone
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee crowd

count=${COUNT:-100000}
# MiB resident. Two runs had 96 and 99 while calls wait, 93 and 98 after the restart; 150 bytes more for each call would be seen.
most=112
a_keys=("limits: {exchanges: $((count + 100))}")
upstream_keys=("concurrency: 256")
start_callee
sites
serve b a
is "the peer is there: a call is answered" "$(curl -s --max-time 20 -o /dev/null -w '%{http_code}' -d x "$front/job/before")" 200
end b

started=$SECONDS
is "all are accepted" "$(crowd -url "$front" -n "$count" -c 64)" "$count"
say "      in $((SECONDS - started)) s"

small() { (($(resident) < most)); }
resident() { awk '/^VmRSS/ { printf "%d", $2 / 1024 }' "/proc/${pid[a]}/status"; }
spent() { awk '{ print $14 + $15 }' "/proc/${pid[a]}/stat"; } # ticks of 10 ms
# calm: in the last two seconds the site has done nothing to speak of.
calm() {
  local before
  before=$(spent)
  sleep 2
  (($(spent) - before < 10))
}
# rest WHAT: looks at a site at rest for ten seconds.
rest() {
  local before reads
  eventually 120 calm || true # what the last call, or the start, left to do is done
  before=$(spent)
  reads=$(awk '/^syscr/ { print $2 }' "/proc/${pid[a]}/io")
  sleep 10
  say "      $1: $(resident) MiB resident (peak $(peak a)), $(((($(spent) - before)) * 10)) ms of CPU and $(($(awk '/^syscr/ { print $2 }' "/proc/${pid[a]}/io") - reads)) reads in 10 s, database $(du -m "$work/a/hoft.db" | cut -f 1) MiB"
  ok "$1: below $most MiB" eventually 30 small # what a heap has used goes back little by little
  ok "$1: next to no CPU" test $((($(spent) - before) * 10)) -lt 300 # some 20; 700 to 1,100 where no garbage is left room
}
rest "waiting"
is "they are known to be under way" "$(hoft status --config "$work/a.yaml" --json | jq '[.exchanges.calls[]] | add')" "$count"
end a
started=$SECONDS
serve a
say "      started again in $((SECONDS - started)) s"
rest "after a restart"
if [[ ${DRAIN:-no} != yes ]] && ((count > 10000)); then finish; fi
started=$SECONDS
serve b
ended() { [[ $(sqlite3 -readonly "$work/a/hoft.db" "select count(*) from exchanges where state = 'running'") == 0 ]]; }
ok "all are answered when the peer comes" eventually 600 ended
say "      in $((SECONDS - started)) s; peak memory of a $(peak a), of b $(peak b)"
is "each was executed once" "$(sort "$record" | cut -f 1 | uniq -c | awk '$1 != 1' | wc -l) $(wc -l <"$record")" "0 $((count + 1))"
finish
