# The steps of .ci/run, one function each; sourced from the root of the repository.
# shellcheck shell=bash

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.1
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.8.0
sim_deliveries=1000000
fuzz_runs=20000x # a count, not a time: a run that ends by the clock may be counted as failed
# What releases are made for: those that are built here, so that each system and each processor is among them (this
# machine's own is in every test), and those of which it is only seen that every package has something for them.
built_for='linux/arm64 darwin/arm64 windows/amd64'
listed_for='linux/amd64 darwin/amd64 windows/arm64'
# As releases are, and the same for all steps, so that little is compiled twice. The race detector needs it.
export CGO_ENABLED=0

run_step() {
  local name=$1 started=$SECONDS
  if ! declare -F "step_$name" >/dev/null; then
    echo ".ci/run: no step is called $name; there are: ${all[*]}" >&2
    return 2
  fi
  printf '\n=== %s\n' "$name"
  "step_$name"
  printf -- '--- %s: ok, %ds\n' "$name" $((SECONDS - started))
}

# install PACKAGE...: Debian packages that are not there yet.
install() {
  local missing=() package sudo=()
  for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  echo "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# need COMMAND PACKAGE: the package, if the command is not there.
need() {
  command -v "$1" >/dev/null || install "$2"
}

# directories of every module: the root, and nested ones that keep test data out of hoft's go.mod.
modules() {
  git ls-files -co --exclude-standard -- 'go.mod' '*/go.mod' | xargs -n1 dirname
}

nested_modules() {
  modules | grep -vx . || true
}

step_tools() {
  need git git
  need go golang-go # an older one fetches the version that go.mod names
  need gcc gcc      # for the race detector
  need curl curl
  go version
}

step_format() {
  local bad
  bad=$(git ls-files -co --exclude-standard -- '*.go' | xargs gofmt -l)
  if [ -n "$bad" ]; then
    echo "not as gofmt writes it:"
    echo "$bad"
    return 1
  fi
}

step_vet() {
  go vet ./...
}

step_tidy() {
  local dir
  for dir in $(modules); do
    (cd "$dir" && go mod tidy -diff)
  done
}

step_staticcheck() {
  go run "$staticcheck" ./...
}

# The database of vulnerabilities is elsewhere and may be out of reach; nothing else may be passed over.
step_vulnerabilities() {
  local out code=0
  out=$(go run "$govulncheck" ./... 2>&1) || code=$?
  echo "$out"
  if [ $code != 0 ] && grep -qE 'fetching vulnerabilities|vuln\.go\.dev' <<<"$out"; then
    echo '!!! NOT CHECKED for known vulnerabilities: the database at vuln.go.dev cannot be reached from here !!!'
    return 0
  fi
  return $code
}

# The README's command. What all tests log and print is searched for what must never show there, as every end-to-end
# test searches what its sites logged.
step_test() {
  local log secret='"(d|k|phs)" ?: ?"[A-Za-z0-9_-]{43}|PRIVATE KEY-|Bearer [A-Za-z0-9._~-]{24}'
  grep -qE "$secret" <<<'{"kty":"OKP","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}'
  log=$(mktemp)
  if ! go test -vet=off -v ./... >"$log" 2>&1; then
    grep -vE '^ *(=== |--- PASS|PASS$)|no test files' "$log"
    rm "$log"
    return 1
  fi
  grep '^ok' "$log"
  if grep -nE "$secret" "$log"; then
    echo 'a test logs or prints what must never show'
    rm "$log"
    return 1
  fi
  echo "no secret in $(wc -l <"$log") lines"
  rm "$log"
}

# The simulation and the state machines play one event at a time, so there is nothing to race. What a test repeats with other
# random choices it repeats less often here (-short): the step before has had all of them.
step_race() {
  go list ./... | grep -vE '/(internal/sim|pkg/link|pkg/bulk)$' | CGO_ENABLED=1 xargs go test -race -short -vet=off -timeout 30m
}

# Whole sites on a simulated clock until so many files were delivered under faults, some worlds with packs, and the test of that test.
step_sim() {
  GOGC=400 go test ./internal/sim -run '^TestSeeds$' -v -timeout 40m -sim.bare -sim.seeds=40 -sim.deliveries="$sim_deliveries" | grep -v '^=== \|--- PASS'
  GOGC=400 go test ./internal/sim -run '^TestSeeds$' -v -timeout 40m -sim.packs -sim.seeds=60 | grep -v '^=== \|--- PASS'
  scripts/ci/planted
}

step_modules() {
  local dir
  for dir in $(nested_modules); do
    echo "module $dir"
    (cd "$dir" && go vet ./... && go test ./...)
  done
}

step_cross() {
  local platform
  for platform in $built_for; do
    echo "$platform"
    GOOS=${platform%/*} GOARCH=${platform#*/} go build -o /dev/null .
  done
  for platform in $listed_for; do
    GOOS=${platform%/*} GOARCH=${platform#*/} go list -deps . >/dev/null
  done
  for platform in darwin/arm64 windows/amd64; do # tests must compile elsewhere too
    echo "vet for $platform"
    GOOS=${platform%/*} GOARCH=${platform#*/} go vet ./...
  done
}

# Each fuzz target for a moment: enough to try its corpus and the neighbourhood.
step_fuzz() {
  local file dir target count=0
  while IFS=: read -r file target; do
    dir=$(dirname "$file")
    echo "$dir $target"
    count=$((count + 1))
    (cd "$dir" && go test -vet=off -run='^$' -fuzz="^$target\$" -fuzztime="$fuzz_runs" -fuzzminimizetime=100x .)
  done < <(git ls-files -co --exclude-standard -- '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z0-9_]*' /dev/null | sed 's/:func /:/')
  echo "$count targets"
}

# prepare FILE...: each must be executable. What it needs is installed: lines "# apt: package ..." and "need command=package ...".
prepare() {
  local script pair
  for script in "$@"; do
    if [ ! -x "$script" ]; then
      echo "$script is not executable"
      return 1
    fi
    # shellcheck disable=SC2046 # a list of words
    install $(sed -n 's/^# apt: *//p' "$script")
    for pair in $(sed -n 's/^need //p' "$script"); do
      [ -x "/usr/sbin/${pair%%=*}" ] || need "${pair%%=*}" "${pair#*=}"
    done
  done
}

# built: hoft and the programs of scripts/e2e, once for all scripts, in $BUILT.
built() {
  [ -z "${BUILT:-}" ] || return 0
  BUILT=$(mktemp -d)
  export BUILT
  trap 'rm -rf "$BUILT"' EXIT
  chmod 755 "$BUILT" # some tests run as other users
  go build -o "$BUILT/" . ./scripts/e2e/...
}

# run_scripts FILE...: up to three at a time, as most of them wait for timers of sites; those with a line "# ci: long" begin first,
# those with "# ci: alone" (what they count depends on time) have the machine to themselves at the end.
run_scripts() {
  local long=() alone=() rest=() script
  prepare "$@"
  for script; do
    case $(sed -n 's/^# ci: //p' "$script") in
      long) long+=("$script") ;;
      alone) alone+=("$script") ;;
      *) rest+=("$script") ;;
    esac
  done
  run_pool 3 "${long[@]}" "${rest[@]}" && run_pool 1 "${alone[@]}"
}

