# Bare `make` lists the targets.
.DEFAULT_GOAL := help
# The rehearsals, short ones first. `make pictures` is none of them: it writes into docs/pictures.
NIGHTLY := test-properties test-datacontract versions test-deploy test-interventions test-browser test-kills test-image test-wide \
	simulate mutations test-host
.PHONY: help run up test check test-stackless lint format docs site pictures audit image deploy secrets connect password upgrade teardown forget \
	nightly $(NIGHTLY) lock raise clean bench bench-growth

# What people set on the command line. It is data: make does not expand it, and a recipe takes it from the environment
# ("$$POST", quoted), so no shell parses it. Any other name is refused: a typo, or a variable of this file.
SETTINGS := ARGS BUCKET CONFIRM DAY DAYS DRY FILE GONE HANDLE KILLS MONTHS MOST ON PORT POST PYTHON RACES REPLACE_HOST \
	SEEDS SET STACK UPGRADE UV_SYSTEM_CERTS
$(foreach name,$(SETTINGS),$(if $(filter-out undefined,$(origin $(name))),$(eval override $(name) := $$(value $(name)))\
	$(eval export $(name))))
$(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),\
	$(error $(name) is no setting. Settings are in capitals, for example DAY=2026-11-18. They are: $(SETTINGS))))

