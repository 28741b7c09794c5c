#!/usr/bin/env bash
# 10,000 calls of 1 KiB, 64 at once, through a mover that cuts 10 % of the files and loses 5 %: every answer right,
# none lost, none executed twice. Then nothing of a call's text is found in any file that passed, and no secret in
# the logs of both sites at their most talkative.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need jq=jq sqlite3=sqlite3
build callee load mover

calls=${CALLS:-10000}
canary=Canary$(od -An -tx1 -N12 /dev/urandom | tr -d ' \n')xyzzy
log_level=trace
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 100s")
start_callee
sites
carry -truncate 0.1 -drop 0.05 -seed "${SEED:-11}" -keep "$work/kept"
serve b a

load -url "$front" -n "$calls" -c 64 -size 1024 -methods POST,POST,POST,PUT,GET -canary "$canary" -patience 150s -within 15m \
  -table "$work/table" >"$work/load.json"
say "      $(jq -c . "$work/load.json")"
got() { jq ".$1" "$work/load.json"; }
is "every answer is right" "$(got right) of $(got calls), wrong $(got wrong)" "$calls of $calls, wrong 0"
is "every call was executed" "$(cut -f 1 "$record" | sort -u | wc -l)" "$calls"
is "none twice" "$(cut -f 1 "$record" | sort | uniq -d | wc -l)" 0
# An answer is passed on before it is stored: the last one may not be yet.
none_open() { [[ $(sqlite3 -readonly "$work/$1/hoft.db" "select count(*) from exchanges where state = 'running'") == 0 ]]; }
ok "no exchange is left open at a" eventually 30 none_open a
ok "no exchange is left open at b" eventually 30 none_open b
say "      peak memory: a $(peak a), b $(peak b)"
end a
end b
end mover
say "      the mover: $(<"$work/mover.out")"
ok "the mover did lose and cut files" grep -q '"Lost":[1-9].*"Cut":[1-9]' "$work/mover.out"

# The byte search: the text itself and what base64 makes of it at each of the three offsets, in hex too. The same
# search must find it where it is known to be.
patterns() {
  local text=$1 i b
  printf '%s\n' "$text"
  printf '%s' "$text" | od -An -tx1 | tr -d ' \n' && echo
  for i in 0 1 2; do
    b=$(printf '%s' "$(printf 'x%.0s' $(seq 1 "$i"))$text" | base64 -w 0)
    printf '%s\n' "${b:4:${#b}-9}"
  done
}
found() { { grep -rlaF -f "$1" "${@:2}" || true; } | wc -l; }
patterns "$canary" >"$work/canary"
files=$(find "$work/kept" -type f | wc -l)
is "the mover kept a copy of nearly all files" "$(jq '.Kept > 20 * .NotKept and .Kept > 100' "$work/mover.out")" true
mkdir "$work/known"
printf 'x%s' "$canary" | base64 >"$work/known/base64"
printf 'before %s after' "$canary" >"$work/known/plain"
is "the search finds the text where it is" "$(found "$work/canary" "$work/known")" 2
is "no text of a call in the $files files that passed" "$(found "$work/canary" "$work/kept")" 0
is "nor in the folders" "$(found "$work/canary" "$work"/{a,b}-{in,out})" 0
is "no text of a call, Authorization or cookie in the logs" "$(found "$work/canary" "$work/a.log" "$work/b.log")" 0
is "the logs did say much" "$(awk 'END { print (NR > 1000) }' "$work/a.log" "$work/b.log")" 1
is "no word Bearer, session= or Authorization in the logs" "$(grep -iE 'bearer|session=|"authorization' "$work/a.log" "$work/b.log" || true)" ""
for s in a b; do jq -r '.keys[].d' "$work/$s/identity.jwks"; done >"$work/keys"
is "both sites have two private keys" "$(grep -cE '^[A-Za-z0-9_-]{43}$' "$work/keys")" 4
is "the search finds the keys where they are" "$(found "$work/keys" "$work/a" "$work/b")" 2
is "no private key in logs or files" "$(found "$work/keys" "$work/a.log" "$work/b.log" "$work/kept")" 0
finish
