# Every target makes its own private environment in .venv first.
.DEFAULT_GOAL := help
BIN := .venv/bin
TEST_PACKAGES := sip-tester baresip prometheus chromium fail2ban sipsak tshark linphone-cli kamailio dnsmasq-base

# What has been compiled is kept, whatever the environment says: to start the service takes a third less.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup-run setup-dev demo serve test lint check bench fuzz guards sim format prompts dashboards

help:
	@echo "make demo    live calls on this machine: service, agents and callers; Ctrl-C ends it"
	@echo "make test    the whole suite, with real phones, a real Redis and a real Prometheus"
	@echo "make check   what must be green before a commit: ruff, mypy, import rules, unit tests"
	@echo "make fuzz    messages, SDP and credentials bent at random, for some minutes"
	@echo "make guards  each guard against a hostile network taken out in turn: its tests must fail; ARGS='flood'"
	@echo "make sim     a centre in virtual time with faults, on a real Redis; SEED=7 CALLS=100000 STORE=model"
	@echo "make bench   the pinned benchmarks"
	@echo "make interop the programs that we are tried with, into docs/interop.md"
	@echo "make serve   the service with ./acd.toml"

setup-run:
	@tools/setup.sh softphone

setup-dev:
	@tools/setup.sh dev,softphone

setup-test:
	@tools/setup.sh dev,softphone $(TEST_PACKAGES)
	@tools/setup_browser_phones.sh

demo: setup-run
	@$(BIN)/acd demo $(ARGS)

serve: setup-run
	@$(BIN)/acd serve $(ARGS)

# Real phones mostly wait, so modules go side by side, those that take longest first; after them, one by one, those that
# measure what the machine can do, and the simulation in what they leave of it.
test: setup-test
ifdef ARGS
	$(BIN)/pytest $(ARGS)
else
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not alone and not background"
	$(BIN)/pytest -n 2 -m background & background=$$!; $(BIN)/pytest -m alone; alone=$$?; wait $$background && exit $$alone
endif

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/pytest -q tests/unit tests/sip

fuzz: setup-dev
	ACD_FUZZ_EXAMPLES=$${ACD_FUZZ_EXAMPLES:-50000} $(BIN)/pytest -q --timeout 0 tests/sip/test_fuzz.py $(ARGS)

guards: setup-dev
	$(BIN)/python -m tools.check_guards $(ARGS)

SEED ?= 1
CALLS ?= 10000
STORE ?= redis
sim: setup-dev
	$(BIN)/python -m tests.sim --seed $(SEED) --calls $(CALLS) --store $(STORE)

interop: setup-test
	ACD_INTEROP_PAGE=docs/interop.md $(BIN)/pytest -n 3 --dist loadfile -q tests/e2e -m interop $(ARGS)

bench: setup-test
	$(BIN)/pytest -q tests/bench --benchmark-only --benchmark-disable-gc $(ARGS)

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

prompts: setup-dev
	$(BIN)/python tools/make_prompts.py
	$(BIN)/python tools/make_music.py

dashboards: setup-dev
	$(BIN)/python tools/make_dashboards.py
