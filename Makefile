# The document axis. `make` alone prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3 python3.14,$(shell command -v $(name) 2>/dev/null)))
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
CODE := deploy gateway services shared tests bench

.PHONY: help
help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-17s %s\n", $$1, $$2}'

$(BIN)/python:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "Python 3.11 or newer is missing. Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv" >&2; exit 1; fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "Python's venv module is missing. Debian, Ubuntu: apt-get install python3-venv" >&2; exit 1; fi
	@echo "Making the project's own environment in $(VENV) ..."
	@"$(PYTHON)" -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python requirements.txt pyproject.toml
	@echo "Installing what it needs (about half a minute the first time) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(PIP) install --require-hashes -r requirements.txt
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/axis.pth"
	@printf '#!/bin/sh\nexec "%s" -m deploy.cli "$$@"\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/axis && chmod +x $(BIN)/axis
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	@echo "Installing what tests and checks need ..."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: demo
demo: $(VENV)/.runtime  ## play a full exchange on four levels in a temporary folder, and end
	@$(BIN)/python -m deploy.demo

.PHONY: run
run: $(VENV)/.runtime  ## start a node that stays, with an echo agency; Ctrl-C stops it
	@$(BIN)/axis init --json > /dev/null
	@$(BIN)/axis run --echo

.PHONY: servers
servers:
	@deploy/machine/servers.sh

.PHONY: up
up: $(VENV)/.runtime servers  ## start every process on RabbitMQ and PostgreSQL behind a proxy, and leave them running
	@$(BIN)/axis distributed up

.PHONY: down
down: $(VENV)/.runtime  ## stop what `make up` started, in order; the data stay
	@$(BIN)/axis distributed down

.PHONY: status
status: $(VENV)/.runtime  ## list the processes that `make up` started
	@$(BIN)/axis distributed status || true

.PHONY: demo-distributed
demo-distributed: $(VENV)/.runtime servers  ## play the demo on many processes in a temporary folder, and end
	@$(BIN)/python -m deploy.demo --distributed

.PHONY: bench
bench: $(VENV)/.runtime servers  ## measure floor and product on this machine, and write the table into docs/performance.md
	@$(BIN)/python -m bench --write

.PHONY: check
check: $(VENV)/.dev  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check -q $(CODE) || { echo "Run: $(BIN)/ruff format $(CODE)" >&2; exit 1; }
	@$(BIN)/ruff check -q $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo > .make-imports.log 2>&1 || { cat .make-imports.log; rm -f .make-imports.log; exit 1; }
	@rm -f .make-imports.log

.PHONY: format
format: $(VENV)/.dev  ## bring the code into the project's format
	@$(BIN)/ruff format -q $(CODE)
	@$(BIN)/ruff check -q --fix $(CODE)

.PHONY: judges
judges:
	@deploy/machine/judges.sh

.PHONY: test
test: check judges servers  ## every check and every test, against real servers (under 15 minutes)
	@echo "Seeded schedules, on both cores ..."
	@$(BIN)/pytest tests/schedules
	@echo "Everything else; most of it waits for a server, so several at once ..."
	@$(BIN)/pytest -n 4 --dist loadfile --ignore tests/schedules

.PHONY: test-all
test-all: test  ## the same, then 100,000 documents while everything is killed, and 200,000 damaged packets (hours; bounded)
	@AXIS_MUTATIONS=200000 AXIS_LARGE_PACKET_MB=500 $(BIN)/pytest tests/unit/edxml/test_mutations.py tests/unit/edxml/test_memory.py
	@$(BIN)/python -m tests.kill --documents 100000 --minutes 120

.PHONY: clean
clean:  ## remove the environment and caches; a node's folder stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
