#!/usr/bin/env bash
# Signed mode: what lies in the pipe can be read by a byte search and by a virus scanner, in encrypted mode by neither. Sites
# with different seals refuse each other's files and say what to do.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need curl=curl jq=jq
build callee mover

# Debian's clamscan and its library by themselves: the package also brings a service that fetches the virus database.
clamscan=$(command -v clamscan || true)
if [[ ! $clamscan ]]; then
  sudo=()
  ((EUID == 0)) || sudo=(sudo)
  mkdir "$work/clam"
  {
    "${sudo[@]}" apt-get update -q
    lib=$(apt-cache depends clamav | awk '/Depends: libclamav/ { print $2; exit }')
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -qy --no-install-recommends "$lib"
    (cd "$work/clam" && apt-get download -q clamav && dpkg -x clamav_*.deb .)
  } >"$work/apt.log" 2>&1 || die "clamscan cannot be had: see apt.log"
  clamscan=$work/clam/usr/bin/clamscan
fi

# A signature of one line for a text that nothing else has.
virus=Xhoft-$(od -An -tx1 -N12 /dev/urandom | tr -d ' \n')-virusX
printf 'Hoft.Test:0:*:%s\n' "$(printf '%s' "$virus" | od -An -tx1 | tr -d ' \n')" >"$work/local.ndb"
# scan FILE... prints how many files the scanner finds it in; seen FILE... a byte search.
scan() { "$clamscan" -d "$work/local.ndb" --no-summary -r "$@" 2>"$work/clam.err" | grep -c ' FOUND$' || true; }
seen() { { grep -rlaF -- "$virus" "$@" || true; } | wc -l; }
mkdir "$work/probe"
printf 'a%sb' "$virus" >"$work/probe/plain"
is "the scanner and the search find the text where it is" "$(scan "$work/probe") $(seen "$work/probe")" "1 1"

start_callee
carrier=mover
pipe_keys=("settle: 250ms")
a_keys=("link: {heartbeat: 2s}") b_keys=("link: {heartbeat: 2s}")
head -c 3000000 /dev/urandom >"$work/bulk"
{ printf '%s' "$virus"; head -c 3000000 /dev/urandom; } >>"$work/bulk"
printf '{"name":"%s"}' "$virus" >"$work/small"

# carried MODE: both bodies go to the callee and back; copies of all files that passed are then in $work/kept.
carried() {
  local mode=$1 s f
  rm -rf "$work"/{a,b,a-out,a-in,b-out,b-in,kept}
  sites
  carry -keep "$work/kept"
  serve b a
  for f in small bulk; do
    { printf '['; cat "$work/$f"; printf ']'; } >"$work/$f.wrapped"
    curl -sS --max-time 60 --noproxy '*' -o "$work/back" -T "$work/$f" "$front/wrap"
    ok "$mode: a $f body comes back" cmp "$work/$f.wrapped" "$work/back"
  done
  for s in a b; do hoft status --config "$work/$s.yaml" --json >"$work/$mode-$s.json"; end "$s"; done
  end mover
}

carried encrypted
is "encrypted: the files are .jwe and .pack" "$(find "$work/kept" -type f | sed 's/.*\.//' | sort -u | paste -sd' ')" "jwe pack"
is "encrypted: a byte search finds nothing in $(find "$work/kept" -type f | wc -l) files" "$(seen "$work/kept")" 0
is "encrypted: nor does the scanner" "$(scan "$work/kept")" 0
is "encrypted: no notice" "$(jq -c '[.notices[]?.code]' "$work/encrypted-a.json")" "[]"

peer_keys=("seal: signed")
carried signed
is "signed: the files are .jws and .pack" "$(find "$work/kept" -type f | sed 's/.*\.//' | sort -u | paste -sd' ')" "jws pack"
kept=$work/kept
a_id=$(jq -r .id "$work/signed-a.json") b_id=$(jq -r .id "$work/signed-b.json")
ln "$work/small" "$work/small.requests"
ln "$work/small.wrapped" "$work/small.answers"
for way in "requests:$b_id--$a_id" "answers:$a_id--$b_id"; do
  mkdir "$work/${way%%:*}"
  find "$kept" -type f -name "*${way#*:}--*" -exec cp --backup=numbered -t "$work/${way%%:*}" {} +
  is "signed: ${way%%:*}: a byte search finds the small and the bulk body" "$(($(seen "$work/${way%%:*}") >= 2))" 1
  is "signed: ${way%%:*}: the scanner finds as many" "$(scan "$work/${way%%:*}")" "$(seen "$work/${way%%:*}")"
  ok "signed: ${way%%:*}: the small body is a pack by itself" test -n "$(find "$work/${way%%:*}" -type f -size "$(stat -c %s "$work/small.${way%%:*}")c" -exec cmp -s {} "$work/small.${way%%:*}" \; -print)"
done
for s in a b; do
  is "signed: status of $s says that all can be read" "$(jq -c '[.notices[].code], [.peers[].seal], .healthy' "$work/signed-$s.json" | paste -sd' ')" '["readable"] ["signed"] true'
  has "signed: so does the log of $s" "$(<"$work/$s.log")" '"level":"warn".*"message":"seal: signed'
done

# inspect, on a signed file as it passed.
frame=$(grep -rlaE '^[A-Za-z0-9_-]+\.' "$work/requests" --include='*.jws' | sed -n 1p)
out=$(hoft inspect --config "$work/b.yaml" --name "$(basename "$frame" | grep -oE "$b_id--$a_id--[0-9]{16}")".jws "$frame" 2>&1 || true)
has "inspect: a .jws file is whole" "$out" "whole: .*all verified"
has "inspect: and not encrypted" "$out" "signed, not encrypted"

# One side only: nothing passes, both sides say why and what to do. Then the other side follows.
cp "$work/b.yaml" "$work/b-signed.yaml"
sed -i '/seal: signed/d' "$work/b.yaml"
carry
serve b a
curl -sS --max-time 60 --noproxy '*' -o /dev/null -H 'Prefer: respond-async' -T "$work/small" "$front/echo"
refused() { hoft status --config "$work/$1.yaml" --json | jq -e '[.peers[].files.refused.mode // 0] | add > 0' >/dev/null; }
# A file that is refused is counted, then told, then set aside.
told() { grep -qE '"reason":"mode".*both sites must have the same peers' "$work/$1.log"; }
aside() { [[ $(find "$work/$1/quarantine" -type f 2>/dev/null) ]]; }
for s in a b; do
  ok "mixed: $s refuses the files of the other" eventually 30 refused "$s"
  ok "mixed: the log of $s says why and what to do" eventually 20 told "$s"
  ok "mixed: $s sets them aside" eventually 20 aside "$s"
  has "mixed: so does its status" "$(hoft status --config "$work/$s.yaml" 2>&1 || true)" ' mode[.,]|set the same seal at both sites'
  out=$(hoft inspect --config "$work/$s.yaml" "$(find "$work/$s/quarantine" -type f -print -quit)" 2>&1 || true)
  has "mixed: inspect at $s explains it" "$out" 'check 1|both sites must have the same seal'
  has "mixed: and says what to do" "$out" 'set the same seal'
done
end b
cp "$work/b-signed.yaml" "$work/b.yaml"
serve b
curl -sS --max-time 60 --noproxy '*' -o "$work/back" -T "$work/small" "$front/echo"
ok "with the same seal at both sites calls pass" cmp "$work/small" "$work/back"
finish
