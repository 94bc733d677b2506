#!/usr/bin/env bash
# Looks for bytes that break a decoder: scripts/fuzz.sh [TARGET…]; all of them without an argument.
# FUZZ_SECONDS (60) for each. What is found lies in fuzz/artifacts; the corpora grow in fuzz/found, not in fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$HOME/.cargo/bin:$PATH"
seconds=${FUZZ_SECONDS:-60}
built="$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz"

if ! cargo +nightly --version >/dev/null 2>&1; then
  echo 'fuzz: needs a nightly toolchain (rustup toolchain install nightly); `make test` tries the same functions on stable' >&2
  exit 1
fi
PATH="$built/tools/bin:$PATH"
if ! command -v cargo-fuzz >/dev/null; then
  echo 'fuzz: installing cargo-fuzz'
  # With the stable toolchain and a target folder of its own: it is a tool, and not fuzzed.
  env -u RUSTFLAGS CARGO_TARGET_DIR="$built/tools/build" cargo install --quiet --locked --root "$built/tools" cargo-fuzz
fi

export CARGO_TARGET_DIR="$built" SQLX_OFFLINE="${SQLX_OFFLINE:-true}"
targets=("$@")
[[ $# -gt 0 ]] || mapfile -t targets < <(cd fuzz/fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//')
for target in "${targets[@]}"; do
  mkdir -p "fuzz/found/$target"
  echo "fuzz: $target for $seconds s"
  # A frame of 5 MB takes no more than a few of its size; 30 s for one input is a loop.
  cargo +nightly fuzz run "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=30 -print_final_stats=1
done
