# The commands of OPMS. Needs Python 3.11 or newer and make; everything else comes from the package index.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
DATA := $(or $(OPMS_DATA_DIR),.opms)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PIP_COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
ROOMS := activities api benchmarks cli commands contracts domain gateways migrations models queries wiring workflows

# pip's many lines as one that counts.
COUNT := awk '/^Collecting/ { printf "\r\033[K  %d: %s", ++n, $$2; fflush() } END { printf "\r\033[K" }'

# A stamp is named after the hash of its lock: an unchanged lock costs one look at a file.
hash = $(shell cksum $(1) | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime-$(call hash,requirements.lock)
DEV := $(VENV)/.dev-$(call hash,requirements.lock requirements-dev.lock)

.DEFAULT_GOAL := help
.PHONY: help up test check format demo torture explore audit bench lock reset clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r name what; do printf '  make %-8s %s\n' "$$name" "$$what"; done

up: $(RUNTIME) ## start the whole system on this machine; Ctrl-C stops it, the data stays in .opms
	@exec $(BIN)/python -m cli up

demo: $(RUNTIME) ## place, pay and refund orders against the running system
	@exec $(BIN)/python -m cli demo

audit: $(RUNTIME) ## compare the database, the PGs' ledgers and Temporal of the running system
	@exec $(BIN)/python -m cli audit

torture: $(DEV) ## random orders, faults, killed processes (TORTURE_ORDERS=10000 TORTURE_SEED=...), judged by the PGs' ledgers
	TORTURE_ORDERS=$${TORTURE_ORDERS:-10000} $(BIN)/python -m pytest -q -s tests/torture -k nobody

explore: $(DEV) ## random orders of the domain that no run has seen (ANY_ORDERS=5000); what fails is printed, made small
	ANY_ORDERS=$${ANY_ORDERS:-5000} $(BIN)/python -m pytest -q --timeout 0 tests/domain/test_any_order.py tests/domain/test_any_schedule.py

bench: $(RUNTIME) ## measure real orders beside empty workflows, on a stack of its own
	@exec $(BIN)/python -m benchmarks

test: check ## everything that must pass: the checks, then the tests
	$(BIN)/python -m pytest

check: $(DEV) ## format, lint, types, floors, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .

format: $(DEV) ## write the code as `make check` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(DEV) ## pin the newest versions of requirements*.in, with hashes
	$(PIP_COMPILE) --upgrade --output-file requirements.lock requirements.in
	$(PIP_COMPILE) --upgrade --constraint requirements.lock --output-file requirements-dev.lock requirements-dev.in

reset: ## remove your data: orders, keys, logs; the next `make up` begins anew
	@database=$$(readlink $(DATA)/postgres || true); rm -rf $(DATA); \
		case "$$database" in /var/lib/opms/postgres-*) rm -rf "$$database" ;; esac

clean: ## remove the caches and the virtual environment; your data in .opms stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
	find $(ROOMS) tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "OPMS needs Python 3.11 or newer and $(PYTHON) is not; say which to use: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python lacks its venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUNTIME): | $(BIN)/python
	@echo "Installing what OPMS runs on (once, about a minute) ..."
	@$(PIP) install --progress-bar off --require-hashes --only-binary :all: -r requirements.lock | $(COUNT)
	@rm -f $(VENV)/.runtime-* && touch $@

$(DEV): $(RUNTIME)
	@echo "Installing what the checks and tests need (once) ..."
	@$(PIP) install --progress-bar off --require-hashes -r requirements-dev.lock | $(COUNT)
	@rm -f $(VENV)/.dev-* && touch $@
