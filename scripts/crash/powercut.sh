#!/usr/bin/env bash
# Power cuts: a site is killed under load and goes on from a state that the disk may have been left in, made from a
# record of what it wrote and synced (see powerloss/main.go): unsynced writes are lost, torn or done in another order,
# in the database, its log and the files of chunks.
# Many more such images are made as of earlier moments of the record; each must be a whole database. Files of the pipe,
# which are never synced, are emptied and cut as well. Some kills in between are no power cuts, so that a site also
# goes on from what was never synced, and loses it later. In the end the books must agree.
#
# LIES=3 lets the disk lie about its last three syncs, which nothing can stand: to see that the test finds it.
source "$(dirname "${BASH_SOURCE[0]}")/lib/crash.bash"
need curl=curl jq=jq sqlite3=sqlite3 strace=strace
build callee load mover
(cd "$root" && go build -o "$work/bin/powerloss" ./scripts/crash/powerloss)

cuts=${CUTS:-${short:+6}}
cuts=${cuts:-120}
images=${IMAGES:-${short:+4}}
images=${images:-10}
say "seed $seed, $cuts power cuts, $images images each"
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: 60s")
at_once=8
start_callee

# A site under strace; its process is the child, the tracer a grandchild. Each life has its record.
declare -A life=() process=()
starting() {
  before[$1]=$(served "$1")
  life[$1]=$((${life[$1]:-0} + 1))
  # Signals are not written down: Go's own, for preemption, are many.
  spawn "$1" strace -D -f -y -s 1000000 --seccomp-bpf -e signal=kill -o "$work/$1.trace/${life[$1]}" \
    -e trace=pwrite64,pwritev,pwritev2,ftruncate,truncate,fsync,fdatasync,sync_file_range,fallocate,unlink,unlinkat,rename,renameat,renameat2 \
    hoft serve --config "$work/$1.yaml"
  # It is no site before the tracer has come: of one that is killed earlier there is no record, and no end of it.
  eventually 20 traced "$1" || die "nothing records what $1 does"
}
traced() { grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/${pid[$1]}/status"; }
# records SITE prints the records since the last cut; complete SITE PROCESS: the tracer has written all, the end of the
# process itself last.
records() { find "$work/$1.trace" -type f -printf '%f %p\n' | sort -n | cut -d' ' -f 2; }
complete() { tail -n 1 "$work/$1.trace/${life[$1]}" | grep -qE "^$2 +\+\+\+ killed by SIGKILL"; }

# anew SITE: what is on the disk now is synced, the records begin here.
anew() {
  rm -rf "$work/$1.base" "$work/$1.trace"
  mkdir "$work/$1.base" "$work/$1.trace"
  cp "$work/$1/hoft.db" "$work/$1.base/"
  if [[ -e $work/$1/hoft.db-wal ]]; then cp "$work/$1/hoft.db-wal" "$work/$1.base/"; fi
  if [[ -e $work/$1/chunks ]]; then cp -r "$work/$1/chunks" "$work/$1.base/"; fi
}

made=0 damaged=0
# power_cut SITE: the site is dead; its state becomes one that a power cut leaves.
power_cut() {
  local s=$1 n f early=(-early)
  for ((n = 1; n <= images; n++)); do
    ((n < images)) || early=()
    rm -rf "$work/image"
    mkdir "$work/image"
    roll 1000000000
    # shellcheck disable=SC2046 # names without spaces
    powerloss -base "$work/$s.base" -state "$work/$s" -out "$work/image" -seed "$REPLY" -lies "${LIES:-0}" "${early[@]}" $(records "$s") >>"$work/cuts.txt" ||
      die "no image of $s at cut $made, seed $seed"
    made=$((made + 1))
    rm -rf "$work/copy"
    cp -r "$work/image" "$work/copy"
    [[ -s $work/copy/hoft.db && $(sqlite3 "$work/copy/hoft.db" 'PRAGMA integrity_check' 2>&1) == ok ]] ||
      { damaged=$((damaged + 1)); cp -r "$work/image" "$work/damaged-$made"; }
  done
  if [[ -d $work/$s/chunks ]]; then mkdir -p "$work/image/chunks"; fi
  rm -rf "$work/$s"/hoft.db* "$work/$s/chunks"
  cp -r "$work/image"/* "$work/$s/"
  anew "$s"
  # The pipe: what lies in the outbox was never synced.
  while read -r f; do
    if chance 40; then
      roll $(($(stat -c %s "$f" 2>/dev/null || echo 0) + 1))
      # It may have been taken meanwhile; then there is nothing to cut.
      truncate -c -s "$REPLY" "$f" 2>/dev/null || true
    fi
  done < <(find "$work/$s-out" -type f)
}

fresh
for s in a b; do
  hoft serve --config "$work/$s.yaml" >>"$work/first.log" 2>&1 & first=$!
  eventually 20 test -e "$work/$s/hoft.db-wal" || die "site $s makes no database"
  kill -TERM $first
  wait $first || die "site $s does not end in order"
  anew "$s"
done
carry -kind resurrect -bring-back 0.3 -truncate 0.1 -drop 0.05 -duplicate 0.05 -reorder 0.05 -delay-max 20ms -seed "$seed"
starting b
starting a
started a b
load_begins -prefix cut
begun=$SECONDS plain=0
for ((done_cuts = 0; done_cuts < cuts; )); do
  pause 1200
  roll 5
  case $REPLY in
    0 | 1) victims=(a) ;;
    2 | 3) victims=(b) ;;
    4) victims=(a b) ;;
  esac
  for s in "${victims[@]}"; do process[$s]=${pid[$s]}; done
  strike "${victims[@]}"
  for s in "${victims[@]}"; do
    eventually 60 complete "$s" "${process[$s]}" || die "the tracer of $s does not end"
    # shellcheck disable=SC2046
    if chance 30 && powerloss -base "$work/$s.base" -state "$work/$s" -check $(records "$s") 2>>"$work/cuts.txt"; then
      plain=$((plain + 1))
    else
      power_cut "$s"
      done_cuts=$((done_cuts + 1))
    fi
    starting "$s"
  done
  if chance 80; then started "${victims[@]}"; else pause 100; fi
done
started a b
load_ends
say "      $done_cuts power cuts, $plain plain kills in between, $made images in $((SECONDS - begun)) s"
say "      of their files $(grep -c 'since the last sync' "$work/cuts.txt"), $(grep 'since the last sync' "$work/cuts.txt" | grep -cv 'all is synced') had something to lose"
is "of $made images that were damaged" "$damaged" 0
audit "power cuts"
for s in a b mover; do end "$s"; done
[[ ${LIES:-} ]] || row "power cuts" "$done_cuts cuts, $plain plain kills, $made images checked" "$(counts)" "$((SECONDS - begun)) s"

# The control: a disk that lies must be found out.
if [[ ! $short && ! ${LIES:-} ]]; then
  control() { LIES=3 SEED=$seed CUTS=15 IMAGES=1 "${BASH_SOURCE[0]}" >"$work/control.txt" 2>&1; }
  is "the control, with a disk that lies about three syncs, fails" "$(control && echo passes || echo fails)" fails
  ok "by what the books say" grep -q '^FAIL  power cuts' "$work/control.txt"
  ok "and by no damaged database" grep -q '^ok .*that were damaged' "$work/control.txt"
  row "power cuts, a disk that lies about 3 syncs" "15 cuts" "found: $(grep -c '^FAIL' "$work/control.txt") checks fail, as they must" ""
fi
finish
