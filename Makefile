# `make demo` shows a whole handoff; `make test` installs what the tests need and runs them all. See README.md.
.PHONY: demo test sim soak run lint bench fmt docs licences tools packages python help
SHELL := /bin/bash
# What building needs beside Rust: Opus brings its C sources.
TOOLS := cmake
PACKAGES := $(TOOLS) sip-tester baresip-core baresip-ffmpeg kamailio python3-venv iproute2 iptables fail2ban
PJSUA2 := pjsua2-python==2.15.1.post1
CARGO ?= cargo
ARGS ?=
SEEDS ?= 1000
BASE ?= 1
WEATHER ?= rough
MINUTES ?= 120

help: ## the targets of this file
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: tools ## a whole handoff with every party simulated on this machine, shown as it happens (ARGS=--json, --ladder)
	$(CARGO) build --quiet -p tandem
	target/debug/tandem demo $(ARGS)

run: tools ## the daemon on loopback with the shipped files and a demo AI: call sip:support@127.0.0.1:5060 with a softphone
	$(CARGO) build -p tandem
	target/debug/tandem serve --config etc/tandem.yaml --demo $(ARGS)

# Installs those of the Debian packages $(1) that are missing.
define install
	@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing; \
	fi
endef

tools: ## the distribution packages that building needs
	$(call install,$(TOOLS))

packages: ## the distribution packages that tests drive as real programs
	$(call install,$(PACKAGES))

python: packages ## the Python packages that tests drive as real programs, in target/python
	@target/python/bin/python -c 'import pjsua2' 2>/dev/null || \
	{ mkdir -p target && python3 -m venv target/python && \
	  target/python/bin/pip install --quiet --disable-pip-version-check $(PJSUA2); }

test: packages python ## every test, from pure tables to the real daemon against real programs
	$(CARGO) build --workspace --all-features --bins
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run --config-file .ci/nextest.toml --workspace --all-features $(ARGS); \
	else \
	  $(CARGO) test --workspace --all-features $(ARGS); \
	fi

sim: tools ## random calls with transfers in virtual time (SEEDS=n BASE=first WEATHER=rough; SEED=n TRACE=1 shows one)
	$(CARGO) build --release --quiet -p sim
	target/release/sim --base $(BASE) --seeds $(SEEDS) --weather $(WEATHER) $(if $(SEED),--seed $(SEED)) $(if $(TRACE),--trace) $(ARGS)

soak: tools ## one daemon under 20 calls a second in virtual time, and what stays in its tables (MINUTES=120 WEATHER=rough)
	$(CARGO) build --release --quiet -p sim
	target/release/sim --soak $(MINUTES) --base $(BASE) --weather $(WEATHER) $(ARGS)

fmt: ## format everything
	$(CARGO) fmt --all

lint: tools ## format check, clippy without a warning
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-features --all-targets -- -D warnings

docs: ## the API documentation, without a warning
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps --quiet

licences: ## licences, bans and sources of every dependency
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --quiet --locked cargo-deny
	$(CARGO) deny --all-features check licenses bans sources

bench: packages ## the hot paths, as a table and in target/bench.json (a quiet machine, about five minutes)
	$(CARGO) build --release -p tandem -p tests
	$(CARGO) run --release -q -p tests --bin bench -- $(ARGS)
