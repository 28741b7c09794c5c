#!/usr/bin/env bash
# A site's database is set back to an older backup, or deleted, under load: at the callees' side and at the callers'.
# No call that must not be made twice is made twice, whatever was forgotten; the callees' side set back or emptied loses
# no call that the callers' side accepted; calls are carried again without anybody's help.
source "$(dirname "${BASH_SOURCE[0]}")/lib/crash.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee load mover

rounds=${ROUNDS:-${short:+1}}
rounds=${rounds:-5}
say "seed $seed, $rounds times each"
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
# Calls queue at the callees' side: what has come, and was not begun, is what a backup holds that is done by the time it is restored.
upstream_keys=("concurrency: 2")
at_once=24
start_callee -takes 15ms

done_calls() { wc -l <"$record"; }
beyond() { (($(done_calls) >= $1)) || ! alive load; }
# more N waits until N further calls were executed.
more() {
  local goal=$(($(done_calls) + $1))
  eventually 90 beyond "$goal" || die "calls stand still at $(done_calls), seed $seed"
}

# trouble SITE HOW: fresh sites and load; the database is set back or deleted; the books.
trouble() {
  local s=$1 how=$2 what begun=$SECONDS r
  what="$how at $s"
  fresh
  starting b
  starting a
  started a b
  roll 1000000
  carry -kind copy -truncate 0.05 -drop 0.05 -duplicate 0.05 -delay-max 20ms -seed "$REPLY"
  load_begins -prefix "$how-$s"
  for ((r = 0; r < rounds; r++)); do
    roll 100
    more $((100 + REPLY))
    rm -f "$work/backup"
    sqlite3 "$work/$s/hoft.db" ".timeout 5000" ".backup '$work/backup'" || die "no backup of $s"
    roll 150
    more $((50 + REPLY))
    strike "$s"
    rm -f "$work/$s"/hoft.db*
    [[ $how == deleted ]] || cp "$work/backup" "$work/$s/hoft.db"
    starting "$s"
    started "$s"
    more 50
  done
  load_ends
  if [[ $s == b ]]; then
    audit "$what"
  else
    # What the callers' side forgot it can say nothing of; callers who ask learn that it is unknown.
    ok "$what: no exchange is open at a" eventually 60 running a
    ok "$what: no exchange is open at b" eventually 60 running b
    say "      callers: $(jq -c .outcomes "$work/load.out")"
    is "$what: no wrong answer" "$(jq .wrong "$work/load.out")" 0
    is "$what: outcomes are the documented ones" \
      "$(jq -r '.outcomes | keys - ["right", "late", "outcome-uncertain", "connection-lost", "unknown-exchange"] | join(" ")' "$work/load.out")" ""
    is "$what: no POST was executed twice" "$(posts | uniq -d | paste -sd' ')" ""
    is "$what: every call answered was executed" "$(answered | comm -23 - <(executed_once) | paste -sd' ')" ""
  fi
  works "$what"
  for c in a b mover; do end "$c"; done
  row "database $what" "$rounds times" "$(counts)" "$((SECONDS - begun)) s"
}

for s in b a; do
  for how in set-back deleted; do trouble "$s" "$how"; done
done
finish
