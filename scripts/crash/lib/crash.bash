# What the tests by force share: seeded choices and kills. Sources the library of scripts/e2e.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../../e2e/lib/run.bash"
source "$e2e/lib/sites.bash"
source "$e2e/lib/audit.bash"

seed=${SEED:-$((($(date +%s) ^ $$) & 0x7fffffff))}
dice=$seed
kills=0 # processes killed so far
# shellcheck disable=SC2034 # for the scripts
short=${SHORT:-}

# roll N sets REPLY to a number below N. All choices come from the seed; moments also from what the machine does.
roll() {
  dice=$((dice * 6364136223846793005 + 1442695040888963407))
  REPLY=$((((dice >> 33) & 0x7fffffff) % $1))
}
# chance PERCENT
chance() { roll 100; ((REPLY < $1)); }
# pause MS sleeps for a random time below MS milliseconds.
pause() { roll "$1"; sleep "$((REPLY / 1000)).$(printf %03d $((REPLY % 1000)))"; }

# strike CHILD... kills at one moment, without warning; all are gone when it returns.
strike() {
  local c
  for c; do kill -KILL "${pid[$c]}" 2>/dev/null || true; done
  for c; do
    reap "$c"
    kills=$((kills + 1))
  done
}

# starting SITE starts a site without waiting for it; started SITE... waits until they serve.
declare -A before=()
starting() {
  before[$1]=$(served "$1")
  spawn "$1" hoft serve --config "$work/$1.yaml"
}
started() {
  local s
  for s; do eventually 30 up "$s" "${before[$s]}" || die "site $s does not start after kill $kills, seed $seed"; done
}

# post PATH makes a call, keeps the answer in $work/head and $work/answer and prints the status; fine and queued make one of their own:
# fine is answered with 200, queued is accepted and not answered within a second (a route /short waits no longer).
post() { curl -sS --max-time "${patience:-90}" -D "$work/head" -o "$work/answer" -w '%{http_code}' -X POST -d x "$front$1" 2>>"$work/curl.log" || true; }
# shellcheck disable=SC2034
short_route="path: /short, strip_prefix: /short, peer: site-b, upstream: callee, wait: 1s"
posted=0
fine() { posted=$((posted + 1)); [[ $(post "/job/fine-$posted") == 200 ]]; }
queued() { posted=$((posted + 1)); [[ $(post "/short/job/queued-$posted") == 504 ]]; }

# since SITE: the lines of its log from now on; logged SITE PATTERN looks in them.
declare -A mark=()
since() { mark[$1]=$(wc -l <"$work/$1.log"); }
logged() { grep -qE -- "$2" <(tail -n "+$((mark[$1] + 1))" "$work/$1.log"); }
# calm SITE WHAT: it did not fill the log while it could not work.
calm() {
  local lines
  lines=$(tail -n "+$((mark[$1] + 1))" "$work/$1.log" | grep -cE '"level":"(warn|error)"' || true)
  is "$2: not more than 20 lines of trouble in the log of $1 ($lines)" "$((lines <= 20))" 1
}
# works WHAT: calls are carried again, and both sites are the processes that they were.
works() {
  ok "$1: afterwards calls are carried" eventually 60 fine
  is "$1: both sites live" "$(alive a && alive b && echo yes)" yes
}

# load_begins FLAGS... makes calls until load_ends; the books of what was before are closed.
load_begins() {
  rm -f "$work/load.out" "$work/table"
  spawn load load -url "$front" -n 1000000 -c "${at_once:-16}" -size 600 -large 400000 -large-every 27 -methods POST,GET,POST,PUT -patience 150s -within 60m -table "$work/table" "$@"
}
load_ends() {
  alive load || die "the load ended by itself"
  kill -TERM "${pid[load]}"
  eventually 200 gone "${pid[load]}" || die "the load does not end, seed $seed"
  reap load
}
# counts prints what became of the calls, for the table.
counts() { jq -r '"\(.calls) calls: \(.outcomes | to_entries | map("\(.value) \(.key)") | join(", "))"' "$work/load.out"; }
# fresh makes new sites in the same work folder.
fresh() {
  rm -rf "$work"/{a,b}{,-in,-out,.yaml}
  : >"$record"
  sites
}
# row CELL... adds a line to the table that scripts/crash/run prints at its end.
row() {
  local cell
  {
    for cell; do printf '| %s ' "$cell"; done
    echo '|'
  } >>"${TABLE:-$work/rows}"
}
