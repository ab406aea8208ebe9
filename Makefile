# Bare `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help run up test lint format docs lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MINISTACK := .local/ministack
MINISTACK_INSTALLED := $(MINISTACK)/.installed
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

run: $(INSTALLED) $(MINISTACK_INSTALLED) ## Land one day on the local stack: the latest settled one, or DAY=2026-11-18
	@$(BIN)/python -m local run $(DAY)

up: $(INSTALLED) $(MINISTACK_INSTALLED) ## Keep the local stack running for the Airflow UI (PORT=8080) until Ctrl-C
	@$(BIN)/python -m local up

test: $(INSTALLED) $(MINISTACK_INSTALLED) ## Run all tests; ARGS="-k walk" narrows them
	$(BIN)/python -m pytest $(ARGS)

lint: $(INSTALLED) ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED) ## Format the code
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

docs: $(INSTALLED) ## Write the generated tables, schema and Glue template anew
	$(BIN)/python -m docs.tables

lock: $(INSTALLED) ## Resolve the lock files anew from requirements.txt and pyproject.toml
	$(COMPILE) requirements.txt --group dev -o requirements.lock
	$(COMPILE) --group ministack -o local/ministack.lock

clean: ## Remove the environments and all local state
	rm -rf $(VENV) .local

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock'

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 …"; exit 1; }
	@echo "Installing the locked packages into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@touch $@

# An environment of its own: it pins another botocore than Airflow does.
$(MINISTACK_INSTALLED): local/ministack.lock | $(INSTALLED)
	@echo "Installing the stand-in for AWS into $(MINISTACK) (once)"
	@mkdir -p .local
	@$(BIN)/python -m venv --without-pip $(MINISTACK)
	@$(BIN)/uv pip sync --quiet --python $(MINISTACK)/bin/python --require-hashes --compile-bytecode local/ministack.lock
	@touch $@
