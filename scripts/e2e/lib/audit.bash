# The books compared: what callers were told ($work/table and $work/load.out, by load), what the callee executed
# ($record), and what both sites say became of each call.

state() { sqlite3 -readonly -separator ' ' "$work/$1/hoft.db" "$2"; }
running() { [[ $(state "$1" "select count(*) from exchanges where state = 'running'") == 0 ]]; }
# whole SITE: a copy of the killed site's database, with its log, passes SQLite's own check.
whole() {
  rm -rf "$work/copy"
  mkdir "$work/copy"
  cp "$work/$1"/hoft.db* "$work/copy/"
  # Of a file that is not there SQLite would make a new one, which is whole.
  [[ -s $work/copy/hoft.db && $(sqlite3 "$work/copy/hoft.db" 'PRAGMA integrity_check' 2>&1) == ok ]]
}

# posts, answered, executed_once print ids, sorted.
posts() { awk -F'\t' '$2 == "POST" { print $1 }' "$record" | sort; }
answered() { awk -F'\t' '$3 == "right" || $3 == "late" { print $1 }' "$work/table" | sort; }
executed_once() { cut -f 1 "$record" | sort -u; }
# known WHERE prints the ids of the calls that the callers' side accepted.
known() { state a "select replace(target, '/job/', '') from exchanges where side = 0 and $1" | sort -u; }

# What callers may be told; a test in which more may happen says so.
audit_outcomes='["right", "late", "outcome-uncertain", "connection-lost"]'

# audit WHAT waits until no exchange is open, then compares.
audit() {
  local what=$1 accepted
  ok "$what: no exchange is open at a" eventually "${AUDIT_WAIT:-120}" running a
  ok "$what: no exchange is open at b" eventually "${AUDIT_WAIT:-120}" running b
  say "      callers: $(jq -c .outcomes "$work/load.out")"
  jq -e '.examples | length == 0' "$work/load.out" >/dev/null || say "      $(jq -c .examples "$work/load.out")"
  say "      a: $(state a "select state, count(*) from exchanges where side = 0 group by state" | paste -sd, | sed 's/,/, /g')"
  say "      b: $(state b "select state, count(*) from exchanges where side = 1 group by state" | paste -sd, | sed 's/,/, /g')"
  accepted=$(state a "select count(*) from exchanges where side = 0")
  is "$what: accepted = answered + reported" "$accepted" \
    "$(state a "select count(*) from exchanges where side = 0 and state in ('succeeded', 'failed', 'uncertain')")"
  is "$what: whatever did not succeed has its reason" "$(state a "select count(*) from exchanges where state <> 'succeeded' and problem = ''")" 0
  is "$what: calls were answered" "$(jq '.outcomes.right > 0' "$work/load.out")" true
  is "$what: no wrong answer" "$(jq .wrong "$work/load.out")" 0
  is "$what: every call has an outcome" "$(jq '[.outcomes[]] | add' "$work/load.out")" "$(jq .calls "$work/load.out")"
  is "$what: outcomes are the documented ones" \
    "$(jq -r --argjson may "$audit_outcomes" '.outcomes | keys - $may | join(" ")' "$work/load.out")" ""
  is "$what: no POST was executed twice" "$(posts | uniq -d | paste -sd' ')" ""
  is "$what: every call answered was executed" "$(answered | comm -23 - <(executed_once) | paste -sd' ')" ""
  is "$what: so was every call that a holds an answer of" "$(known "state = 'succeeded'" | comm -23 - <(executed_once) | paste -sd' ')" ""
  is "$what: every call answered is known to a as answered" "$(answered | comm -23 - <(known "state = 'succeeded'") | paste -sd' ')" ""
  # But for GET, which the client's own transport sends again when a kept connection is cut.
  is "$what: a knows no call twice" \
    "$(state a "select count(*) from (select target from exchanges where side = 0 and method <> 'GET' group by target having count(*) > 1)")" 0
  is "$what: nothing was executed that a did not accept" "$(executed_once | comm -23 - <(known true) | paste -sd' ')" ""
}
