# What every end-to-end test needs: a work folder, programs, children that end with it, checks that are counted.
# Source it first; end with `finish`. KEEP=1 keeps the work folder.
# A pipe fails when any part of it does: of what may have much to say the rest is read too, `| sed -n 1p` and not `| head -n 1`, nor
# `| grep -q`, which end first now and then and have it killed by SIGPIPE.
set -Eeuo pipefail

e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(cd "$e2e/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hoft-e2e.XXXXXX")
passed=0 failed=0 finished=no
declare -A pid=()    # of each child that runs, by name
unset "${!HOFT_@}" 2>/dev/null || true # the operator's own settings are not part of the test

say() { printf '%s\n' "$*"; }
die() { say "broken off: $*" >&2; exit 1; }

trap 'say "broken off at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR
trap at_exit EXIT
trap 'exit 130' INT TERM

# at_exit ends the children, says where a failure can be looked into, and removes the folder.
at_exit() {
  local code=$? name
  trap - ERR EXIT
  set +e
  for name in "${!pid[@]}"; do kill -TERM "${pid[$name]}" 2>/dev/null; done
  for name in "${!pid[@]}"; do reap "$name"; done
  if ((code != 0)); then
    for name in "$work"/*.log; do
      [[ -s $name ]] && { say "--- the end of ${name##*/}"; tail -n 15 "$name" | cut -c 1-400; } >&2
    done
  fi
  if [[ $finished == no ]]; then say "$passed passed, $((failed + 1)) failed"; ((code == 0)) && code=1; fi
  if [[ ${KEEP:-} ]]; then say "kept: $work"; else rm -rf "$work"; fi
  exit "$code"
}

