#!/usr/bin/env bash
# The four ways to wait, through a mover that takes its time with each file (DELAY=20s for the long run, 2s else): held
# connection, poll, callback, events; each gets the callee's true answer. Then the ingress is killed between acceptance
# and answer: poll, callback (once, the same webhook-id) and the resumed stream still arrive. Deadlines, cancels, keys,
# rates; and after results.ttl nothing of a call is found in the state folder.
# ci: long
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee mover hooks

delay=${DELAY:-2s}
patience=$(( ${delay%s} * 12 + 60 ))
carrier=mover
pipe_keys=("settle: 250ms")
route_keys=("wait: ${patience}s")
more_routes=("path: /quick, strip_prefix: /quick, peer: site-b, upstream: callee, wait: 100ms" "path: /later, strip_prefix: /later, peer: site-b, upstream: callee, mode: async")
mkdir -p "$work/hooks"
spawn hooks hooks -ready "$work/hooks.addr" -secret "$work/a/callbacks.secret" -dir "$work/hooks"
eventually 20 test -s "$work/hooks.addr" || die "the receiver does not start"
hook=http://$(<"$work/hooks.addr")/in
a_keys=("callbacks: {allow: ['http://127.0.0.1:*/in']}")
start_callee
spawn twin callee -ready "$work/twin.addr" -record "$work/twin" -gates "$work/gates"
eventually 20 test -s "$work/twin.addr" || die "the second callee does not start"
sites
carry -delay-min "$delay" -delay-max "$delay"
serve b a

canary=Canary$(od -An -tx1 -N12 /dev/urandom | tr -d ' \n')xyzzy
call() { curl -s --max-time "$patience" "$@"; }
post() { call -X POST --data-binary "body-$canary" -H "X-Canary: $canary" "$@"; }
# truth ID prints what the callee says to the POST with this id: a second one, which says the same, is asked directly.
truth() { post "http://$(<"$work/twin.addr")/job/$1"; }
state=/.hoft/v1/exchanges
# accept ID FIELDS... posts a call that is not held and prints the id of its exchange.
accept() {
  local id=$1
  shift
  post -o /dev/null -D "$work/head.$id" -H 'Prefer: respond-async' "$@" "$front/job/$id"
  sed -n 's/^Hoft-Exchange: //p' "$work/head.$id" | tr -d '\r'
}
poll() { # until it has ended; the server waits, not the client
  until [[ $(call -H 'Prefer: wait=30' "$front$state/$1" | jq .done) == true ]]; do :; done
}

# One POST in four ways at once. What is asked while it is under way is asked before the mover carries anything.
halt mover
post "$front/job/held" >"$work/held.got" &
held=$!
polled=$(accept polled)
called=$(accept called -H "Hoft-Callback-Url: $hook?x=1" -H 'Hoft-Callback-Events: stages')
streamed=$(accept streamed)
call -N "$front$state/$streamed/events" >"$work/stream" &
stream=$!
has "202 says where to ask" "$(<"$work/head.polled")" "^Location: $state/$polled"
has "and when" "$(<"$work/head.polled")" '^Retry-After: [1-9]'
has "and that the preference counted" "$(<"$work/head.polled")" '^Preference-Applied: respond-async'
is "while it is under way the answer is pending" "$(call -o /dev/null -w '%{http_code}' "$front$state/$polled/response")" 202
kill -CONT "${pid[mover]}"
wait "$held"
is "held: the true answer" "$(<"$work/held.got")" "$(truth held)"
poll "$polled"
is "polled: the true answer" "$(call "$front$state/$polled/response")" "$(truth polled)"
ok "callback: it came" eventually "$patience" test -s "$work/hooks/$called.completed"
is "callback: the true answer" "$(jq -r .data.response.body "$work/hooks/$called.completed")" "$(truth called)"
ok "callback: a stage came too" eventually 60 test -s "$work/hooks/$called.arrived"
wait "$stream"
is "events: the stages, in order" "$(sed -n 's/^event: exchange\.//p' "$work/stream" | paste -sd' ')" "accepted queued written arrived calling answered completed"
is "events: the answer is there then" "$(call "$front$state/$streamed/response")" "$(truth streamed)"
is "a part of it" "$(call -r 5-9 "$front$state/$streamed/response")" "$(truth streamed | cut -c 6-10 | head -n 1)"
for id in held polled called streamed; do is "$id was executed once" "$(executed "$id")" 1; done

