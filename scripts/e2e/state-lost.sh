#!/usr/bin/env bash
# The callees' side loses its state folder's database under load, several times, and once it is set back to an older copy:
# no call that may not be made twice is made twice (the callee's own record is compared), every call ends, and both
# operators are told. Then the callers' side loses its own: new calls go on.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee load mover

step=${STEP:-500} # calls between two losses
rounds=${ROUNDS:-4}
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
start_callee
sites
carry -drop 0.05 -truncate 0.05 -duplicate 0.05 -reorder 0.05 -delay-max 30ms -seed "${SEED:-7}"
serve b a

made() { wc -l <"$record"; }
beyond() { (($(made) >= $1)) || ! alive load; }
codes() { hoft status --config "$work/$1.yaml" --json | jq -r '[.problems[].code] | join(" ")'; }
told() { grep -qw -- "$2" <<<"$(codes "$1")"; }

# As many calls as there is time for: it is the test that ends the load, and not a load of so many calls the test.
spawn load load -url "$front" -n 1000000 -c 64 -methods POST,GET,POST,PUT -patience 90s -within 20m -table "$work/table"
eventually 60 beyond "$step" || die "the load stands still at its beginning"
# A copy as a backup makes it, of a running site; put back later.
sqlite3 "$work/b/hoft.db" ".timeout 5000" ".backup '$work/older.db'"
for ((round = 1; round <= rounds; round++)); do
  eventually 60 beyond $(($(made) + step)) || die "the load stands still before round $round"
  alive load || die "the load ended by itself before round $round"
  crash b
  rm -f "$work/b"/hoft.db*
  if ((round == rounds)); then
    cp "$work/older.db" "$work/b/hoft.db"
  fi
  serve b
  ok "round $round, after $(made) calls: a is told that b began anew" eventually 30 told a peer-began-anew
  if ((round < rounds)); then
    ok "round $round: b is told that its state is gone" eventually 30 told b state-lost
  else
    ok "set back: b is told that its state is older than what a knows" eventually 30 told b state-behind
  fi
done
eventually 60 beyond $(($(made) + step)) || die "the load stands still at its end"
alive load || die "the load ended by itself"
kill -TERM "${pid[load]}"
eventually 170 gone "${pid[load]}" || die "the load does not end"
reap load
say "      $(jq -c 'del(.examples)' "$work/load.out")"

posts() { awk -F'\t' '$2 == "POST" { print $1 }' "$record" | sort; }
is "no POST was made twice" "$(posts | uniq -d | paste -sd' ')" ""
is "no wrong answer" "$(jq .wrong "$work/load.out")" 0
is "every call has an outcome" "$(jq '[.outcomes[]] | add' "$work/load.out")" "$(jq .calls "$work/load.out")"
is "outcomes are the documented ones" \
  "$(jq -r '.outcomes | keys - ["right", "late", "outcome-uncertain", "callee-broken"] | join(" ")' "$work/load.out")" ""
is "most calls were right" "$(jq '.right > .calls / 2' "$work/load.out")" true
awk -F'\t' '$2 == "POST" && ($3 == "right" || $3 == "late") { print $1 }' "$work/table" | sort >"$work/answered"
is "every POST answered 200 was made" "$(posts | comm -13 - "$work/answered" | paste -sd' ')" ""
running() { [[ $(sqlite3 -readonly "$work/$1/hoft.db" "select count(*) from exchanges where state = 'running'") == 0 ]]; }
ok "no exchange is open at a" eventually 60 running a
ok "no exchange is open at b" eventually 60 running b

# The callers' side: what it had accepted is gone with its database, and the rest works as before.
crash a
rm -f "$work/a"/hoft.db*
serve a
is "a without its state: a new call is answered" "$(curl -s --max-time 60 -o /dev/null -w '%{http_code}' -X POST -d x "$front/job/anew")" 200
is "and made once" "$(executed anew)" 1
ok "b is told that a began anew" eventually 30 told b peer-began-anew

# Both at once.
crash a
crash b
rm -f "$work"/{a,b}/hoft.db*
serve b a
is "both without state: a call is answered" "$(curl -s --max-time 60 -o /dev/null -w '%{http_code}' -X POST -d x "$front/job/both")" 200
is "and made once" "$(executed both)" 1
finish
