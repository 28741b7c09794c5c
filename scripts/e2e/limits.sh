#!/usr/bin/env bash
# A full outbox: calls are accepted until it is full, then refused with 503 and Retry-After, while those accepted stay. The
# operator is told. When the peer comes everything accepted is answered, and new calls are taken.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq sqlite3=sqlite3
build callee

start_callee
a_keys=("limits: {outbox_messages: 40}")
route_keys=("wait: 300ms")
sites
serve b a
code() { curl -s --max-time 30 -o "$work/body" -D "$work/head" -w '%{http_code}' -X POST -d x "$@"; }
# The route's short wait is for calls that nobody answers.
patient=(-H 'Prefer: wait=20')
is "the peer is there: a call is answered" "$(code "${patient[@]}" "$front/job/before")" 200
end b

accepted=0 refused=0
for ((i = 0; i < 45; i++)); do
  case $(code "$front/job/waits$i") in
    504) accepted=$((accepted + 1)) ;;
    503) refused=$((refused + 1)) ;;
    *) fail "call $i" "$(<"$work/head")" ;;
  esac
done
ok "the outbox takes calls ($accepted) until it is full" test "$accepted" -ge 15
ok "and then refuses them ($refused)" test "$refused" -ge 5
has "a refused call is told when to come again" "$(<"$work/head")" '^Retry-After: [1-9][0-9]*'
is "and why" "$(jq -r .code "$work/body")" outbox-full
has "the operator is told" "$(hoft status --config "$work/a.yaml")" 'site-a|wait, new calls are refused'
is "by a code" "$(hoft status --config "$work/a.yaml" --json | jq -r '[.problems[].code] | index("outbox-full") != null')" true

serve b
drained() { [[ $(hoft status --config "$work/a.yaml" --json | jq '.peers[0].outbox.messages') == 0 ]]; }
ok "the peer comes back: the outbox drains" eventually 30 drained
answered() { [[ $(sqlite3 -readonly "$work/a/hoft.db" "select count(*) from exchanges where state = 'succeeded'") == $((accepted + 1)) ]]; }
ok "everything accepted is answered" eventually 30 answered
is "and was made once each" "$(cut -f 1 "$record" | sort | uniq -c | awk '$1 != 1' | wc -l) of $(wc -l <"$record")" "0 of $((accepted + 1))"
is "a new call is taken" "$(code "${patient[@]}" "$front/job/after")" 200

end a
end b
finish
