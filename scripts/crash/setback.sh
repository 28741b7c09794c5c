#!/usr/bin/env bash
# A site's database is set back to an older backup under load, at the callees' side and at the callers'. In the backup
# calls wait that were made since. No call that must not be made twice is made twice, whatever was forgotten; set back at
# the callees' side, no call is lost that the callers' side accepted; calls are carried again without anybody's help.
# (That a database is deleted is in scripts/e2e/state-lost.sh.)
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

# trouble SITE: fresh sites and load; the database is set back; the books.
trouble() {
  local s=$1 what="set back at $1" begun=$SECONDS r c
  fresh
  starting b
  starting a
  started a b
  roll 1000000
  carry -kind copy -truncate 0.05 -drop 0.05 -duplicate 0.05 -delay-max 20ms -seed "$REPLY"
  load_begins -prefix "back-$s"
  for ((r = 0; r < rounds; r++)); do
    roll 100
    more $((100 + REPLY))
    rm -f "$work/backup"
    sqlite3 "$work/$s/hoft.db" ".timeout 5000" ".backup '$work/backup'" || die "no backup of $s"
    roll 150
    more $((50 + REPLY))
    strike "$s"
    rm -f "$work/$s"/hoft.db*
    cp "$work/backup" "$work/$s/hoft.db"
    starting "$s"
    started "$s"
    more 50
  done
  load_ends
  if [[ $s == b ]]; then
    audit "$what"
  else
    # What the callers' side forgot it can say nothing of; callers who ask learn that it is unknown.
    ok "$what: no exchange is open at a" eventually 120 running a
    ok "$what: no exchange is open at b" eventually 120 running b
    say "      callers: $(jq -c .outcomes "$work/load.out")"
    is "$what: no wrong answer" "$(jq .wrong "$work/load.out")" 0
    is "$what: outcomes are the documented ones" \
      "$(jq -r '.outcomes | keys - ["right", "late", "outcome-uncertain", "connection-lost", "unknown-exchange"] | join(" ")' "$work/load.out")" ""
    is "$what: no POST was executed twice" "$(posts | uniq -d | paste -sd' ')" ""
    is "$what: every call answered was executed" "$(answered | comm -23 - <(executed_once) | paste -sd' ')" ""
  fi
  works "$what"
  for c in a b mover; do end "$c"; done
  row "database $what" "$rounds backups restored" "$(counts)" "$((SECONDS - begun)) s"
}

sites=${SITES:-${short:+b}}
for s in ${sites:-b a}; do trouble "$s"; done
finish
