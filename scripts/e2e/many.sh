#!/usr/bin/env bash
# Any-to-any: four sites in one shared folder. Three of them list each other as peers and have both roles; every one
# calls every other at the same time. The fourth is in nobody's list, and lists one of them: its files are left alone, it
# gets no answer, and what is no file of hoft at all is left alone too.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee load

calls=${CALLS:-300}
friends=(p q r)
start_callee
mkdir "$work/share"
declare -A id port
for s in "${friends[@]}" x; do
  hoft keys gen --name "site-$s" --state-dir "$work/$s" >/dev/null
  hoft keys export --state-dir "$work/$s" >"$work/$s.pub.jwks"
  id[$s]=$(jq -r .id "$work/$s.pub.jwks")
  port[$s]=$(free_port)
done

# config SITE PEER...: a site with both roles, and a route and an admission for each peer.
config() {
  local s=$1 p
  shift
  say "name: site-$s"
  say "state_dir: ./$s"
  say "pipe: {outbox: ./share, inbox: ./share, settle: 250ms}"
  say "log: {level: debug, format: json}"
  say "peers:"
  for p; do say "  - {name: site-$p, keys: ./$p.pub.jwks}"; done
  say "ingress:"
  say "  listen: 127.0.0.1:${port[$s]}"
  say "  routes:"
  for p; do say "    - {path: /$p, strip_prefix: /$p, peer: site-$p, upstream: callee, wait: 60s}"; done
  say "egress:"
  say "  upstreams:"
  say "    - {name: callee, url: 'http://$callee', peers: [$(printf 'site-%s, ' "$@" | sed 's/, $//')]}"
}
config p q r >"$work/p.yaml"
config q p r >"$work/q.yaml"
config r p q >"$work/r.yaml"
config x p >"$work/x.yaml"

# Other tenants of the folder, some with names that look like hoft's.
stranger=00000000-0000-4000-8000-000000000001
mkdir "$work/share/$stranger" "$work/share/photos"
printf x >"$work/share/readme.txt"
printf x >"$work/share/photos/1.jwe"
printf x >"$work/share/$stranger/$stranger--${id[p]}--1763798400123001.jwe"
printf x >"$work/share/.$stranger--${id[x]}--0123456789abcdef.part"

serve p q r x
mkdir -p "$work/share/${id[p]}"
printf x >"$work/share/${id[p]}/${id[p]}--$stranger--1763798400123001.jwe"
foreign() { (cd "$work/share" && find readme.txt photos "$stranger" ".$stranger--${id[x]}--0123456789abcdef.part" "${id[p]}/${id[p]}--$stranger--1763798400123001.jwe" -type f | sort); }
before=$(foreign)

is "the unlisted site takes a call" "$(curl -s -o /dev/null --max-time 20 -w '%{http_code}' -H 'Prefer: respond-async' "http://127.0.0.1:${port[x]}/p/job/unlisted")" 202
for s in "${friends[@]}"; do
  for p in "${friends[@]}"; do
    [[ $s != "$p" ]] || continue
    spawn "load-$s-$p" load -url "http://127.0.0.1:${port[$s]}/$p" -n "$calls" -c 8 -prefix "$s-$p" -methods POST,PUT,GET -patience 100s -within 10m
  done
done
for s in "${friends[@]}"; do
  for p in "${friends[@]}"; do
    [[ $s != "$p" ]] || continue
    eventually 600 gone "${pid[load-$s-$p]}" || die "calls from $s to $p do not end"
    reap "load-$s-$p"
    is "from $s to $p: every answer is right" "$(jq -r '"\(.right) right, \(.wrong) wrong"' "$work/load-$s-$p.out")" "$calls right, 0 wrong"
  done
done
is "every call was made once" "$(grep -cE '^[pqr]-[pqr]' "$record") $(cut -f 1 "$record" | sort | uniq -d | wc -l)" "$((6 * calls)) 0"

# The unlisted one has written for p: nobody opened, answered or removed it.
from_x() { find "$work/share/${id[p]}" -name "*--${id[x]}--*.jwe" | wc -l; }
written() { (($(from_x) > 0)); }
ok "the unlisted site has written for p" eventually 20 written
is "p did not make its call" "$(executed unlisted)" 0
is "nobody has written for the unlisted site" "$({ find "$work/share/${id[x]}" -name '*.jwe' 2>/dev/null || true; } | wc -l)" 0
is "p has nothing of it in quarantine" "$({ find "$work/p/quarantine" -name "*${id[x]}*" 2>/dev/null || true; } | wc -l)" 0
is "p says that files of strangers were passed over" "$(hoft status --config "$work/p.yaml" --json | jq '.pipe.skipped.stranger > 0')" true
is "to x, p was never there" "$(hoft status --config "$work/x.yaml" --json | jq -r '.peers[0].state')" never
is "what other tenants have there is left alone" "$(foreign)" "$before"

# When all is said the folder holds no more than what each has last said to each.
count() { find "$work/share" -name '*.jwe' -path "*--$1--*" | wc -l; }
calm() { local s; for s in "${friends[@]}"; do (($(count "${id[$s]}") <= 4)) || return 1; done; }
ok "at rest a site leaves at most two files for each peer" eventually 30 calm
for s in "${friends[@]}"; do is "$s has no other problem" "$(hoft status --config "$work/$s.yaml" --json | jq -c '[.problems[].code]')" "[]"; done
for s in "${friends[@]}" x; do end "$s"; done
ok "the databases are whole" test "$(for s in "${friends[@]}" x; do sqlite3 "$work/$s/hoft.db" 'PRAGMA integrity_check'; done | sort -u)" = ok
finish
