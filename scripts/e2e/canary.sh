#!/usr/bin/env bash
# Secrets of every kind go through two sites that log everything, in calls that work and calls that fail. Then all that was
# logged, printed, answered to others or put into the pipe is searched for them.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq
build callee
start_callee

canary() { printf 'CANARYx%s' "$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')"; }
for what in token password bearer key basic query authorization cookie body field idempotency; do
  declare "s_$what=$(canary)"
done
for what in token password bearer key basic; do
  v=s_$what
  printf '%s\n' "${!v}" >"$work/$what.secret"
  chmod 600 "$work/$what.secret"
done
export HOFT_TEST_CANARY=$s_key
ingress_keys=("callers:" "  - {name: robot, token_file: ./token.secret}" "  - {name: person, password_file: ./password.secret}")
upstream_keys=("auth: {bearer_file: ./bearer.secret, fields: [{name: X-Api-Key, value_file: 'env:HOFT_TEST_CANARY'}], cookies: true}")
more_upstreams=("name: basic, url: 'http://$callee', peers: [site-a], auth: {basic: {user: u, password_file: ./basic.secret}}"
  "name: dead, url: 'http://127.0.0.1:1', peers: [site-a]"
  "name: unnamed, url: 'http://nothing.invalid', peers: [site-a], auth: {oauth2: {token_url: 'http://127.0.0.1:1/', client_id: me, client_secret_file: ./key.secret}}")
for u in basic dead unnamed; do more_routes+=("path: /$u, strip_prefix: /$u, peer: site-b, upstream: $u"); done
log_level=trace
pipe_keys=("settle: 250ms" "consume: keep")
sites
serve b a

# What comes back to the one who sent it is not searched; what is answered to a stranger is.
call() { curl -sS --noproxy '*' --max-time 100 "$@"; }
mine() { call -H "Proxy-Authorization: Bearer $s_token" -H "Authorization: Bearer $s_authorization" -H "Cookie: session=$s_cookie" -H "X-Secret: $s_field" "$@" >/dev/null 2>&1 || true; }
for path in /reflect/x /status/500 /redirect /basic/reflect/y /dead/x /unnamed/x /nowhere; do
  mine "$front$path?q=$s_query"
  mine -X POST --data-binary "$s_body" -H "Idempotency-Key: $s_idempotency$RANDOM" "$front$path?q=$s_query"
done
mine -X CONNECT "$front/x?$s_query"
mine -H 'Host: evil.example' "$front/x?$s_query"
mine -H "Bad Name: $s_field" "$front/x?$s_query"
mine -H 'Prefer: respond-async' -X POST -d "$s_body" "$front/reflect/async?q=$s_query"
call -i -H "Proxy-Authorization: Basic $(printf 'person:%s' "$s_password" | base64 -w 0)" -X POST -d x "$front/echo" >"$work/stranger.out" 2>&1
for wrong in "Bearer ${s_token}x" "Basic $(printf 'person:%sx' "$s_password" | base64 -w 0)" "Digest $s_token"; do
  call -i -H "Proxy-Authorization: $wrong" "$front/x?q=$s_query" >>"$work/stranger.out" 2>&1 || true
done
call -i "$front/.hoft/problems/loop" >>"$work/stranger.out" 2>&1 || true
id=$(grep -o '"exchange":"[0-9a-f-]\{36\}"' "$work/a.log" | sed -n 1p | cut -d'"' -f4)
ok "calls were made" test -n "$id"
call -i "$front/.hoft/v1/exchanges/$id" >>"$work/stranger.out" 2>&1 || true

# Everything that an operator can print.
for s in a b; do
  for how in "status" "status --json" "config show --origin" "config show --output json" "config check" "keys list" "inspect $id" "inspect $id --json"; do
    # shellcheck disable=SC2086 # words
    hoft $how --config "$work/$s.yaml" >>"$work/printed.out" 2>&1 || true
  done
  for f in "$work"/*-out/*/*.jwe; do
    hoft inspect --config "$work/$s.yaml" "$f" >>"$work/printed.out" 2>&1 || true
  done
done
end a
end b
seen() { grep -rlaF "$1" "$work"/*.log "$work"/*.out "$work"/{a,b}-out 2>/dev/null || true; }
printf '%s' "$s_key" >"$work/control.out"
is "a secret that is there is found" "$(seen "$s_key")" "$work/control.out"
rm "$work/control.out"
is "calls worked, and calls failed" "$(grep -c '"component":"ingress".*"status":200' "$work/a.log" | awk '{print ($1 > 4)}') $(grep -c '"code":"callee-' "$work/a.log" | awk '{print ($1 > 2)}')" "1 1"
for v in token password bearer key basic query authorization cookie body field idempotency; do
  name=s_$v
  is "$v: nowhere" "$(seen "${!name}")" ""
  is "$v: nor coded" "$(seen "$(printf '%s' "${!name}" | base64 -w 0 | cut -c 1-40)")" ""
done
ok "there was something to search" test "$(cat "$work"/*.log "$work"/*.out | wc -c)" -gt 20000
finish
