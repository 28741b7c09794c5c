#!/usr/bin/env bash
# Bad input: each case must end with its documented exit code and a message that names what is wrong and the mend,
# without a panic, and with nothing written for the peer.
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need sqlite3=sqlite3 setpriv=util-linux
build

callee=127.0.0.1:9
sites
cd "$work"
export HOME=$work/empty XDG_CONFIG_HOME=$work/empty
chmod 711 "$work"

# refused WHAT CODE PATTERN ARGS...: hoft ends by itself with the code, and a line of its message matches.
as=()
refused() {
  local what=$1 code=$2 pattern=$3 text got=0
  shift 3
  text=$(timeout 60 "${as[@]}" hoft "$@" 2>&1) || got=$?
  if [[ $got == "$code" ]] && grep -qE -- "$pattern" <<<"$text" && ! grep -q '^goroutine ' <<<"$text"; then
    pass "$what: $code"
  else
    fail "$what" "got $got, want $code and a line that matches $pattern" "${text:0:1000}"
  fi
}
start=(serve --config a.yaml)
# change FILE SED-SCRIPT: x.yaml, a changed configuration.
change() { sed -E "$2" "$1" >x.yaml; }

# The configuration.
refused "no such configuration" 2 'nope\.yaml: no such file' serve --config nope.yaml
mkdir empty
cd empty
refused "no configuration anywhere" 2 'hoft config init|--config' serve
cd ..
printf '\0\1\2not: [yaml' >x.yaml
refused "no YAML" 2 'x\.yaml' serve --config x.yaml
change a.yaml 's/^ingress:/ingres:/'
refused "an unknown key" 2 'x\.yaml:[0-9]+: ingres: unknown key; did you mean "ingress"' serve --config x.yaml
change a.yaml 's/outbox:/outbocks:/; s/^name:.*/name: UPPER CASE/; s/listen:.*/listen: nowhere/'
refused "several things wrong are told together, 1" 2 'outbocks' serve --config x.yaml
refused "several things wrong are told together, 2" 2 'UPPER CASE' serve --config x.yaml
refused "several things wrong are told together, 3" 2 'listen' serve --config x.yaml
refused "a value without a unit" 2 'pipe\.settle.*5' "${start[@]}" --set pipe.settle=5
refused "an unknown key by --set" 2 'pipe\.settel.*did you mean' "${start[@]}" --set pipe.settel=5s
change a.yaml 's/peer: site-b/peer: site-c/'
refused "a route to a peer that is not listed" 2 'site-c.*did you mean "site-b"' serve --config x.yaml
refused "a role without its section" 2 'egress needs a section' "${start[@]}" --role egress
refused "no such role" 2 'ingress, egress' "${start[@]}" --role both
refused "no such command" 2 'unknown command' serv
refused "no such flag" 2 'unknown flag' serve --confg a.yaml
refused "an argument too many" 2 'serve --help' serve a.yaml

# Keys and peers.
refused "another name than the identity's" 2 'site-x.*site-a' "${start[@]}" --set name=site-x
refused "no identity" 10 'hoft keys gen' "${start[@]}" --set state_dir=./none
refused "a second identity" 1 'identity\.jwks' keys gen --name site-a --state-dir a
chmod 644 a/identity.jwks
refused "a key file that others may read" 12 'run: chmod 600 .*identity\.jwks' "${start[@]}"
refused "the same for another command" 12 'run: chmod 600' keys export --state-dir a
chmod 600 a/identity.jwks
cp a/identity.jwks whole.jwks
head -c 200 whole.jwks >a/identity.jwks
refused "a key file that is cut" 12 'identity\.jwks' "${start[@]}"
cp whole.jwks a/identity.jwks
change a.yaml '/keys: /d'
refused "a peer without keys" 13 'site-b.*hoft keys trust' serve --config x.yaml
change a.yaml 's/b\.pub\.jwks/c.pub.jwks/'
refused "a peer's key file that is not there" 12 'c\.pub\.jwks' serve --config x.yaml
cp b/identity.jwks private.jwks
change a.yaml 's/b\.pub\.jwks/private.jwks/'
refused "a private key among a peer's" 12 'private key.*hoft keys export' serve --config x.yaml
change a.yaml 's/b\.pub\.jwks/a.pub.jwks/'
refused "the own keys as a peer's" '12' 'site-b' serve --config x.yaml
refused "an unknown peer" 13 'unknown peer "nobody"' keys verify nobody --state-dir a

# Folders and ports.
refused "a folder whose parent is absent" 1 'make the folder, or mount the share' "${start[@]}" --set pipe.outbox=./no/such/folder
refused "a file in a folder's place" 1 'not a folder' "${start[@]}" --set pipe.inbox=./a.yaml
frames() { find a-out b-out -type f -name '*.jwe' | sort; }
is "nothing was written for the peer" "$(frames)" ""
port=$(free_port)
serve a
refused "a second process on one state folder" 11 "in use by another hoft process \\(process ${pid[a]}\\)" "${start[@]}" --set "ingress.listen=127.0.0.1:$port"
change b.yaml 's/^egress:/ingress: {listen: "'"${front#http://}"'", routes: [{path: \/, peer: site-a, upstream: x}]}\n&/'
refused "a port in use" 1 "${front#http://}.*another program" serve --config x.yaml
end a
written=$(frames)

# The database.
cp a/hoft.db whole.db
database() { rm -f a/hoft.db*; cp whole.db a/hoft.db; }
sqlite3 a/hoft.db 'PRAGMA user_version = 999'
refused "a database from a newer version" 10 'newer version of hoft' "${start[@]}"
database
sqlite3 a/hoft.db 'PRAGMA application_id = 5'
refused "a database of another program" 10 'not a hoft database' "${start[@]}"
rm -f a/hoft.db*
echo "a text" >a/hoft.db
refused "a file that is no database" 10 'not a hoft database' "${start[@]}"
is "it is left alone" "$(<a/hoft.db)" "a text"
database
truncate -s 12288 a/hoft.db
refused "a damaged database" 10 'cannot be used.*put back a copy' "${start[@]}"
database

# The same as a user with no power over files.
if ((EUID == 0)); then
  mkdir user
  cp a.yaml user/a.yaml
  cp b.pub.jwks user/
  chmod 644 user/*
  chown nobody user
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
  "${as[@]}" "$work/bin/hoft" keys gen --name site-a --state-dir user/a >user/keys.out
  start=(serve --config user/a.yaml)
  mkdir -m 755 user/a-out user/b-out
  refused "an outbox that is not writable" 1 'permission denied; it is in .*/a-out, which is owned by root.*hoft runs as nobody.*chmod 2770 ".*/a-out"' "${start[@]}"
  chown nobody user/a-out
  chmod 700 user/b-out
  refused "an inbox that is not readable" 1 'b-out: permission denied.*owned by root.*hoft runs as nobody' "${start[@]}"
  chown nobody user/b-out
  chmod 500 user/a
  refused "a state folder that is not writable" 10 'must belong to the user' "${start[@]}"
  chmod 700 user/a
  chmod 000 user/a.yaml
  refused "a configuration that is not readable" 2 'a\.yaml: permission denied' "${start[@]}"
  chmod 644 user/a.yaml
  chown root user/a/identity.jwks
  refused "an identity that is not readable" 12 'identity\.jwks: permission denied|identity\.jwks' "${start[@]}"
  refused "nothing else is in the way" 12 'identity' "${start[@]}"
  as=()
else
  say "      not root: the cases of another user are left to a run as root"
fi

is "nor was anything since" "$(frames)" "$written"
serve a b
ok "and then both sites start" alive a
finish
