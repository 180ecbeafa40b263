# `make run` and `make test` need Python 3.11 or newer and make; each sets up all it needs in .venv.
PYTHON ?= python3
PIP_VERSION := 26.3
UV_VERSION := 0.13.9
BIN := .venv/bin
# Models run on one thread each, so one process a core; a file's tests stay together, as they share what they build.
# Files are taken in the order of tests/conftest.py: the heavy ones first.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Tests of the default model share one, those of the served app share a server: each of the two on a worker of its own.
IN_GROUPS := -n 2 --dist loadgroup
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help run test quick check bench lock reference structure sample notebook clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/run ## set up, fetch the model, serve http://localhost:8501
	$(BIN)/python -m audit_core fetch
	$(BIN)/streamlit run app.py

test: .venv/dev ## set up and run every test, browser tests included
	$(BIN)/python -m audit_core fetch
	$(BIN)/python -m pytest tests -m "not slow and not browser" $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest tests -m "slow or browser" $(IN_GROUPS)

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

reference: .venv/dev ## write docs/reference/library/ from the docstrings
	$(BIN)/python tools/reference.py

structure: .venv/dev ## draw docs/structure.svg from the imports
	$(BIN)/python tools/structure.py

sample: .venv/run ## record the sample organisation of data/sample again, about ten minutes
	$(BIN)/python tools/sample.py

notebook: .venv/dev ## run docs/notebooks/first_audit.ipynb and store its outputs
	$(BIN)/python tools/notebook.py

lock: ## write the locks, constraints.txt and the list of licences; UPGRADE=1 takes newer versions
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check pip==$(PIP_VERSION) uv==$(UV_VERSION)
	build/lock/bin/python tools/lock.py --pip $(PIP_VERSION) $(if $(UPGRADE),--upgrade)

clean: ## remove the environment and what tools left behind; models and runs stay
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Found: $$($(PYTHON) --version). Wanted: Python 3.11 or newer. What to do: make PYTHON=python3.11 ..."; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { echo "Python cannot make environments here. What to do: install its venv package (Debian: python3-venv)."; exit 2; }
	@sed -n '/^pip==/,/[^\\]$$/p' requirements.lock > .venv/pip.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/pip.lock
	@touch $@

# The locks name all that is needed but torch and its CUDA packages, of which each machine keeps its own build, by version.
.venv/run: .venv/pip requirements.lock requirements.txt
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet -c constraints.txt $$(grep '^torch==' requirements.txt)
	@touch $@

.venv/dev: .venv/run requirements-dev.lock
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements-dev.lock
	@touch $@
