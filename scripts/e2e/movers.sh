#!/usr/bin/env bash
# The habits of movers: each carries the same calls, with faults; every answer must be right and no call made twice.
# Bodies are long enough that some answers travel in parts.
# ci: long
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee load mover

calls=${CALLS:-600}
start_callee
route_keys=("wait: 100s")

# habit NAME PIPE-KEY MOVER-FLAGS...: fresh sites, the load, the totals.
habit() {
  local name=$1 result
  pipe_keys=("settle: 250ms" "$2")
  shift 2
  rm -rf "$work"/{a,b}{,-in,-out,.yaml}
  : >"$work/mover.out"
  sites
  [[ $carrier == shared ]] || carry -seed "${SEED:-5}" "$@"
  serve b a
  load -url "$front" -n "$calls" -c 32 -prefix "${name// /-}" -size "${size:-1024}" -methods POST,PUT,GET -patience 100s -within 10m >"$work/load.json"
  result=$(jq -r '"\(.right) right, \(.wrong) wrong"' "$work/load.json")
  is "$name: every answer is right" "$result" "$calls right, 0 wrong"
  is "$name: none was made twice" "$(cut -f 1 "$record" | sort | uniq -d | wc -l)" 0
  say "      $(jq -c 'del(.examples)' "$work/load.json")"
  jq -e '.examples | length == 0' "$work/load.json" >/dev/null || say "      $(jq -c .examples "$work/load.json")"
  say "      peak memory: a $(peak a), b $(peak b)"
  end a
  end b
  [[ $carrier == shared ]] || { end mover && say "      $(<"$work/mover.out")"; }
  ok "$name: the databases are whole" test "$(for s in a b; do sqlite3 "$work/$s/hoft.db" 'PRAGMA integrity_check'; done | sort -u)" = ok
}

faults=(-truncate 0.1 -drop 0.05 -duplicate 0.1 -reorder 0.1 -partial 0.1 -delay-max 20ms)
carrier=mover
habit "a mover that moves" "consume: remove" -kind move "${faults[@]}"
habit "one that copies each name once" "consume: remove" -kind copy "${faults[@]}"
habit "one that mirrors deletions" "consume: remove" -kind mirror "${faults[@]}"
habit "one that mirrors deletions, files are kept" "consume: keep" -kind mirror "${faults[@]}"
habit "one that brings deleted files back" "consume: remove" -kind resurrect -bring-back 0.3 "${faults[@]}"
calls=$((calls / 3))
habit "one that looks twice a second" "layout: flat" -kind move -period 500ms -truncate 0.05
calls=$((calls * 3)) size=12000
habit "one that cuts at 300 KB" "suffix: .txt" -kind move -max-size 300000
# A mover that stands still for longer than a call's deadline: when it moves again the call is not made.
# The file must be written before the deadline; the estimate of the time in the pipe is by whole seconds and a lower bound, hence the
# distance of wait and deadline.
rm -rf "$work"/{a,b}{,-in,-out,.yaml}
: >"$work/mover.out"
more_routes=("path: /soon, strip_prefix: /soon, peer: site-b, upstream: callee, wait: 9s, deadline: 4s")
sites
carry
serve b a
post() { curl -sS --max-time 60 -X POST -d x "$front$1"; }
has "before: a call is made" "$(post /job/before)" '^POST /job/before'
halt mover
late=$(post /soon/job/late)
is "the mover stands still: the wait ends" "$(jq -r .code <<<"$late")" not-arrived
kill -CONT "${pid[mover]}"
state() { curl -sS --max-time 20 "$front$(jq -r .instance <<<"$late")"; }
ended() { [[ $(state | jq .done) == true ]]; }
ok "it moves again: the call ends" eventually 60 ended
is "as one whose deadline passed" "$(state | jq -r '.status, .error.code' | paste -sd' ')" "Failed deadline-passed"
is "and was not made" "$(executed late)" 0
# And a peer that was never heard of: the deadline ends the call at the callers' side alone.
for s in a b mover; do end "$s"; done
rm -rf "$work"/{a,b}{,-in,-out,.yaml}
sites
serve a
late=$(post /soon/job/never)
is "a peer that never came: the deadline ends the call" "$(jq -r .code <<<"$late")" deadline-passed
end a
more_routes=()

carrier=shared
habit "two sites on the same two folders, files are kept" "consume: keep"
finish
