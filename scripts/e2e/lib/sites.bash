# Two sites a (ingress) and b (egress) with a pipe between them. Set what differs from the defaults before `sites`.
callee=                 # host:port that the upstream "callee" calls
carrier=shared          # shared: both sites on the same two folders; mover: two folders each, carried by `carry`
upstream_keys=()        # further lines of the upstream
route_keys=()           # further lines of the route
more_routes=()          # further routes, "key: value, key: value"
more_upstreams=()
ingress_keys=()
peer_keys=()            # further lines of what each site says of the other
a_keys=() b_keys=()     # further top-level lines of each site
pipe_keys=()
log_level=info

# sites makes keys and configurations. The callers' address is $front.
sites() {
  local s other front_port
  mkdir -p "$work"/{a-out,a-in,b-out,b-in}
  front_port=$(free_port)
  front=http://127.0.0.1:$front_port
  for s in a b; do
    hoft keys gen --name "site-$s" --state-dir "$work/$s" >/dev/null
    hoft keys export --state-dir "$work/$s" >"$work/$s.pub.jwks"
  done
  for s in a b; do
    other=$([[ $s == a ]] && echo b || echo a)
    {
      say "name: site-$s"
      say "state_dir: ./$s"
      say "pipe:"
      say "  outbox: ./$s-out"
      if [[ $carrier == shared ]]; then say "  inbox: ./$other-out"; else say "  inbox: ./$s-in"; fi
      lines "  " "${pipe_keys[@]}"
      say "peers:"
      say "  - name: site-$other"
      say "    keys: ./$other.pub.jwks"
      lines "    " "${peer_keys[@]}"
      say "log: {level: $log_level, format: json}"
    } >"$work/$s.yaml"
  done
  {
    lines "" "${a_keys[@]}"
    say "ingress:"
    say "  listen: 127.0.0.1:$front_port"
    lines "  " "${ingress_keys[@]}"
    say "  routes:"
    say "    - path: /"
    say "      peer: site-b"
    say "      upstream: callee"
    lines "      " "${route_keys[@]}"
    [[ ${#more_routes[@]} == 0 ]] || printf '    - {%s}\n' "${more_routes[@]}"
  } >>"$work/a.yaml"
  {
    lines "" "${b_keys[@]}"
    say "egress:"
    say "  upstreams:"
    say "    - name: callee"
    say "      url: http://$callee"
    say "      peers: [site-a]"
    lines "      " "${upstream_keys[@]}"
    [[ ${#more_upstreams[@]} == 0 ]] || printf '    - {%s}\n' "${more_upstreams[@]}"
  } >>"$work/b.yaml"
}

lines() {
  local indent=$1 line
  shift
  for line; do say "$indent$line"; done
}

# serve SITE... starts sites and waits until they say that they serve.
serve() {
  local s before
  for s; do
    before=$(served "$s")
    spawn "$s" hoft serve --config "$work/$s.yaml"
    eventually 20 up "$s" "$before" || die "site $s does not start"
  done
}
served() {
  local n
  n=$(grep -c '"message":"hoft serves"' "$work/$1.log" 2>/dev/null) || true
  printf '%s' "${n:-0}"
}
up() {
  alive "$1" || die "site $1 ended at its start"
  [[ $(served "$1") != "$2" ]]
}

# carry FLAGS... runs the mover between the sites.
carry() { spawn mover mover -route "$work/a-out:$work/b-in" -route "$work/b-out:$work/a-in" "$@"; }

# start_callee FLAGS... runs the callee; $callee is its address, $record what it executed.
start_callee() {
  record=$work/executed
  mkdir -p "$work/gates"
  spawn callee callee -ready "$work/callee.addr" -record "$record" -gates "$work/gates" "$@"
  eventually 20 test -s "$work/callee.addr" || die "the callee does not start"
  callee=$(<"$work/callee.addr")
}

# executed ID prints how often the callee executed a call; times ID N says whether it was N times.
executed() { awk -F'\t' -v id="$1" '$1 == id { n++ } END { print n + 0 }' "$record"; }
times() { [[ $(executed "$1") == "$2" ]]; }

# peak SITE prints the most memory that a running site has had, in MiB.
peak() { awk '/^VmHWM/ { printf "%d MiB", $2 / 1024 }' "/proc/${pid[$1]}/status"; }