# The ingress is killed between acceptance and answer: the mover carries nothing until it is dead.
halt mover
polled=$(accept k-polled)
called=$(accept k-called -H "Hoft-Callback-Url: $hook")
streamed=$(accept k-streamed)
call -N "$front$state/$streamed/events" >"$work/cut" 2>/dev/null &
stream=$!
ok "the stream begins" eventually 20 grep -q 'exchange.written' "$work/cut"
crash a
kill -CONT "${pid[mover]}"
wait "$stream" || true
last=$(sed -n 's/^id: //p' "$work/cut" | tail -n 1)
is "nothing was answered before the kill" "$(executed k-polled) $(find "$work/hooks" -name "$called*" | wc -l)" "0 0"
serve a
call -N -H "Last-Event-ID: $last" "$front$state/$streamed/events" >"$work/rest"
is "the resumed stream goes on where it was cut, to the end" "$(cat "$work/cut" "$work/rest" | sed -n 's/^event: exchange\.//p' | paste -sd' ')" \
  "accepted queued written arrived calling answered completed"
poll "$polled"
is "the poll gets the true answer" "$(call "$front$state/$polled/response")" "$(truth k-polled)"
ok "the callback comes" eventually "$patience" test -s "$work/hooks/$called.completed"
is "with the true answer" "$(jq -r .data.response.body "$work/hooks/$called.completed")" "$(truth k-called)"
is "once, verified" "$(grep "$called" "$work/hooks/tries" | paste -sd' ')" "$called.completed	verified"
for id in k-polled k-called k-streamed; do is "$id was executed once" "$(executed "$id")" 1; done

