#!/usr/bin/env bash
# Calls through a faulty mover while both sites are killed with kill -9 and started again, several times: whatever
# was accepted ends answered or reported, no POST is executed twice, an answer of 200 is a true one, and the
# databases are whole after every kill.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee load mover

calls=${CALLS:-6000}
rounds=${ROUNDS:-8}
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
start_callee
sites
carry -truncate 0.1 -drop 0.05 -duplicate 0.05 -reorder 0.05 -delay-max 20ms -seed "${SEED:-23}"
serve b a

done_calls() { wc -l <"$record"; }
# beyond N: the callee has executed N calls, or the load has ended.
beyond() { (($(done_calls) >= $1)) || ! alive load; }
# whole SITE: a copy of the killed site's database, with its log, passes SQLite's own check.
whole() {
  rm -rf "$work/copy"
  mkdir "$work/copy"
  cp "$work/$1"/hoft.db* "$work/copy/"
  [[ $(sqlite3 "$work/copy/hoft.db" 'PRAGMA integrity_check' 2>&1) == ok ]]
}

spawn load load -url "$front" -n "$calls" -c 64 -methods POST,GET,POST,PUT -patience 120s -within 200s -table "$work/table"
for ((round = 1; round <= rounds; round++)); do
  eventually 60 beyond $((calls * round / (rounds + 2))) || die "the load stands still before kill $round"
  alive load || break
  case $((round % 4)) in
    0) victims=(a b) ;;
    1) victims=(b) ;;
    2) victims=(a) ;;
    3) victims=(b a) ;;
  esac
  for s in "${victims[@]}"; do kill -KILL "${pid[$s]}"; done
  for s in "${victims[@]}"; do
    crash "$s"
    ok "kill $round, after $(done_calls) calls: the database of $s is whole" whole "$s"
  done
  serve "${victims[@]}"
done
is "all kills were in the middle" "$((round - 1))" "$rounds"
eventually 200 gone "${pid[load]}" || die "the load does not end"
reap load
say "      $(jq -c 'del(.examples)' "$work/load.out")"
say "      $(jq -c .examples "$work/load.out")"

# Everything that was accepted has ended, at both sites.
state() { sqlite3 -readonly -separator ' ' "$work/$1/hoft.db" "$2"; }
running() { [[ $(state "$1" "select count(*) from exchanges where state = 'running'") == 0 ]]; }
ok "no exchange is open at a" eventually 30 running a
ok "no exchange is open at b" eventually 30 running b
say "      a: $(state a "select state, count(*) from exchanges where side = 0 group by state" | paste -sd, | sed 's/,/, /g')"
say "      b: $(state b "select state, count(*) from exchanges where side = 1 group by state" | paste -sd, | sed 's/,/, /g')"
is "accepted = answered + reported" "$(state a "select count(*) from exchanges where side = 0")" \
  "$(state a "select count(*) from exchanges where side = 0 and state in ('succeeded', 'failed', 'uncertain')")"
is "whatever did not succeed has its reason" "$(state a "select count(*) from exchanges where state <> 'succeeded' and problem = ''")" 0

is "no wrong answer" "$(jq .wrong "$work/load.out")" 0
is "every call has an outcome" "$(jq '[.outcomes[]] | add' "$work/load.out")" "$calls"
is "outcomes are the documented ones" \
  "$(jq -r '.outcomes | keys - ["right", "late", "outcome-uncertain", "connection-lost"] | join(" ")' "$work/load.out")" ""
is "most calls were right" "$(jq '.right > .calls * 3 / 4' "$work/load.out")" true

posts() { awk -F'\t' '$2 == "POST" { print $1 }' "$record" | sort; }
is "no POST was executed twice" "$(posts | uniq -d | paste -sd' ')" ""
awk -F'\t' '$2 == "POST" && ($3 == "right" || $3 == "late") { print $1 }' "$work/table" | sort >"$work/answered"
is "every POST answered 200 was executed" "$(posts | comm -13 - "$work/answered" | paste -sd' ')" ""
cut -f 1 "$record" | sort -u >"$work/executed-once"
is "so was every other call answered 200" "$(awk -F'\t' '$3 == "right" || $3 == "late" { print $1 }' "$work/table" | sort | comm -23 - "$work/executed-once" | wc -l)" 0

# What a caller lost sight of: the ids of its exchanges are in a's state, and each can be asked for.
# But for GET, which the client's own transport sends again when a kept connection is cut.
is "a knows no call twice" "$(state a "select count(*) from (select target from exchanges where side = 0 and method <> 'GET' group by target having count(*) > 1)")" 0
is "nothing was executed that a did not accept" \
  "$(state a "select replace(target, '/job/', '') from exchanges where side = 0" | sort | comm -13 - "$work/executed-once" | wc -l)" 0
lost=$(state a "select lower(hex(id)) from exchanges where side = 0 and state = 'succeeded' order by id desc limit 1" |
  sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12})$/\1-\2-\3-\4-\5/')
is "a finished exchange is served after the kills" "$(curl -s --max-time 20 -o /dev/null -w '%{http_code}' "$front/.hoft/v1/exchanges/$lost/response")" 200
finish
