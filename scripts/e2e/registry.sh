#!/usr/bin/env bash
# Package clients through two sites: npm publishes and installs, Go fetches modules with checksums. What they get is what
# they get directly.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need node=nodejs npm=npm curl=curl jq=jq
build registry
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

# A module proxy's folder: two modules of hoft's own dependencies, as the module cache holds them.
cache=$(go env GOMODCACHE)/cache/download
mkdir -p "$work/modules"
modules=(github.com/google/uuid golang.org/x/sys)
for m in "${modules[@]}"; do
  (cd "$root" && go mod download "$m")
  mkdir -p "$work/modules/$m"
  cp -r "$cache/$m/@v" "$work/modules/$m/"
done
spawn registry registry -ready "$work/registry.addr" -modules "$work/modules"
eventually 20 test -s "$work/registry.addr" || die "the registry does not start"
callee=$(<"$work/registry.addr")
pipe_keys=("settle: 250ms")
sites
serve b a
direct=http://$callee

quiet() { "$@" >"$work/quiet.out" 2>&1 || { cat "$work/quiet.out" >&2; return 1; }; }

# Go: download into an empty cache, checked against hoft's go.sum.
fetch() { # NAME ADDRESS
  mkdir -p "$work/go-$1"
  cp "$root/go.sum" "$work/go-$1/"
  printf 'module probe\n\ngo 1.24\n' >"$work/go-$1/go.mod"
  for m in "${modules[@]}"; do
    (cd "$work/go-$1" && GOPROXY=$2/go GONOSUMDB=* GONOSUMCHECK=1 GOFLAGS=-mod=mod GOMODCACHE=$work/cache-$1 GOTOOLCHAIN=local \
      go get "$m@$(cd "$root" && go list -m -f '{{.Version}}' "$m")" 2>&1)
  done
}
ok "go get, directly" quiet fetch direct "$direct"
ok "go get, by hoft" quiet fetch via "$front"
same_modules() { diff -r "$work/cache-direct/github.com" "$work/cache-via/github.com" && diff -r "$work/cache-direct/golang.org" "$work/cache-via/golang.org"; }
ok "the same modules" same_modules
is "the same checksums" "$(sort "$work/go-via/go.sum" | sha256sum)" "$(sort "$work/go-direct/go.sum" | sha256sum)"
has "a module that is not there" "$(cd "$work/go-via" && GOPROXY=$front/go GONOSUMDB=* GOFLAGS=-mod=mod GOMODCACHE=$work/cache-via go get example.org/none 2>&1 || true)" '404 Not Found'

# npm: publish by hoft, install by hoft and directly.
export HOME=$work/home npm_config_cache=$work/npm-cache npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_progress=false
export npm_config_replace_registry_host=always
mkdir -p "$HOME" "$work/pkg"
printf '{"name":"hoft-probe","version":"1.2.3","main":"index.js"}\n' >"$work/pkg/package.json"
printf 'module.exports = "carried";\n' >"$work/pkg/index.js"
head -c 300000 /dev/urandom >"$work/pkg/blob.bin"
registry_of() { printf '%s/npm/' "$1"; }
login() { printf '//%s/npm/:_authToken=%s\n' "${1#http://}" "$2" >"$HOME/.npmrc"; }
login "$front" wrong
npm_publish() { (cd "$work/pkg" && npm publish --registry "$(registry_of "$front")" 2>&1); }
has "npm publish with a wrong token" "$(npm_publish || true)" 'E401'
login "$front" npm-token
ok "npm publish" quiet npm_publish
for how in via direct; do
  from=$([[ $how == direct ]] && printf %s "$direct" || printf %s "$front")
  mkdir -p "$work/app-$how"
  printf '{"name":"app","version":"1.0.0"}\n' >"$work/app-$how/package.json"
  npm_install() { (cd "$work/app-$how" && npm install hoft-probe --registry "$(registry_of "$from")" --cache "$work/npm-$how" 2>&1); }
  ok "npm install, $how" quiet npm_install
  is "what was installed, $how" "$(cd "$work/app-$how" && node -p 'require("hoft-probe")')" carried
  ok "its blob, $how" cmp "$work/pkg/blob.bin" "$work/app-$how/node_modules/hoft-probe/blob.bin"
done
is "the same integrity" "$(jq -r '.packages["node_modules/hoft-probe"].integrity' "$work/app-via/package-lock.json")" \
  "$(jq -r '.packages["node_modules/hoft-probe"].integrity' "$work/app-direct/package-lock.json")"
finish
