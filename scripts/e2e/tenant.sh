#!/usr/bin/env bash
# Another tenant of the share, with a user of its own, writes into the files that lie there, cuts them and puts others in
# their place, in the outboxes and the inboxes, while bodies go to and fro. Every body comes back as it was sent, and what
# both sites have stored is whole: hoft keeps copies of its own, and believes nothing that it has not checked.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
source "$e2e/lib/users.bash"
need curl=curl jq=jq perl=perl setpriv=util-linux
build callee mover chunkcheck

declare -A user=([a]=61001 [b]=61002 [mover]=61003 [tenant]=61004)
is "processes can be started as another user" "$(as tenant id -u) $(as tenant id -G)" "${user[tenant]} ${user[tenant]} $xfer"
chmod 755 "$work" "$work/bin"

carrier=mover
pipe_keys=("settle: 250ms" "file_mode: '0660'") # the group may write, and the tenant is of it
route_keys=("wait: 10m" "max_body: 1GiB")
start_callee
umask 022
sites
for s in a b; do
  chown -R "${user[$s]}:${user[$s]}" "$work/$s"
  chown "${user[$s]}:$xfer" "$work/$s-out" "$work/$s-in"
  chmod 2770 "$work/$s-out" "$work/$s-in"
done
for s in b a; do
  before=$(served "$s")
  spawn "$s" setpriv --reuid "${user[$s]}" --regid "${user[$s]}" --groups "$xfer" -- hoft serve --config "$work/$s.yaml"
  eventually 20 up "$s" "$before" || die "site $s does not start"
done
# Files lie for a while on both sides of the mover.
spawn mover setpriv --reuid "${user[mover]}" --regid "${user[mover]}" --groups "$xfer" -- \
  mover -route "$work/a-out:$work/b-in" -route "$work/b-out:$work/a-in" -kind move -delay-min 50ms -delay-max 150ms -file-mode 0660
send() { curl -sS --max-time 600 -o "$work/back" -T "$work/body" -H 'Content-Type: application/octet-stream' "$front/echo"; }
head -c $((2 << 20)) /dev/urandom >"$work/body"
send
ok "a body comes back before" cmp "$work/body" "$work/back"
ok "the tenant cannot look into the state folder" test ! "$(as tenant ls "$work/a" 2>/dev/null || true)"

cat >"$work/tenant.pl" <<'PERL'
use strict; use warnings;
my ($stop, @dirs) = @ARGV;
$| = 1;
my (%left, %turn); # a file that is written to without end never settles, and nothing passes where all is harmed
sub harm {
  my ($file, $how) = @_;
  my ($ext) = $file =~ /\.(\w+)$/;
  my $size = -s $file or return;
  if ($how eq 'replaced') {
    my $new = $file; $new =~ s{[^/]+$}{tenant.tmp};
    open(my $f, '>', $new) or return;
    chmod 0660, $new; # else nobody could read it, and that is another story
    open(my $r, '<', '/dev/urandom') or return;
    read $r, my $bytes, $size > 1 << 20 ? 1 << 20 : $size;
    print $f $bytes; close $f or return;
    -e $file or return; # what is gone must not come back: a reader would wait longer for files to settle
    rename $new, $file or return;
  } elsif ($how eq 'cut') {
    truncate $file, int rand $size or return;
  } else {
    open(my $f, '+<', $file) or return;
    seek $f, $how eq 'grown' ? $size : int rand $size, 0;
    print $f 'written by another tenant'; close $f or return;
  }
  print "$ext-$how\n";
}
until (-e $stop) {
  my @files = grep { -f && ($left{$_} //= rand() < (/pack$/ ? 0.4 : 0.1)) } map { glob "$_/*/*.{jwe,pack} $_/*/.*.part" } @dirs;
  if (@files) {
    my $file = $files[rand @files];
    $left{$file} = 0;
    harm($file, (qw(written cut replaced grown))[$turn{$file =~ /pack$/ || 0}++ % 4]);
  }
  select undef, undef, undef, 0.05;
}
PERL
spawn tenant setpriv --reuid "${user[tenant]}" --regid "${user[tenant]}" --groups "$xfer" -- \
  perl "$work/tenant.pl" "$work/stop" "$work/a-out" "$work/b-in" "$work/b-out" "$work/a-in"
bad() { hoft status --config "$work/$1.yaml" --json | jq '[.peers[].bulk.chunks_bad] | add'; }
# harmed: the tenant has done all that it can to packs, and some of it before they were read.
harmed() {
  local how
  for how in written cut replaced grown; do grep -qx "pack-$how" "$work/tenant.out" || return 1; done
  (($(bad a) + $(bad b) > 0))
}
# Eight bodies, and as many more as it takes: which files it meets is chance.
equal=0
for ((i = 0; i < 60; i++)); do
  ((i < 8)) || ! harmed || break
  head -c $((12 << 20)) /dev/urandom >"$work/body"
  rm -f "$work/back"
  send
  cmp "$work/body" "$work/back" && equal=$((equal + 1))
done
found=$(bad b) back=$(bad a)
touch "$work/stop"
eventually 10 gone "${pid[tenant]}" || die "the tenant does not end"
is "$i bodies come back as they were sent" "$equal" "$i"
say "      the tenant: $(sort "$work/tenant.out" | uniq -c | awk '{ print $1, $2 }' | paste -sd,); damaged records found: $found there, $back back"
for how in written cut replaced grown; do
  ok "packs were $how" grep -qx "pack-$how" "$work/tenant.out"
done
ok "records that it damaged were found" test $((found + back)) -ge 1
head -c $((12 << 20)) /dev/urandom >"$work/body"
send
ok "a body comes back after" cmp "$work/body" "$work/back"
end a
end b
for s in a b; do
  stored=$(chunkcheck "$work/$s" 2>&1) || true
  is "all that $s has stored is whole: $stored" "$(jq -r '.Chunks > 0 and .Bad == 0' <<<"$stored" 2>&1)" true
done
finish