# run_pool N FILE...: N at a time. What a script prints is shown when it ends; after a failure none is begun.
run_pool() {
  local slots=$1 script slot pid code bad=0 logs
  shift
  local queue=("$@")
  local -A running=() began=()
  logs=$(mktemp -d)
  while [ ${#queue[@]} -gt 0 ] || [ ${#running[@]} -gt 0 ]; do
    for ((slot = 0; slot < slots; slot++)); do
      if [ ${#queue[@]} -gt 0 ] && [ -z "${running[$slot]:-}" ]; then
        SLOT=$slot "./${queue[0]}" >"$logs/$slot" 2>&1 &
        running[$slot]="$! ${queue[0]}" began[$slot]=$SECONDS
        queue=("${queue[@]:1}")
      fi
    done
    code=0
    wait -n -p pid || code=$?
    for slot in "${!running[@]}"; do
      script=${running[$slot]#* }
      [ "${running[$slot]%% *}" = "$pid" ] || continue
      echo "$script"
      cat "$logs/$slot"
      if [ $code = 0 ]; then
        echo "$script: ok, $((SECONDS - began[$slot]))s"
      else
        echo "$script: FAILED with $code, $((SECONDS - began[$slot]))s"
        bad=1 queue=()
      fi
      unset "running[$slot]"
    done
  done
  rm -rf "$logs"
  return $bad
}

step_end-to-end() {
  built
  run_scripts scripts/e2e/*.sh
}

# Kills, power cuts, full and vanishing disks: the short form. The long one is for docs/reliability.md.
step_crash() {
  need strace strace
  need setpriv util-linux
  prepare scripts/crash/*.sh
  built
  scripts/crash/run --short
}

step_interop() {
  need node nodejs
  need npm npm
  run_scripts scripts/interop-*/run
}

step_readme() {
  local page
  for page in README.md $(grep -l '^<!-- run' docs/*.md); do
    go run ./internal/readme "$page"
  done
}