# reap waits for a child, at most twenty seconds, then kills it.
reap() {
  local p=${pid[$1]:-}
  [[ $p ]] || return 0
  eventually 20 gone "$p" || kill -KILL "$p" 2>/dev/null || true
  eventually 20 gone "$p" || die "$1 does not end, not even when killed"
  unset "pid[$1]"
}
# gone PID: the process has ended with all its threads; a killed one holds its locks until the last of them has.
gone() {
  local threads=("/proc/$1/task"/*)
  [[ ! -e /proc/$1 ]] || { ((${#threads[@]} <= 1)) && grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
}
alive() { [[ ${pid[$1]:-} ]] && ! gone "${pid[$1]}"; }

# spawn NAME COMMAND... runs a child whose output goes to NAME.out and NAME.log.
spawn() {
  local name=$1
  shift
  "$@" >>"$work/$name.out" 2>>"$work/$name.log" &
  pid[$name]=$!
  disown # else bash tells of each kill
}
# halt NAME stops a child until kill -CONT: a thread that is held by the disk does its work first, and others may do theirs meanwhile.
halt() { kill -STOP "${pid[$1]}" && eventually 20 halted "${pid[$1]}" || die "$1 does not stand still"; }
halted() {
  local status
  for status in "/proc/$1/task"/*/status; do
    grep -q '^State:[[:space:]]*T' "$status" || return 1
  done
}
# end NAME asks a child to end; crash NAME gives it no chance to.
end() { kill -TERM "${pid[$1]}" 2>/dev/null || true; reap "$1"; }
crash() { kill -KILL "${pid[$1]}" 2>/dev/null || true; reap "$1"; }

# eventually SECONDS COMMAND... repeats a command until it succeeds; false when the time is over.
eventually() {
  local end=$((SECONDS + $1 + 1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.02
  done
}

# ok WHAT COMMAND... counts a command that must succeed; is WHAT GOT WANT two texts that must be equal.
ok() {
  local what=$1
  shift
  if "$@"; then pass "$what"; else fail "$what" "$*"; fi
}
is() { if [[ $2 == "$3" ]]; then pass "$1"; else fail "$1" "got  $(printf %q "${2:0:600}")" "want $(printf %q "${3:0:600}")"; fi; }
# has WHAT TEXT PATTERN: an extended regular expression matches a line of the text.
has() { if grep -qE -- "$3" <<<"$2"; then pass "$1"; else fail "$1" "no line matches $3 in" "${2:0:1500}"; fi; }
pass() { passed=$((passed + 1)); say "ok    $1"; }
fail() { failed=$((failed + 1)); say "FAIL  $1"; shift; printf '      %s\n' "$@"; }

# secrets prints what must never show, one a line: private keys and link secrets of all sites, keys of chunks in their
# databases (phs), and whatever lies in files called *.secret or *.token. Short ones are left out: they are found by chance.
secrets() {
  (
    trap - ERR
    set +e +o pipefail # a kind of which there is none is no failure
    grep -rhoE '"d": *"[A-Za-z0-9_-]{43}"' "$work" --include=identity.jwks | grep -oE '[A-Za-z0-9_-]{43}'
    grep -rahoE '"phs":"[A-Za-z0-9_-]{43}"' "$work" --include='hoft.db*' | grep -oE '[A-Za-z0-9_-]{43}' | sort -u | head -n 2000
    find "$work" -type f \( -name '*.secret' -o -name '*.token' \) -size -2k -print0 | while IFS= read -r -d '' f; do
      base64 -w 0 "$f" | cut -c 1-40
      echo
      LC_ALL=C tr -d '\000' <"$f" | LC_ALL=C grep -aE '^[ -~]{12,}$' || true
    done
  ) 2>/dev/null | awk 'length > 11' | sort -u
}

# silent: no secret is in what any program of the test has logged or printed.
silent() {
  local out=()
  mapfile -d '' out < <(find "$work" -maxdepth 1 -type f \( -name '*.log' -o -name '*.out' -o -name '*.err' \) -print0)
  ((${#out[@]})) || return 0
  [[ -d $work/a || -d $work/b ]] || return 0
  secrets >"$work/secrets.list"
  ok "there are secrets to look for, and the search finds them" grep -qaF -f "$work/secrets.list" "$work/secrets.list"
  is "no secret of $(wc -l <"$work/secrets.list") in what was logged or printed" "$(grep -laF -f "$work/secrets.list" "${out[@]}" || true)" ""
}

finish() {
  silent
  finished=yes
  say "$passed passed, $failed failed"
  ((failed == 0)) || exit 1
  exit 0
}

# need COMMAND=PACKAGE... installs Debian packages whose command is missing.
need() {
  local pair missing=()
  for pair; do command -v "${pair%%=*}" >/dev/null || [[ -x /usr/sbin/${pair%%=*} ]] || missing+=("${pair#*=}"); done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  local sudo=()
  ((EUID == 0)) || sudo=(sudo)
  { "${sudo[@]}" apt-get update -q && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -qy --no-install-recommends "${missing[@]}"; } \
    >"$work/apt.log" 2>&1 || die "apt-get install ${missing[*]}: see apt.log"
}

# build PROGRAM... makes hoft and programs of this folder. Where BUILT names a folder, whoever runs several tests has made
# them there for all.
build() {
  local p
  mkdir -p "$work/bin"
  for p in hoft "$@"; do
    if [[ ${BUILT:-} ]]; then
      ln -s "$BUILT/$p" "$work/bin/$p"
    else
      (cd "$root" && go build -o "$work/bin/$p" "$([[ $p == hoft ]] && echo . || echo "./scripts/e2e/$p")")
    fi
  done
  PATH=$work/bin:$PATH
}

# free_port prints a port that nobody listens on, below those that the system gives to clients: a site that is
# restarted gets its own again. Tests that run at the same time have different numbers in SLOT, from 0 to 3, and take none
# of each other's; nor does a test get one twice, whose first owner does not listen yet, or not at this moment.
free_port() {
  local p
  mkdir -p "$work/ports"
  for _ in {1..200}; do
    p=$((20000 + ${SLOT:-0} * 3000 + (RANDOM * 32768 + RANDOM) % 3000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null && mkdir "$work/ports/$p" 2>/dev/null; then
      printf '%s' "$p"
      return
    fi
  done
  return 1
}
