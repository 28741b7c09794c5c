#!/usr/bin/env bash
# The egress logs in at a real OAuth 2 server (scripts/oauth, made with ory/fosite): by secret, by signed
# assertion, by refresh token; through expiry, revocation, outage and 429. No token or secret shows anywhere.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build
(cd "$root/scripts/oauth" && go build -o "$work/bin/oauth" .)

call() { curl -sS --noproxy '*' --max-time 30 "$@"; }
code() { call -o /dev/null -w '%{http_code}' "$@"; }
start_oauth() { # NAME LIFE
  spawn "$1" oauth -ready "$work/$1.addr" -key "$work/$1.key" -life "$2"
  eventually 20 test -s "$work/$1.addr" || die "the OAuth server does not start"
}
start_oauth long 1h
start_oauth short 5s
long=$(<"$work/long.addr") short=$(<"$work/short.addr")
asked() { call "http://$1/control/asked"; }
last() { call "http://$1/control/last"; }
trouble() { call -X POST "http://$1/control/$2"; }

printf 'client-secret-CANARY\n' >"$work/secret"
call -u basic:client-secret-CANARY -d grant_type=password -d username=user -d password=password -d 'scope=orders offline' "http://$short/oauth/token" |
  jq -r .refresh_token >"$work/refresh"
chmod 600 "$work/secret" "$work/refresh"
auth() { printf "auth: {oauth2: {token_url: 'http://%s/oauth/token', scopes: [orders], %s}}" "$1" "$2"; }
callee=$long
upstream_keys=("$(auth "$long" 'client_id: basic, client_secret_file: ./secret')")
more_routes=("path: /jwt, strip_prefix: /jwt, peer: site-b, upstream: jwt" "path: /short, strip_prefix: /short, peer: site-b, upstream: short"
  "path: /refresh, strip_prefix: /refresh, peer: site-b, upstream: refresh" "path: /bare, strip_prefix: /bare, peer: site-b, upstream: bare")
more_upstreams=("name: jwt, url: 'http://$long', peers: [site-a], $(auth "$long" 'client_id: jwt, client_auth: private_key_jwt, key_file: ./long.key, key_id: k1')"
  "name: short, url: 'http://$short', peers: [site-a], $(auth "$short" 'client_id: basic, client_auth: post, client_secret_file: ./secret')"
  "name: refresh, url: 'http://$short', peers: [site-a], $(auth "$short" 'client_id: basic, client_secret_file: ./secret, refresh_token_file: ./refresh')"
  "name: bare, url: 'http://$long', peers: [site-a]")
log_level=debug
pipe_keys=("settle: 250ms")
sites
serve b a

is "without auth the server refuses" "$(code "$front/bare/api/x")" 401
is "with a secret" "$(call -d body "$front/api/x")" "granted body"
is "with a signed assertion" "$(call -d body "$front/jwt/api/x")" "granted body"
n=$(asked "$long")
for i in 1 2 3; do call -o /dev/null -d "$i" "$front/api/x"; done
is "one token serves many calls" "$(asked "$long")" "$n"
is "a caller's own token does not get through" "$(call -H 'Authorization: Bearer of-the-caller' "$front/api/x")" "granted "
is "TRACE would show it" "$(call -X TRACE "$front/api/x" | jq -r .code)" request-denied

# Revoked at the server: the call is made once more with a new token.
call -u basic:client-secret-CANARY -d "token=$(last "$long")" "http://$long/oauth/revoke"
granted() { [[ $(call -d body "$front/api/x") == "granted body" ]]; }
ok "after a revocation" eventually 10 granted # a token younger than a second is not thrown away for a 401
is "with one new token" "$(asked "$long")" $((n + 1))

# A restart keeps the token.
n=$(asked "$long")
end b
serve b
is "after a restart" "$(call -d body "$front/api/x") $(asked "$long")" "granted body $n"

# Tokens that live for five seconds: calls go on through expiry, by secret and by refresh token.
renewed() { is "short-lived, $1" "$(call -d body "$front/$1/api/x")" "granted body"; }
renewed short
renewed refresh
first=$(last "$short")
another() { [[ $(call -d body "$front/refresh/api/x") == "granted body" && $(last "$short") != "$first" ]]; }
ok "a refresh token brings the next token" eventually 20 another
first=$(last "$short")
ok "and the next" eventually 20 another

# The token server is down, then wants to be left alone, then works again.
away() { [[ $(call "$front/short/api/x" | jq -r .code 2>/dev/null) == callee-login ]]; }
trouble "$short" 503
ok "an outage of the token server" eventually 20 away
n=$(asked "$short")
has "status tells it" "$(hoft status --config "$work/b.yaml" 2>&1)" 'no token for upstream short: the token server answered with 503'
trouble "$short" 429
wanted() { [[ $(hoft status --config "$work/b.yaml" --json | jq -r '.upstreams[] | select(.name == "short") | .login') == *429* ]]; }
wanted_after_call() { call -o /dev/null "$front/short/api/x"; wanted; }
ok "it wants to be left alone" eventually 20 wanted_after_call
trouble "$short" 0
back() { [[ $(call -d body "$front/short/api/x") == "granted body" ]]; }
ok "and works again" eventually 20 back

# Nothing of it shows.
hoft status --config "$work/b.yaml" --json >"$work/seen.out" 2>&1 || true
hoft config show --config "$work/b.yaml" --origin >>"$work/seen.out" 2>&1
end a
end b
tokens=$(last "$long")
secretive() { ! grep -rlaE "client-secret-CANARY|$(tr -d '\n' <"$work/refresh")|${tokens//./\\.}" "$work"/*.log "$work"/*.out "$work"/b/hoft.db* "$work"/a/hoft.db* "$work"/{a,b}-out; }
ok "no secret or token in logs, output, databases or the pipe" secretive
is "what is stored is sealed" "$(sqlite3 -readonly "$work/b/hoft.db" "select count(*) from credentials where kind = 'oauth2'")" 4
finish
