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

# load_begins FLAGS... makes calls until load_ends; the books of what was before are closed.
load_begins() {
  rm -f "$work/load.out" "$work/table"
  spawn load load -url "$front" -n 1000000 -c "${at_once:-16}" -size 600 -methods POST,GET,POST,PUT -patience 150s -within 60m -table "$work/table" "$@"
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
