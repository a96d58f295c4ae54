# The two commands to know: make demo, make test. Both set everything up themselves.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

comma := ,
# Python starts slowly without its byte code, and AWS variables of the caller are not for the local cloud.
unexport PYTHONDONTWRITEBYTECODE AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ENDPOINT_URL
# Nor is a proxy.
export NO_PROXY := 127.0.0.1$(if $(NO_PROXY),$(comma)$(NO_PROXY))$(if $(no_proxy),$(comma)$(no_proxy))
export no_proxy := $(NO_PROXY)

# PYTHON=/path/to/python3 chooses; the default is the newest suitable one. VENV=folder keeps two side by side.
PYTHON ?= $(shell tools/find_python.sh)
VENV ?= .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
export MOLECULE_GLOB := molecule/*/molecule.yml
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

INVENTORY := inventories/local
# So many processes; a file's tests stay together. Those against a local cloud have one each, and wait much of their time.
WORKERS := --numprocesses=2 --dist=loadfile
CLOUD_WORKERS := --numprocesses=3 --dist=loadfile

.PHONY: help
help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: setup
setup: ## Make the virtual environment with the pinned packages
	@test -n "$(PYTHON)"
	@tools/setup.sh "$(PYTHON)" "$(VENV)"

.PHONY: demo
demo: local-up ## Deploy to the local cloud, make real changes, verify them; leaves it running
	ansible-playbook -i $(INVENTORY) playbooks/deploy.yml
	ansible-playbook -i $(INVENTORY) playbooks/verify.yml
	@tools/demo_summary.py $(INVENTORY)

.PHONY: local-up
local-up: setup ## Start the local cloud (LOCAL_CLOUD_PORT, default 4566)
	@python -m local_cloud start

.PHONY: local-down
local-down: setup ## Stop the local cloud
	@python -m local_cloud stop

.PHONY: test
test: setup lint unit integration molecule ## Everything, as CI runs it

.PHONY: lint
lint: setup ## ansible-lint, ruff, ansible-test sanity, documentation, the collection's tarball
	ruff check .
	ruff format --check .
	tools/ansible_lint.sh
	tools/docs_lint.sh
	tools/sanity.sh
	tools/galaxy_build.sh

.PHONY: unit
unit: setup ## Unit and property tests, modules against moto
	@mkdir -p build/test
	pytest tests/unit $(WORKERS) --junitxml=build/test/unit.xml

.PHONY: integration
integration: setup ## Modules, identities, kills and edge cases against the local cloud
	@mkdir -p build/test
	pytest tests/integration $(CLOUD_WORKERS) --junitxml=build/test/integration.xml

.PHONY: molecule
molecule: MOLECULE_SCENARIOS = $(if $(SCENARIO),--scenario-name $(SCENARIO),--all)
# The inventory's connection, or another one: CONNECTION=local
molecule: MOLECULE_CONNECTION = $(if $(CONNECTION),-- --extra-vars=ansible_connection=$(CONNECTION))
molecule: setup ## The role end to end on the local cloud, IAM enforced: make molecule SCENARIO=default
	@molecule reset $(MOLECULE_SCENARIOS) >/dev/null # forgets a run that was killed
	molecule test $(MOLECULE_SCENARIOS) $(MOLECULE_CONNECTION)

.PHONY: soak
soak: export CDC_SOAK = 1
soak: setup ## The long runs: full counts of properties, faults, kills, failure records and replays; molecule over local
	@mkdir -p build
	pytest tests/unit/local_cloud tests/unit/history tests/integration/test_nothing_is_lost.py \
		tests/integration/test_pipeline_redrive.py tests/integration/test_check_and_drift.py \
		tests/integration/test_baseline.py tests/integration/test_replay.py --durations=10 --junitxml=build/soak.xml
	$(MAKE) molecule CONNECTION=local

.PHONY: bench
bench: BENCH_VENV := .venv-bench
bench: ## Measure the function against the recipe's way, Powertools and boto3; fails when a limit is missed
	@test -n "$(PYTHON)"
	@tools/setup.sh "$(PYTHON)" $(BENCH_VENV) requirements/bench.txt
	@$(BENCH_VENV)/bin/python -m benchmarks.run

.PHONY: bench-deploy
bench-deploy: setup ## Measure deploys, over both connections, against the first release's; fails when a limit is missed
	@python -m benchmarks.deploy.run

.PHONY: bench-replay
bench-replay: setup ## Measure the replay of the audit log: speed, calls, memory; fails when a limit is missed
	@python -m benchmarks.replay.run

.PHONY: test-matrix
test-matrix: ## Unit tests, lint and the default scenario on both supported sets
	$(MAKE) lint unit molecule SCENARIO=default PYTHON="$$(tools/find_python.sh 3.11)" VENV=.venv-3.11
	$(MAKE) lint unit molecule SCENARIO=default PYTHON="$$(tools/find_python.sh 3.13)" VENV=.venv-3.13

.PHONY: clean
clean: ## Stop this checkout's local clouds; remove virtual environments, caches and outputs
	@for home in build/local_cloud/[0-9]*; do \
		[ ! -d "$$home" ] || LOCAL_CLOUD_PORT="$${home##*/}" "$(PYTHON)" -m local_cloud stop; \
	done
	rm -rf .venv .venv-* .ansible .cache .hypothesis .pytest_cache .ruff_cache build
