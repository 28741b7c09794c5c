# Processes of several users, joined by a group; sourced after run.bash. The script names the users in the array user, by numbers
# that no package gives out; they need no names.
# shellcheck shell=bash
((EUID == 0)) || die "this test starts processes as other users, so it needs root"
declare -A user
xfer=61010

as() { # NAME COMMAND...
  local u=${user[$1]}
  shift
  setpriv --reuid "$u" --regid "$u" --groups "$xfer" -- "$@"
}
