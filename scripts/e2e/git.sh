#!/usr/bin/env bash
# git clone, fetch and push of a repository of several MB through two sites, against git's own http-backend: on a
# clean pipe and through a mover that loses, cuts, delays and repeats files, behind Go's CGI handler and behind
# Apache. Everything that comes out is compared with what a direct clone gets.
# ci: long
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
need git=git apache2=apache2
build githttp mover

export HOME=$work/home GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy GIT_DIR GIT_WORK_TREE
mkdir -p "$HOME" "$work/srv"
git config --global user.name Tester
git config --global user.email tester@example.org
git config --global init.defaultBranch main
git config --global safe.directory '*'
git config --global gc.auto 0
git config --global advice.detachedHead false

# bytes N NAME makes a file that does not compress.
bytes() { head -c "$1" /dev/urandom >"$2"; }

# repository NAME makes a bare repository of some MB: long files, many small ones, history, a branch, tags.
repository() {
  local w=$work/seed i
  rm -rf "$w"
  git init -q "$w"
  mkdir -p "$w/src" "$w/big"
  for i in {1..200}; do seq "$i" $((i * 7)) >"$w/src/file-$i.txt"; done
  bytes 3000000 "$w/big/one.bin"
  git -C "$w" add -A && git -C "$w" commit -qm "first"
  for i in {1..30}; do
    echo "change $i" >>"$w/src/file-$i.txt"
    git -C "$w" commit -qam "change $i"
  done
  git -C "$w" tag -am "the first release" v1
  git -C "$w" checkout -qb side
  bytes 2000000 "$w/big/two.bin"
  chmod +x "$w/src/file-1.txt"
  ln -s src/file-2.txt "$w/link"
  git -C "$w" add -A && git -C "$w" commit -qm "a branch"
  git -C "$w" checkout -q main
  git clone -q --bare "$w" "$work/srv/$1"
  git -C "$work/srv/$1" config http.receivepack true
  if ((EUID == 0)); then chown -R www-data "$work/srv/$1" 2>/dev/null || true; fi
}

refs() { git -C "$1" for-each-ref --format='%(objectname) %(refname)' "${2:-}"; }
sound() { git -C "$1" fsck --full --strict --no-dangling 2>&1 && [[ -z $(git -C "$1" status --porcelain 2>&1) ]]; }
same_tree() { diff -r --exclude=.git "$1" "$2"; }

# scene NAME ADDRESS: clone, fetch and push by $front, beside a direct clone from the callee's address.
scene() {
  local name=$1 url=$front/$2 direct=http://$callee/$2 server=$work/srv/${2##*/} d=$work/clones-$1
  local seconds=$SECONDS
  mkdir "$d"
  ok "$name: clone" git clone -q "$url" "$d/via"
  git clone -q "$direct" "$d/direct"
  ok "$name: the clone is sound" sound "$d/via"
  is "$name: the clone has all refs" "$(refs "$d/via" | sort)" "$(refs "$d/direct" | sort)"
  ok "$name: the clone has the same files" same_tree "$d/via" "$d/direct"
  ok "$name: ls-remote" test "$(git ls-remote "$url")" = "$(git ls-remote "$direct")"
  ok "$name: a shallow clone" git clone -q --depth 3 --branch side "$url" "$d/shallow"
  is "$name: the shallow clone has three commits" "$(git -C "$d/shallow" rev-list --count HEAD)" 3

  # Fetch what somebody else pushed directly.
  git -C "$d/direct" checkout -q main
  bytes 1500000 "$d/direct/big/three.bin"
  git -C "$d/direct" add -A && git -C "$d/direct" commit -qm "from the other side"
  git -C "$d/direct" tag v2
  git -C "$d/direct" push -q origin main v2
  ok "$name: fetch" git -C "$d/via" fetch -q --tags origin
  is "$name: what was fetched" "$(git -C "$d/via" rev-parse origin/main v2)" "$(git -C "$d/direct" rev-parse main v2)"
  ok "$name: merge" git -C "$d/via" merge -q --ff-only origin/main
  ok "$name: a fetch of nothing" git -C "$d/via" fetch -q origin
  ok "$name: unshallow" git -C "$d/shallow" fetch -q --unshallow
  is "$name: now it has all" "$(git -C "$d/shallow" rev-list --count origin/side)" "$(git -C "$server" rev-list --count side)"

  # Push more than git's post buffer, so that it comes chunked, and a little, and deletions, and what is refused.
  bytes 4000000 "$d/via/big/four.bin"
  git -C "$d/via" add -A && git -C "$d/via" commit -qm "a push of some MB"
  ok "$name: push of 4 MB" git -C "$d/via" push -q origin main
  is "$name: the server has it" "$(git -C "$server" rev-parse main)" "$(git -C "$d/via" rev-parse main)"
  git -C "$d/via" commit -q --allow-empty -m "a small push"
  git -C "$d/via" tag -am "by the pipe" v3
  ok "$name: a small push with a tag and a branch" git -C "$d/via" push -q origin main v3 main:refs/heads/new
  is "$name: the server has them" "$(git -C "$server" rev-parse main new 'v3^{commit}' | sort -u)" "$(git -C "$d/via" rev-parse main)"
  ok "$name: deletion of a branch" git -C "$d/via" push -q origin :new
  is "$name: it is gone" "$(git -C "$server" for-each-ref refs/heads/new)" ""
  git -C "$d/direct" commit -q --allow-empty -m "one that does not know of it"
  has "$name: a push that is no fast-forward is refused" "$(git -C "$d/direct" push "$url" main 2>&1 || true)" '\[rejected\]'
  ok "$name: the server's repository is sound" git -C "$server" fsck --full --strict --no-dangling
  git clone -q "$direct" "$d/check"
  ok "$name: a direct clone has the same files" same_tree "$d/check" "$d/via"
  is "$name: and the same refs" "$(refs "$d/check" refs/tags)" "$(refs "$d/via" refs/tags)"
  say "      $name: $((SECONDS - seconds)) s, $(du -sh "$server" | cut -f 1) at the server"
}

