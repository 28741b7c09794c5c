#!/usr/bin/env bash
# A page in Chromium, directly and through two sites: fetch, streams, EventSource, forms, cookies, ranges, broken answers.
# apt: chromium
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need chromium=chromium node=nodejs npm=npm
build
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
mkdir -p "$work/browser"
cp "$e2e/browser/package.json" "$e2e/browser/browser.mjs" "$work/browser/"
(cd "$work/browser" && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts)
export CHROMIUM HOME=$work/home
CHROMIUM=$(command -v chromium)
mkdir -p "$HOME"

spawn page node "$work/browser/browser.mjs" serve "$work/page.addr"
eventually 20 test -s "$work/page.addr" || die "the page's server does not start"
callee=$(<"$work/page.addr")
pipe_keys=("settle: 250ms")
sites
serve b a
ok "the page, directly" eval 'node "$work/browser/browser.mjs" load "http://$callee/" >"$work/direct.txt"'
ok "the page, by hoft" eval 'node "$work/browser/browser.mjs" load "$front/" >"$work/via.txt"'
is "it sees the same" "$(<"$work/via.txt")" "$(<"$work/direct.txt")"
has "events come, and go on where they were" "$(<"$work/via.txt")" '^events \["tick 1#1","tick 2#2","tick 3#3","tick 4#4","tick 5#5"\]'
has "a stream comes in parts" "$(<"$work/via.txt")" '^stream \[true,"one two three"\]'
has "a broken answer is seen as broken" "$(<"$work/via.txt")" '^broken "seen as broken"'
is "nothing failed" "$(grep -c error "$work/via.txt" || true)" 0
say "$(sed 's/^/      /' "$work/via.txt" | cut -c 1-150)"
finish
