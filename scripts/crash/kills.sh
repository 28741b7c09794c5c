#!/usr/bin/env bash
# Calls through faulty movers of each kind while both sites and the mover are killed with kill -9 at random moments,
# also while they start: whatever was accepted ends answered or reported, no POST is executed twice, an answer of
# 200 is a true one, and the databases are whole after every kill.
source "$(dirname "${BASH_SOURCE[0]}")/lib/crash.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee load mover

per_kind=${KILLS:-${short:+8}}
per_kind=${per_kind:-150}
say "seed $seed, $per_kind rounds of kills for each kind of mover"
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
start_callee

faults=(-truncate 0.1 -drop 0.05 -duplicate 0.05 -reorder 0.05 -partial 0.1 -delay-max 20ms)
# carry_on KIND starts the mover, with other faults than before.
carry_on() {
  roll 1000000
  carry -kind "$1" -bring-back 0.3 "${faults[@]}" -seed "$REPLY"
}

# round KIND kills one to three processes at a random moment and starts them again. Now and then the next kill
# does not wait until they serve.
round() {
  local kind=$1 victims s
  pause 900
  roll 8
  case $REPLY in
    0 | 1) victims=(a) ;;
    2 | 3) victims=(b) ;;
    4) victims=(a b) ;;
    5) victims=(mover) ;;
    6) victims=(b mover) ;;
    7) victims=(a b mover) ;;
  esac
  for s in a b; do # killed while they start; what is up already stays so
    if chance 15; then
      strike "$s"
      check "$s"
      starting "$s"
      pause 80
      [[ ${victims[*]} == *$s* ]] || victims+=("$s")
    fi
  done
  strike "${victims[@]}"
  for s in "${victims[@]}"; do
    if [[ $s == mover ]]; then
      carry_on "$kind"
    else
      check "$s"
      starting "$s"
    fi
  done
  for s in a b; do started "$s"; done
}
# check SITE: passes are counted, not told.
unsound=0 checks=0
check() {
  checks=$((checks + 1))
  whole "$1" || { unsound=$((unsound + 1)); cp -r "$work/copy" "$work/unsound-$kills-$1"; }
}

storm() {
  local kind=$1 n begun=$SECONDS first=$kills
  fresh
  unsound=0 checks=0
  carry_on "$kind"
  starting b
  starting a
  started a b
  load_begins -prefix "$kind"
  for ((n = 0; n < per_kind; n++)); do round "$kind"; done
  load_ends
  say "      $kind: $((kills - first)) kills in $((SECONDS - begun)) s, $(jq .calls "$work/load.out") calls"
  is "$kind: of $checks databases that were damaged" "$unsound" 0
  audit "$kind"
  local lost
  lost=$(state a "select lower(hex(id)) from exchanges where side = 0 and state = 'succeeded' order by id desc limit 1" |
    sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12})$/\1-\2-\3-\4-\5/')
  is "$kind: a finished exchange is served after the kills" \
    "$(curl -s --max-time 20 -o /dev/null -w '%{http_code}' "$front/.hoft/v1/exchanges/$lost/response")" 200
  for s in a b mover; do end "$s"; done
  row "kills, $kind" "$((kills - first)) kills, $checks databases checked" "$(counts)" "$((SECONDS - begun)) s"
}

for kind in ${KINDS:-move copy mirror resurrect}; do storm "$kind"; done
say "      $kills kills in all"
finish
