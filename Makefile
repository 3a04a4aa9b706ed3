# make demo [ARGS="--seconds 10"] [NO_INSTALL=1]   build, then watch a change in PostgreSQL reach a topic and a table
# make test [NO_INSTALL=1]                         lint, then all tests on real PostgreSQL and Kafka
# make bench [ARGS=...]                            the figures of docs/benchmarks.md
# make lint | conformance | soak [KILLS=n] [SEED=n]
#
# Missing system packages are installed with apt as root or with sudo, after saying which and why; NO_INSTALL=1 (or --no-install in ARGS)
# prints the commands instead and stops.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/millrace
# Outside the checkout: a fresh clone does not compile the dependencies again.
export CARGO_TARGET_DIR ?= $(CACHE)/target
# Where rustup puts cargo, for shells that have not read its profile yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

# dev builds in a third of the time and is fast enough for the demo; PROFILE=bench-run or release for figures.
PROFILE ?= dev
profile_dir = $(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

no_install := $(if $(NO_INSTALL)$(filter --no-install,$(ARGS)),--no-install)
override ARGS := $(filter-out --no-install,$(ARGS))

TOOLS := $(CACHE)/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(TOOLS)/bin/cargo-deny

say = @printf '[%(%H:%M:%S)T] %s\n' -1

.PHONY: help
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

# The pinned toolchain comes by itself (rust-toolchain.toml) where cargo is rustup's.
.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { \
	  echo 'cargo is missing. Install Rust with rustup (https://rustup.rs), then open a new shell:'; \
	  echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"; \
	  exit 1; } >&2

.PHONY: install-demo install-tests install-bench
install-bench:
	@tests/servers/install --for bench $(no_install)
install-demo:
	@tests/servers/install --for demo $(no_install)
install-tests:
	@tests/servers/install --for tests $(no_install)

.PHONY: demo
demo: cargo install-demo
	cargo build --locked --profile $(PROFILE) -p millrace
	$(profile_dir)/millrace demo $(ARGS)

# All targets in one build, so that the binary which the end-to-end tests start is there before they run, and everything is compiled with
# one set of features. Documentation tests first: the run ends with the tests that do the work.
.PHONY: test
test: cargo install-tests lint
	$(say) 'build'
	cargo build --locked --workspace --bins --tests
	$(say) 'test'
	cargo test --locked --workspace --doc --quiet
	cargo test --locked --workspace --lib --bins --tests --no-fail-fast

.PHONY: lint
lint: cargo $(CARGO_DENY)
	$(say) 'lint'
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	$(CARGO_DENY) --locked check -A unused-wrapper bans licenses sources

$(CARGO_DENY):
	$(say) 'cargo-deny $(CARGO_DENY_VERSION) is built once, into $(TOOLS)'
	cargo install --quiet --locked --version $(CARGO_DENY_VERSION) --root $(TOOLS) --target-dir $(CACHE)/tools-target cargo-deny
	rm -rf $(CACHE)/tools-target

# One build of both, so that the worker under measurement lies beside the bench.
.PHONY: bench
bench: cargo install-bench
	cargo build --locked --profile bench-run -p millrace -p millrace-bench --bins
	$(CARGO_TARGET_DIR)/bench-run/millrace-bench $(ARGS)

.PHONY: conformance
conformance: cargo install-tests
	cargo build --locked --workspace --bins --tests
	cargo test --locked -p millrace-conformance

# The crash tests again, with as many kills as wanted; a seed that failed is printed and can be given again.
KILLS ?= 1000
SEED ?=
.PHONY: soak
soak: cargo install-tests
	cargo build --locked --workspace --bins --tests
	MILLRACE_CRASH_KILLS=$(KILLS) MILLRACE_CRASH_SEED=$(SEED) cargo test --locked -p millrace-e2e --tests -- --nocapture crash
