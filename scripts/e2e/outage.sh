#!/usr/bin/env bash
# The callees' side is away, and 4,000 calls that nobody waits for are accepted meanwhile (COUNT for another number). When it
# comes back it has far more of them than its server takes at once, and it is killed in the middle: each call waits for its turn
# and is answered, none is made twice, none fails because too many wait.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee crowd

count=${COUNT:-4000}
slots=16
upstream_keys=("concurrency: $slots")
start_callee
sites
serve b a
is "the peer is there: a call is answered" "$(curl -s --max-time 20 -o /dev/null -w '%{http_code}' -d x "$front/job/before" || true)" 200
end b

is "all are accepted while the peer is away" "$(crowd -url "$front" -n "$count" -c 64 -size 2000)" "$count"
of() { sqlite3 -readonly "$work/$1/hoft.db" "select count(*) from exchanges where $2"; }
made() { (($(wc -l <"$record") > $1)); }
came() { (($(of b "side = 1") > count)); }
serve b
ok "the first are answered" eventually 60 made $((count / 20))
halt callee # else, who comes late to look finds none waiting
ok "all have come to the peer" eventually 60 came
waits=$(of b "side = 1 and stage = 'arrived' and state = 'running'")
ok "many wait for their turn there ($waits)" test "$waits" -gt $((10 * slots))
crash b
kill -CONT "${pid[callee]}"
started=$SECONDS
serve b
say "      killed, and started again in $((SECONDS - started)) s"
ended() { (($(of a "state = 'running'") == 0)); }
ok "all are answered" eventually 600 ended
say "      in $((SECONDS - started)) s; peak memory of a $(peak a), of b $(peak b)"
uncertain=$(of a "problem = 'outcome-uncertain'")
ok "uncertain are at most those under way when it was killed ($uncertain)" test "$uncertain" -le "$slots"
is "all others succeeded" "$(of a "state = 'succeeded'")" $((count + 1 - uncertain))
is "none was made twice" "$(cut -f 1 "$record" | sort | uniq -d | wc -l)" 0
ok "each that succeeded was made" test "$(wc -l <"$record")" -ge $((count + 1 - uncertain))
finish
