#!/usr/bin/env bash
# WebDAV and plain downloads through two sites: the litmus suite and wget against Apache's mod_dav, directly and by hoft.
# Both runs of the suite must end alike, test by test.
# apt: apache2 litmus wget
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need apache2=apache2 litmus=litmus wget=wget
build
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

modules=/usr/lib/apache2/modules
port=$(free_port)
mkdir -p "$work"/{apache,dav/direct,dav/via,dav/files}
chmod 711 "$work"
cat >"$work/apache.conf" <<CONF
ServerRoot $work/apache
ServerName localhost
Listen 127.0.0.1:$port
PidFile $work/apache/pid
Mutex file:$work/apache
ErrorLog $work/apache/error
TypesConfig /etc/mime.types
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule mime_module $modules/mod_mime.so
LoadModule alias_module $modules/mod_alias.so
LoadModule autoindex_module $modules/mod_autoindex.so
LoadModule deflate_module $modules/mod_deflate.so
LoadModule filter_module $modules/mod_filter.so
LoadModule dav_module $modules/mod_dav.so
LoadModule dav_fs_module $modules/mod_dav_fs.so
User www-data
Group www-data
DavLockDB $work/apache/locks
DocumentRoot $work/dav
<Directory $work/dav>
  Require all granted
  Options Indexes
  Dav On
</Directory>
AddOutputFilterByType DEFLATE text/plain
CONF
head -c 3000000 /dev/urandom >"$work/dav/files/random.bin"
seq 1 50000 >"$work/dav/files/numbers.txt"
mkdir -p "$work/dav/files/deep/er"
cp "$work/dav/files/numbers.txt" "$work/dav/files/deep/er/two words & more.txt"
if ((EUID == 0)); then chown -R www-data "$work/dav" "$work/apache"; fi
spawn apache setsid /usr/sbin/apache2 -d "$work/apache" -f "$work/apache.conf" -DFOREGROUND
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
eventually 20 listening || die "apache2 does not start: $(cat "$work/apache/error")"

callee=127.0.0.1:$port
pipe_keys=("settle: 250ms")
more_routes=("host: files.example, path: /, peer: site-b, upstream: callee")
sites
serve b a
direct=http://$callee

# suite NAME ADDRESS prints what became of each test. Times and warnings about the connection are left out.
suite() {
  mkdir -p "$work/litmus-$1"
  (cd "$work/litmus-$1" && TESTS="basic copymove props locks http" litmus -k "$2" 2>&1) >"$work/litmus-$1.txt" || true
  tr '\r' '\n' <"$work/litmus-$1.txt" | sed -nE "s/^ *[0-9]+\. (\S+?)\.+ (pass|FAIL|SKIPPED|WARNING).*/\1 \2/p"
}
suite direct "$direct/direct/" >"$work/direct.list"
suite via "$front/via/" >"$work/via.list"
say "      litmus: $(grep -c ' pass' "$work/via.list") of $(wc -l <"$work/via.list") pass by hoft, $(grep -c ' pass' "$work/direct.list") directly"
ok "litmus ran" test "$(grep -c ' pass' "$work/direct.list")" -gt 50
is "litmus: every test ends as it does directly" "$(diff "$work/direct.list" "$work/via.list")" ""

# wget: mirror, resume, conditional requests, compression as it is.
get() { wget -q --no-proxy -t 1 -T 30 "$@"; }
for how in direct via; do
  from=$([[ $how == direct ]] && printf %s "$direct" || printf %s "$front")
  mkdir -p "$work/mirror-$how"
  get -r -np -nH --cut-dirs=1 -R 'index.html*' -P "$work/mirror-$how" "$from/files/" || true
done
ok "wget mirrors the same files" diff -r "$work/mirror-direct" "$work/mirror-via"
ok "and they are those of the server" diff -r "$work/dav/files" "$work/mirror-via"
head -c 1000000 "$work/dav/files/random.bin" >"$work/part.bin"
ok "wget goes on with half a file" get -c -O "$work/part.bin" "$front/files/random.bin"
ok "it is whole" cmp "$work/part.bin" "$work/dav/files/random.bin"
# head_of prints status and fields in lower case, without what belongs to one connection, what hoft adds, and the time.
head_of() {
  wget -S --no-proxy -t 1 -T 30 -O /dev/null "$@" 2>&1 | sed -nE 's/^  (HTTP\/|[A-Za-z-]+: )/\1/p' | tr '[:upper:]' '[:lower:]' |
    grep -vE '^(via|date|proxy-status|server-timing|hoft-[a-z-]*|keep-alive|connection): |^vary: prefer$' | sort
}
is "the fields of an answer are the same" "$(head_of "$front/files/numbers.txt")" "$(head_of "$direct/files/numbers.txt")"
is "coded content is the same" "$(head_of --header 'Accept-Encoding: gzip' "$front/files/numbers.txt")" "$(head_of --header 'Accept-Encoding: gzip' "$direct/files/numbers.txt")"
(cd "$work" && get -N "$front/files/numbers.txt")
touch_before=$(stat -c %Y "$work/numbers.txt")
has "not fetched again when it did not change" "$(cd "$work" && LC_ALL=C wget -N --no-proxy "$front/files/numbers.txt" 2>&1)" '304 Not Modified|not modified on server'
is "the time is the server's" "$(stat -c %Y "$work/numbers.txt")" "$touch_before"

# The same as a forward proxy, with a route by host: the name is nobody's, so only the proxy can have answered.
same_by_proxy() { http_proxy=$front wget -q -t 1 -T 30 -O - http://files.example/files/numbers.txt | cmp - "$work/dav/files/numbers.txt"; }
ok "by http_proxy" same_by_proxy
has "by http_proxy, without a route" "$(http_proxy=$front wget -S -t 1 -T 30 -O /dev/null http://other.example/ 2>&1 || true)" '421 Misdirected'
finish