# start_cgi runs Go's CGI handler, start_apache Apache with mod_cgi.
start_cgi() {
  spawn githttp githttp -root "$work/srv" -ready "$work/githttp.addr"
  eventually 20 test -s "$work/githttp.addr" || die "githttp does not start"
  callee=$(<"$work/githttp.addr")
}
start_apache() {
  local port modules=/usr/lib/apache2/modules
  port=$(free_port)
  mkdir -p "$work/apache"
  chmod 711 "$work"
  cat >"$work/apache.conf" <<CONF
ServerRoot $work/apache
ServerName localhost
Listen 127.0.0.1:$port
PidFile $work/apache/pid
Mutex file:$work/apache
ErrorLog $work/apache/error
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule alias_module $modules/mod_alias.so
LoadModule env_module $modules/mod_env.so
LoadModule cgi_module $modules/mod_cgi.so
User www-data
Group www-data
SetEnv GIT_PROJECT_ROOT $work/srv
SetEnv GIT_HTTP_EXPORT_ALL
SetEnv GIT_CONFIG_COUNT 1
SetEnv GIT_CONFIG_KEY_0 safe.directory
SetEnv GIT_CONFIG_VALUE_0 *
ScriptAlias / $(git --exec-path)/git-http-backend/
<Directory "$(git --exec-path)">
  Require all granted
</Directory>
CONF
  # A session of its own: Apache ends its whole process group.
  spawn apache setsid /usr/sbin/apache2 -d "$work/apache" -f "$work/apache.conf" -DFOREGROUND
  callee=127.0.0.1:$port
  listening() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
  eventually 20 listening || die "apache2 does not start: $(cat "$work/apache/error")"
}

pipe_keys=("settle: 250ms")
repository clean.git
repository apache.git
repository faulty.git
start_cgi
sites
serve b a
scene clean clean.git
end a
end b

rm -rf "$work"/{a,b}{,-in,-out,.yaml}
start_apache
sites
serve b a
scene apache apache.git
end a
end b

rm -rf "$work"/{a,b}{,-in,-out,.yaml}
callee=$(<"$work/githttp.addr")
carrier=mover
sites
carry -drop 0.05 -truncate 0.1 -duplicate 0.1 -reorder 0.05 -partial 0.05 -delay-max 30ms -seed 7
serve b a
scene faulty faulty.git
end mover
say "      the mover: $(<"$work/mover.out")"
ok "the mover did lose, cut and repeat files" grep -q '"Lost":[1-9].*"Cut":[1-9].*"Repeated":[1-9]' "$work/mover.out"
finish