# A deadline passes while the mover stands still.
halt mover
late=$(accept late -H 'Hoft-Deadline: 4s' -H "Hoft-Callback-Url: $hook")
soon=$(accept soon -H 'Hoft-Deadline: 4s')
written() { [[ $(call "$front$state/$1" | jq -r .stage) == written ]]; }
for id in "$late" "$soon"; do ok "before a deadline: the file is written" eventually 20 written "$id"; done
sleep 8 # the deadline is a time, and what a file took is known to the second
canceled=$(accept canceled)
ok "its file is written" eventually 20 written "$canceled"
before=$(find "$work/a-out" -name '*.jwe' -printf '%f\n' | sort | sed -n '$p')
is "a cancel waits for the far side" "$(call -X DELETE -o "$work/cancel.json" -w '%{http_code}' "$front$state/$canceled") $(jq -r .stage "$work/cancel.json")" "202 canceling"
# It overtakes its request: else b could make the call before it reads what was written later.
halt b
kill -CONT "${pid[mover]}"
# of NEWER FOLDER prints the files of a folder that were written before the cancel, or since then.
of() { find "$work/$2" -name '*.jwe' -printf '%f %p\n' | sort | awk -v last="$before" -v newer="$1" '($1 > last) == newer { print $2 }'; }
carried() { [[ ! $(of 0 a-out) && $(of 1 b-in) ]]; }
ok "the mover goes on" eventually 60 carried
mapfile -t earlier < <(of 0 b-in)
mapfile -t later < <(of 1 b-in)
mkdir "$work/overtaken"
mv "${earlier[@]}" "$work/overtaken/"
kill -CONT "${pid[b]}"
taken() {
  local f
  for f in "${later[@]}"; do [[ ! -e $f ]] || return 1; done
}
ok "the cancel is read first" eventually 20 taken
mv "$work/overtaken"/* "${earlier[0]%/*}/"
for id in "$late" "$soon"; do poll "$id"; done
is "a deadline: the caller is told" "$(call "$front$state/$late" | jq -r '.status, .error.code' | paste -sd' ')" "Failed deadline-passed"
ok "a deadline: the callback says so" eventually "$patience" grep -q '"code":"deadline-passed"' "$work/hooks/$late.completed"
is "a deadline: the far side says so too" "$(sqlite3 -readonly "$work/b/hoft.db" "select problem from exchanges where side = 1 and lower(hex(id)) = '${late//-/}'")" deadline-passed
poll "$canceled"
is "a cancel: ended by the far side's word" "$(call "$front$state/$canceled" | jq -r .status)" Canceled
is "none of them was executed" "$(executed late) $(executed soon) $(executed canceled)" "0 0 0"

# Requests and their answers: expected, seen.
end a
printf 'limits: {caller_in_flight: 8, caller_calls: 30/m, caller_bytes: 64KiB/m}\n' >>"$work/a.yaml"
serve a
say "      $(printf '%-58s %-9s %s' request expected seen)"
row() { # WHAT EXPECTED CURL-ARGS...
  local what=$1 want=$2 seen
  shift 2
  seen=$(call -o "$work/body" -D "$work/head" -w '%{http_code}' "$@")
  say "      $(printf '%-58s %-9s %s' "$what" "$want" "$seen")"
  is "$what" "$seen" "$want"
}
data() { head -c "$1" /dev/zero | tr '\0' x >"$work/data"; }
row "respond-async" 202 -H 'Prefer: respond-async' -d x "$front/job/r1"
row "a route with mode: async" 202 -d x "$front/later/job/r2"
row "the same, but the caller waits" 200 -H "Prefer: wait=$patience" -d x "$front/later/job/r3"
row "no preference, too late" 504 -d x "$front/quick/job/r4"
row "a new key" 200 -H 'Idempotency-Key: "k1"' -d x "$front/job/r5"
row "the same again" 200 -H 'Idempotency-Key: "k1"' -d x "$front/job/r5"
has "and it is said so" "$(<"$work/head")" '^Hoft-Replayed: true'
is "it was executed once" "$(executed r5)" 1
row "the same key, another body" 422 -H 'Idempotency-Key: "k1"' -d y "$front/job/r5"
row "a key that is no string" 400 -H 'Idempotency-Key: a b' -d x "$front/job/r5"
row "a callback elsewhere" 403 -H 'Hoft-Callback-Url: http://127.0.0.1:1/out' -d x "$front/job/r6"
row "a list without a name" 403 "$front$state"
row "an unknown exchange" 404 "$front$state/01a201e6-a330-7c55-9e1b-6a0d1c2b7e44"
data 130000
row "64 KiB in a minute are used up by this one" 202 -H 'Prefer: respond-async' --data-binary "@$work/data" "$front/job/r7"
row "bytes: the next has to wait" 429 -H 'Prefer: respond-async' -d x "$front/job/r8"
has "as long as it is told" "$(<"$work/head")" '^Retry-After: [1-9]'
open_calls() { [[ $(sqlite3 -readonly "$work/a/hoft.db" "select count(*) from exchanges where state = 'running'") == 0 ]]; }
ok "everything accepted has ended" eventually "$patience" open_calls
end a
sed -i 's/^limits: .*/limits: {caller_in_flight: 2}/' "$work/a.yaml"
end b
serve a
row "in flight: the first" 202 -H 'Prefer: respond-async' -d x "$front/job/f1"
row "in flight: the second" 202 -H 'Prefer: respond-async' -d x "$front/job/f2"
row "in flight: one too many" 429 -H 'Prefer: respond-async' -d x "$front/job/f3"
end a
sed -i 's/^limits: .*/limits: {peer_calls: 2\/h}/' "$work/a.yaml"
serve b a
for n in 1 2; do row "calls to the peer, $n of 2 in an hour" 202 -H 'Prefer: respond-async' -d x "$front/job/p$n"; done
row "calls to the peer: one too many" 429 -H 'Prefer: respond-async' -d x "$front/job/p3"
limit() { # LIMITS: site a starts anew with them
  end a
  sed -i "s|^limits: .*|limits: {$1}|" "$work/a.yaml"
  serve a
}
limit "caller_calls: 2/h"
for n in 1 2; do row "calls of a caller, $n of 2 in an hour" 202 -H 'Prefer: respond-async' -d x "$front/job/c$n"; done
row "calls of a caller: one too many" 429 -H 'Prefer: respond-async' -d x "$front/job/c3"
limit "peer_bytes: 64KiB/h"
row "64 KiB to the peer in an hour are used up by this one" 202 -H 'Prefer: respond-async' --data-binary "@$work/data" "$front/job/y1"
row "bytes to the peer: the next has to wait" 429 -H 'Prefer: respond-async' -d x "$front/job/y2"
ok "all of it is answered" eventually "$patience" open_calls
end b
limit "peer_in_flight: 1"
row "in flight to the peer: the first" 202 -H 'Prefer: respond-async' -d x "$front/job/g1"
row "in flight to the peer: one too many" 429 -H 'Prefer: respond-async' -d x "$front/job/g2"
serve b
ok "and so have these" eventually "$patience" open_calls

# After results.ttl nothing of a call is left in the state folder of the callers' side, nor of the callees'.
patterns() { # the text, and what base64 makes of it at each offset
  printf '%s\n' "$canary"
  local pad
  for pad in '' x xx; do printf '%s%s' "$pad" "$canary" | base64 -w0 | sed -E 's/^.{4}//; s/.{4}=*$//' | cut -c 1-24; printf '\n'; done
}
patterns | sed '/^$/d' >"$work/patterns"
found() { grep -rlaFf "$work/patterns" "$work/$1" | wc -l; }
ok "the search finds the canary while it is stored" test "$(found a)" -gt 0
end a
end b
hoft serve --config "$work/a.yaml" --set results.ttl=1s >"$work/a.out" 2>>"$work/a.log" &
pid[a]=$!
disown
spawn b hoft serve --config "$work/b.yaml" --set results.ttl=1s
clean() { [[ $(found "$1") == 0 ]]; }
ok "nothing of it is left at a" eventually 100 clean a
ok "nothing of it is left at b" eventually 100 clean b
has "the answer is gone, and it is said so" "$(call -o /dev/null -w '%{http_code}' "$front$state/$polled/response")" '^(410|404)$'
say "      peak memory: a $(peak a)"
finish
