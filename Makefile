# `make run` and `make test` need Python 3.11 or newer and make; each sets up all it needs in .venv.
PYTHON ?= python3
PIP_VERSION := 26.3
BIN := .venv/bin
# Small models run on one thread each, so one process a core; a file's tests stay together, as they share what they build.
# What needs the default model or a browser runs alone: two such tests on two cores took longer than one after the other.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile
export PYTHONDONTWRITEBYTECODE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help run test quick check bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/run ## set up, fetch the model, serve http://localhost:8501
	$(BIN)/python -m audit_core fetch
	$(BIN)/streamlit run app.py

test: .venv/dev ## set up and run every test, browser tests included
	$(BIN)/python -m audit_core fetch
	$(BIN)/python -m pytest tests -m "not slow and not browser" $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest tests -m "slow or browser"

quick: .venv/dev ## the tests that need no model and no browser
	$(BIN)/python -m pytest tests -m "not slow and not browser" $(SIDE_BY_SIDE)

check: .venv/dev ## ruff, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev ## speed as ratios measured in one run; writes bench/results.json
	$(BIN)/python -m audit_core fetch
	$(BIN)/python bench/run.py

clean: ## remove the environment and what tools left behind; models and runs stay
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Found: $$($(PYTHON) --version). Wanted: Python 3.11 or newer. What to do: make PYTHON=python3.11 ..."; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { echo "Python cannot make environments here. What to do: install its venv package (Debian: python3-venv)."; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==$(PIP_VERSION)
	@touch $@

# torch by itself first: a build that is already chosen for this machine is then kept by everything that follows.
.venv/run: .venv/pip requirements.txt constraints.txt
	$(BIN)/pip install --quiet $$(grep '^torch==' requirements.txt)
	$(BIN)/pip install --quiet -c constraints.txt -r requirements.txt
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	$(BIN)/pip install --quiet -c constraints.txt -r requirements-dev.txt
	@touch $@