PYTHON ?= python3
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
# What runs the pipeline and the local stack; what tests and lints is added to the same environment.
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.dev-installed
MINISTACK_INSTALLED := .local/ministack/.installed
TOOLS_INSTALLED := .local/tools/.installed
CONTRACT_INSTALLED := .local/datacontract/.installed
PEERS := pandas polars duckdb twarc plot
VERSIONS := 3.11 3.12 3.13
LOCKS := $(wildcard requirements.lock local/*.lock deploy/host/*.lock benchmarks/peers/*.lock)
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
# Installs trust what the system trusts, so a company's TLS proxy too. pip before 24.2 has to be told where that is.
export UV_SYSTEM_CERTS ?= true
SYSTEM_CERTS = $$($(BIN)/python -c 'import ssl; at = ssl.get_default_verify_paths(); print(at.cafile or at.capath or "")')

help: ## List the targets
	@awk -F ':.*## ' '/^##@ /{print "\n" substr($$0, 5)} /^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

run: $(INSTALLED) $(MINISTACK_INSTALLED) ## Land one day on the local stack: the latest settled one, or DAY=2026-11-18
	@$(BIN)/python -m local run $(if $(DAY),-- "$$DAY")

up: $(INSTALLED) $(MINISTACK_INSTALLED) ## Keep the local stack running for the Airflow UI (PORT=8080) until Ctrl-C
	@$(BIN)/python -m local up

clean: ## Remove the environments and all local state
	@[ ! -d .local/image ] || local/image/image.sh clean
	rm -rf $(VENV) .local site

##@ Change it

check: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) $(TOOLS_INSTALLED) ## Lint, and run every test that needs no stack: a minute
	@$(MAKE) --no-print-directory -j2 lint test-stackless

test: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) $(TOOLS_INSTALLED) ## Run all tests; ARGS="-k walk" narrows them, ON="2027-01-01 00:40" sets their clock
	$(if $(ON),.ci/on-date "$$ON") $(call pytest,$(WORKERS))

test-stackless:
	@$(call pytest,$(WORKERS) --quiet -m 'not live' --ignore=tests/simulation)

lint: $(DEV_INSTALLED) $(TOOLS_INSTALLED) ## Check style, types, shell, templates, docs, and that no secret is in sight
	@.ci/lint

format: $(DEV_INSTALLED) ## Format the code
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

docs: $(DEV_INSTALLED) ## Generate the tables, schemas and Glue template again
	$(BIN)/python -m docs.tables

site: $(TOOLS_INSTALLED) ## Build the docs site into site/; ARGS=serve shows it at http://127.0.0.1:8000 while you write
	@NO_MKDOCS_2_WARNING=1 .local/tools/bin/mkdocs "$${ARGS:-build}"

pictures: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) ## Renew the pictures of README and docs, in Chromium: minutes
	.ci/on-date "2026-11-29 09:00" $(BIN)/python -m pytest rehearsals/pictures

bench: $(DEV_INSTALLED) $(PEERS:%=.local/bench-%/.installed) ## Hold the pipeline against what people would use instead: minutes
	$(BIN)/python -m benchmarks.compare

bench-growth: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) .local/bench-plot/.installed ## How time, memory and requests grow to a million posts: minutes
	$(BIN)/python -m benchmarks.growth

audit: $(TOOLS_INSTALLED) ## Ask a database of vulnerabilities about every locked package; needs the network
	@.ci/audit $(LOCKS)

lock: $(INSTALLED) ## Resolve the lock files again from requirements.txt and pyproject.toml
	$(COMPILE) requirements.txt --group airflow -o requirements.lock
	$(call ADD,requirements.lock) --group local -o local/local.lock
	$(call ADD,requirements.lock local/local.lock) --group dev -o local/dev.lock
	$(call ADD,requirements.lock) --group host -c local/local.lock -o deploy/host/requirements.lock
	$(call ADD,requirements.lock) --group wide -c local/local.lock -c deploy/host/requirements.lock -o local/wide.lock
	$(COMPILE) --group ministack -o local/ministack.lock
	$(COMPILE) --group tools -o local/tools.lock
	$(COMPILE) --group datacontract -o local/datacontract.lock
	for peer in $(PEERS); do $(COMPILE) --group bench-$$peer -o benchmarks/peers/$$peer.lock || exit 1; done

raise: $(INSTALLED) ## Raise the pins of requirements.txt and all locks to what is newest and fits together
	@.ci/raise
	@$(MAKE) --no-print-directory lock UPGRADE=yes

##@ Rehearse it (docs/rehearsals.md)

nightly: ## Run all rehearsals one after the other and list how each ended: hours
	@.ci/nightly $(NIGHTLY)

test-properties: $(DEV_INSTALLED) ## Try the properties of the stages with many more examples
	$(call pytest,$(WORKERS) --hypothesis-profile=nightly,tests/include)

test-kills: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) ## Kill stages at each write and let them race: KILLS=40 RACES=20 MONTHS=6
	KILLS="$${KILLS:-40}" RACES="$${RACES:-20}" MONTHS="$${MONTHS:-6}" \
		$(call pytest,$(WORKERS),tests/stages/test_kills_and_races.py tests/stages/test_snapshots.py \
		tests/include/load/test_two_loads.py)

test-datacontract: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) $(CONTRACT_INSTALLED) ## Check landed days against docs/datacontract.yaml
	$(call pytest,,rehearsals/datacontract)

test-browser: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) ## Look at the Days pages in Chromium: widths, colour schemes, keyboard
	$(call pytest,,rehearsals/browser)

test-interventions: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) ## Kill, clear, delete and cancel what buys a day, lose the database, run the consumers
	$(call pytest,,rehearsals/interventions)

test-deploy: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) $(TOOLS_INSTALLED) ## Try role, policies and the operator's commands, and land a day over TLS
	$(call pytest,,rehearsals/deploy)

test-wide: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) .local/wide/.installed ## Land a month over two Celery workers, one of which is lost
	$(call pytest,,rehearsals/wide)

test-host: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) $(TOOLS_INSTALLED) ## Boot, use, upgrade and break the host in a clean Debian: needs root
	$(call pytest,,rehearsals/host)

test-image: $(DEV_INSTALLED) ## Build the image and look inside it: needs root or Docker
	$(call pytest,,rehearsals/image)

simulate: $(DEV_INSTALLED) ## Simulate DAYS=30 days of the pipeline for each of SEEDS=1-200, and check what the README promises
	@$(BIN)/python -m simulation --seeds="$${SEEDS:-1-200}" --days="$${DAYS:-30}" --jobs=2

mutations: $(DEV_INSTALLED) $(MINISTACK_INSTALLED) $(TOOLS_INSTALLED) ## Break the code in many places, and see the tests find each
	$(BIN)/python -m rehearsals.mutations
	$(BIN)/python -m rehearsals.mutations simulation.mutations

versions: $(DEV_INSTALLED) ## Run the tests that need no stack on those of Python 3.11, 3.12 and 3.13 that .venv has not
	@.ci/versions $(VERSIONS)

##@ Deploy it

deploy: $(INSTALLED) ## Make the AWS stack STACK=twitter, or change it: SET="BucketName=acme-lake InstanceType=t3.large"
	@$(DEPLOY) deploy --set="$$SET" $(if $(REPLACE_HOST),--replace-host)

secrets: $(INSTALLED) ## Put the settings in FILE=.env where the host reads them
	@$(DEPLOY) secrets --file="$${FILE:-.env}"

connect: $(INSTALLED) ## Bring the host's Airflow UI to http://localhost:8080 (PORT=8080) until Ctrl-C
	@$(DEPLOY) connect --port="$${PORT:-8080}"

password: $(INSTALLED) ## Show the UI's password
	@$(DEPLOY) password

upgrade: $(INSTALLED) ## Install the committed version of this checkout on the host
	@$(DEPLOY) upgrade

teardown: $(INSTALLED) ## Delete host, role and tables; the bucket and what landed stay
	@$(DEPLOY) teardown

forget: $(INSTALLED) ## Remove posts for good: POST="1859287304958390272 …", HANDLE=… or GONE=yes; DRY=yes only shows it, CONFIRM=… allows much
	@$(BIN)/python -m deploy.forget --stack="$${STACK:-twitter}" $(if $(BUCKET),--bucket="$$BUCKET") \
		--post="$$POST" --handle="$$HANDLE" $(if $(GONE),--gone) $(if $(DRY),--dry) \
		$(if $(MOST),--most="$$MOST") $(if $(CONFIRM),--confirm="$$CONFIRM")

image: ## Build the image of the Dockerfile with what is at hand, and list the DAG inside it
	@local/image/image.sh build
	@local/image/image.sh list

# Three on two cores, since live tests wait much. In the order of tests/conftest.py: the stacks first.
WORKERS = --numprocesses 3 --no-loadscope-reorder
# pytest itself splits ARGS into words, as a shell would; they come last, so they win.
pytest = env PYTEST_ADDOPTS="$(1) $$ARGS" $(BIN)/python -m pytest $(2)
DEPLOY = $(BIN)/python -m deploy --stack="$${STACK:-twitter}"
COMPILE = $(BIN)/uv pip compile $(if $(UPGRADE),--upgrade) --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock'
# What a group adds to these locks. What stands there for some machines only is named again, if it is needed.
ADD = $(COMPILE) $(1:%=-c %) $$(sed -n 's/^\([^ ]*\)==[^ ;]* \\$$/--no-emit-package \1/p' $(1))
# $(call SYNC,environment,locks): on a terminal uv shows how far it is, in a pipe there is one line. Bytecode is written
# for what is imported, when it is: all of it would be 90 MB and 10 seconds of CPU more.
SYNC = begun=$$(date +%s); $(BIN)/uv pip sync $$([ -t 2 ] || echo --quiet) --require-hashes \
	--python $(1)/bin/python $(2) && echo "Installed $$(du -sm $(1)/ | cut -f 1) MB in $$(($$(date +%s) - begun)) s"
INSTALL_UV = $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(INSTALLED): requirements.lock local/local.lock
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $$PYTHON is $$("$$PYTHON" --version 2>&1). Name another: make PYTHON=python3.12 …"; exit 1; }
	@echo "Installing the locked packages into $(VENV) (once)"
	@"$$PYTHON" -m venv $(VENV)
	@$(INSTALL_UV) || { echo "Once more, with the system's certificates"; PIP_CERT=$(SYSTEM_CERTS) $(INSTALL_UV); }
	@$(call SYNC,$(VENV),$^ $(if $(wildcard $(DEV_INSTALLED)),local/dev.lock))
	@$(BIN)/uv pip uninstall --quiet --python $(BIN)/python pip
	@touch $@

$(DEV_INSTALLED): requirements.lock local/local.lock local/dev.lock | $(INSTALLED)
	@echo "Adding what tests and lints to $(VENV) (once)"
	@$(call SYNC,$(VENV),$^)
	@touch $@

# Environments of their own: each pins what another version of is needed beside it, such as botocore. One that adds to
# requirements.lock says so: then both are installed.
.local/wide/.installed: requirements.lock
.local/%/.installed: local/%.lock | $(INSTALLED)
	@echo "Installing $^ into .local/$* (once)"
	@mkdir -p .local
	@$(BIN)/python -m venv --without-pip .local/$*
	@$(call SYNC,.local/$*,$^)
	@touch $@

.local/bench-%/.installed: benchmarks/peers/%.lock | $(INSTALLED)
	@echo "Installing $< into .local/bench-$* (once)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .local/bench-$*
	@$(call SYNC,.local/bench-$*,$<)
	@touch $@

# Those of pyenv too, of which it shows only the chosen one by itself.
.local/py%/.installed: requirements.lock local/local.lock local/dev.lock | $(INSTALLED)
	@export PATH="$$PATH:$$(printf '%s:' "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/*/bin)"; \
	python=$$($(BIN)/uv python find --no-project --system --no-python-downloads $* 2>/dev/null) || \
		{ echo "Python $* is needed and not found: install it, for example with 'uv python install $*' or pyenv."; exit 1; }; \
	echo "Installing the locked packages into .local/py$* with $$python (once)"; \
	$(BIN)/uv venv --quiet --clear --python "$$python" .local/py$*
	@$(call SYNC,.local/py$*,$^)
	@touch $@
