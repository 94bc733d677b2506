#!/usr/bin/env bash
# Would the tests notice? scripts/mutants.sh [NAME…] switches each planted bug of indexer/src/sabotage.rs on (all of them, by
# default), runs the unit tests and properties of the indexer and, where these stay green, the door's, those of charts and names, of streams, whole
# repos and accounts, and the simulated worlds, and writes which test noticed into MUTANTS.md. Fails when a bug goes unnoticed, or when something fails with nothing planted.
# PLYR_MUTANTS_ROWS names a file of rows: those that are there already are not made again, and the others are added.
set -euo pipefail
cd "$(dirname "$0")/.."

# Enough worlds for every kind of upstream and trouble; a bug is given fewer than the suite has.
seeds=${PLYR_SIM_SEEDS:-1-20}
export PLYR_SIM_AT_ONCE=${PLYR_SIM_AT_ONCE:-5} PLYR_SIM_PATIENCE=${PLYR_SIM_PATIENCE:-20}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The binary of the tests that the arguments name, built.
executable() { cargo test "$@" --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))$/\1/p'; }
build() {
  cargo build
  unit=$(executable -p indexer --lib)
  worlds=$(executable --test it)
}
units() { PLYR_SABOTAGE=$1 timeout 600 "$unit" >"$log" 2>&1; }
door() { PLYR_SABOTAGE=$1 timeout 600 "$worlds" door:: >"$log" 2>&1; }
charts() { PLYR_SABOTAGE=$1 timeout 600 "$worlds" chart:: names:: >"$log" 2>&1; }
hosts() { PLYR_SABOTAGE=$1 timeout 900 "$worlds" streams:: truth:: whole:: >"$log" 2>&1; }
sim() { PLYR_SABOTAGE=$1 PLYR_SIM_SEEDS=$seeds PLYR_SIM_FIRST=1 timeout 1800 "$worlds" sim:: --nocapture >"$log" 2>&1; }
# The first test that the log says has failed.
failed() {
  sed -n 's/^seed \+\([0-9]*\) \(.*\): WRONG.*/world \1 (\2)/p; s/^test \(.*\) \.\.\. FAILED$/`\1`/p' "$log" | head -n 1
}
where() { grep -rn --include=*.rs "sabotage::is_on(\"$1\")" indexer/src appview/src src | head -n 1 | cut -d: -f1; }

build
bugs=$("$unit" what_is_planted --nocapture | sed -n 's/^planted\t//p')
[[ $# -eq 0 ]] || bugs=$(grep -P "^($(IFS='|'; echo "$*"))\t" <<<"$bugs")

echo 'with nothing planted:'
for suite in units door charts hosts sim; do
  if ! $suite ''; then
    tail -n 60 "$log"
    echo "$suite fails with nothing planted" >&2
    exit 1
  fi
  echo "  $suite: green"
done

table=${PLYR_MUTANTS_ROWS:-$(mktemp)}
touch "$table"
while IFS=$'\t' read -r name what; do
  ! grep -q "^| $name |" "$table" || continue
  started=$(date +%s.%N)
  if units "$name" && door "$name" && charts "$name" && hosts "$name" && sim "$name"; then
    noticed='**nobody**'
  else
    noticed=$(failed)
    # A process that hangs has failed too.
    noticed=${noticed:-it came to no end}
  fi
  took=$(awk -v from="$started" -v to="$(date +%s.%N)" 'BEGIN { printf "%.0f", to - from }')
  echo "$name: $noticed, $took s"
  echo "| $name | $(where "$name") | $what | $noticed | $took s |" >>"$table"
done <<<"$bugs"

unnoticed=$(grep -c '\*\*nobody\*\*' "$table" || true)
if [[ $# -eq 0 ]]; then
  {
    printf '# Planted bugs\n\n'
    printf '`make mutants` switches each on in a debug build (`PLYR_SABOTAGE=NAME`), runs the unit tests and properties of the indexer\n'
    printf 'and, where these stay green, those of the door with its database, of charts and of names, and those of streams, whole repos and accounts on the real binary,\n'
    printf 'and the simulated worlds %s until one ends wrong. With nothing planted all is green.\n\n' "$seeds"
    printf '%s of %s noticed; %s, %s cores.\n\n' "$(($(wc -l <"$table") - unnoticed))" "$(wc -l <"$table")" "$(date +%F)" "$(nproc)"
    printf '| bug | where | what goes wrong | noticed by | after |\n|---|---|---|---|---|\n'
    cat "$table"
  } >MUTANTS.md
fi
[[ -n ${PLYR_MUTANTS_ROWS:-} ]] || rm -f "$table"
[[ $unnoticed -eq 0 ]] || { echo "$unnoticed bugs went unnoticed" >&2; exit 1; }
