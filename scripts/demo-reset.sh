#!/usr/bin/env bash
# Forgets a demo: scripts/demo-reset.sh [DIR] removes its directory (./.demo), and what plyr keeps elsewhere on its behalf.
set -euo pipefail
dir=$(realpath -m -- "${1:-.demo}")
pid_file=$dir/network/network.pid

if [[ -f $pid_file ]] && grep -qs network.mjs "/proc/$(<"$pid_file")/cmdline"; then
  echo "the demo over $dir is running; stop it first" >&2
  exit 1
fi
# The directory's name is the user's choice: nothing is removed that no demo has written to.
if [[ -e $dir && ! -e $dir/network && ! -e $dir/seed.json ]]; then
  echo "$dir does not look like a demo's directory; nothing removed" >&2
  exit 1
fi

remove() {
  [[ -e $1 ]] || return 0
  rm -rf -- "$1"
  echo "removed $1"
}

remove "$dir"
# Run by root over a directory that Postgres' account cannot enter, plyr keeps its data here, and says for whom.
for moved in /var/lib/plyr /var/lib/plyr-*; do
  if [[ -f $moved/moved-from && $(<"$moved/moved-from") == "$dir/plyr" ]]; then remove "$moved"; fi
done
