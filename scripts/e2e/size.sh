#!/usr/bin/env bash
# A pipe that cuts every file at 5 MB: long bodies come whole all the same, the size settles just under 5 MB by itself, is
# shown, and is remembered over a restart; from then on nothing is cut.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq
build callee mover

start_callee
carrier=mover
pipe_keys=("settle: 500ms")
route_keys=("wait: 120s" "max_body: 64MiB")
upstream_keys=("max_response: 64MiB")
sites
carry -kind move -max-size 5000000
serve b a
peer() { hoft status --config "$work/${2:-a}.yaml" --json | jq -c ".peers[0]$1"; }
# send N: a body of 24 MiB that is like no other; it must come to the callee as it is.
send() {
  head -c $((24 << 20)) /dev/urandom >"$work/body"
  curl -s --max-time 150 -o "$work/answer" -w '%{http_code}' -X POST --data-binary "@$work/body" "$front/echo?n=$1"
}
whole() { cmp -s "$work/body" "$work/answer"; }

is "a body of 24 MiB is answered" "$(send 1)" 200
ok "with the same bytes" whole
# The limit is known when two files were cut. A site that had two long ones in the pipe knows it at once; one that had one
# tries a longer pack after 16 that came whole, by a quarter more each time: from what lies before a cut in the middle of a long
# chunk, 0.8 MB, to above 5 MB that is nine times, of 12 packs in a body or more.
for ((i = 2; i <= 24; i++)); do
  [[ $(send $i) == 200 ]] && whole || fail "body $i" "$(head -c 300 "$work/answer")"
  [[ $(peer .file_size.cut_at) == 5000000 && $(peer .file_size.cut_at b) == 5000000 ]] && break
done
is "after $i bodies both sites know the limit" "$(peer .file_size.cut_at) $(peer .file_size.cut_at b)" "5000000 5000000"
safe=$(peer .file_size.safe)
ok "the safe size, $safe, is just under it" test "$safe" -gt 4500000 -a "$safe" -lt 5000000
has "it is shown" "$(COLUMNS=200 hoft status --config "$work/a.yaml")" ' 4\.[5-9] MiB '
end a
serve a
is "it outlives a restart" "$(peer .file_size.safe)" "$safe"
end mover
cut_before=$(jq .Cut "$work/mover.out")
ok "the mover did cut files" test "$cut_before" -gt 0
: >"$work/mover.out"
carry -kind move -max-size 5000000
is "a further body is answered" "$(send 9)" 200
ok "with the same bytes" whole
end mover
say "      $(<"$work/mover.out")"
is "nothing was cut any more" "$(jq .Cut "$work/mover.out")" 0
end a
end b
finish
