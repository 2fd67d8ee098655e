# Each target is enough on a fresh clone: it makes .venv, installs what it needs and does its work.
# A second call starts at once, because the stamps in .venv say what is installed.
#
#   make serve             serve on http://localhost:8000      PORT=9000, ARGS="--data-dir /srv/netra"
#   make dev               the same for developing: restarts when sources change, and the page from its sources
#   make test              everything that is tested           ARGS="tests/unit -k log"
#   make lint              ruff, mypy and netra check
#   make format            ruff's formatter and its safe fixes
#   make bench             benchmarks side by side with peers; ARGS=--quick for a smoke run

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
# pip compiles what it installs, but not what is installed as sources: with PYTHONDONTWRITEBYTECODE, each start would.
COMPILE := $(BIN)/python -m compileall -q src compat/src
# The first Python on PATH that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UI := $(shell find ui -type f -not -path '*/node_modules/*' -not -path 'ui/test/*' 2>/dev/null)
CHROMIUM := $(or $(NETRA_CHROMIUM),$(shell command -v chromium || command -v chromium-browser || command -v google-chrome))
# Files that begin with _ and the harness are parts of the others.
BENCHMARKS := $(filter-out benchmarks/_% benchmarks/harness.py,$(wildcard benchmarks/*.py))

.PHONY: help serve dev test lint format bench constraints clean

help:
	@sed -n 's/^#   //p' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Netra needs Python 3.11 or newer. Install it, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.netra: pyproject.toml constraints.txt hatch_build.py $(UI) | $(BIN)/python
	@echo "Installing Netra and building its page (a minute or two the first time)"
	@$(PIP) install -c constraints.txt -e .
	@$(COMPILE)
	@touch $@

$(VENV)/.netra-test: pyproject.toml compat/pyproject.toml constraints.txt hatch_build.py $(UI) | $(BIN)/python
	@echo "Installing Netra, its page and the test tools (a minute or two the first time)"
	@$(PIP) install -c constraints.txt -e '.[test]' -e ./compat
	@$(COMPILE)
	@touch $(VENV)/.netra $@

serve: $(VENV)/.netra
	@exec $(BIN)/netra serve $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) $(ARGS)

dev: $(VENV)/.netra-test
	@exec $(BIN)/netra dev $(ARGS)

test: $(VENV)/.netra-test
ifeq ($(CHROMIUM),)
	@printf '\n%s\n%s\n%s\n\n' \
	  '!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!' \
	  '!!  NO CHROMIUM FOUND: THE BROWSER TESTS WILL BE SKIPPED.  apt-get install chromium  !!' \
	  '!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!'
endif
	@$(BIN)/coverage erase
	@$(BIN)/python tests/unified_test_runner.py --real-services --authenticated -- \
	  -n 3 --dist loadgroup --no-loadscope-reorder --cov --cov-report=term --cov-report=html $(ARGS)

lint: $(VENV)/.netra-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/netra check --fail-on warning,stale

format: $(VENV)/.netra-test
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/.netra-test
	@test -n "$(BENCHMARKS)" || { echo "There are no benchmarks in benchmarks/."; exit 1; }
	@for file in $(BENCHMARKS); do echo "== $$file"; $(BIN)/python $$file $(ARGS); done

# Names and versions only: where packages come from is the installer's business.
constraints: $(VENV)/.netra-test
	@$(BIN)/python -m pip --disable-pip-version-check list --format=freeze --exclude-editable --exclude pip --exclude setuptools > constraints.txt

clean:
	@rm -rf build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache src/netra/_ui
