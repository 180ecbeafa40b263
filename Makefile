# `make run` and `make test` need Python 3.11 or newer and make; each sets up all it needs in .venv.
PYTHON ?= python3
PIP_VERSION := 26.3
UV_VERSION := 0.13.9
BIN := .venv/bin
# Most modules of the packages are never imported; those that are, Python compiles at their first import.
PIP_OPTIONS := --quiet --no-compile
# tests/conftest.py says how many workers, which tests stay together and in which order.
SIDE_BY_SIDE := -n auto --dist loadscope --no-loadscope-reorder
# Tests start hundreds of processes, each of which would compile all that it imports again.
unexport PYTHONDONTWRITEBYTECODE
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
# numpy's matrices here are small: its threads wait for each other longer than they compute, up to 30 times on busy cores.
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help run test quick collected check style types imports model bench bench-peers intervals lock reference structure sample notebook circuits campaign campaign-tests slurm-tests mlflow-tests catalogue-tests mixture t5 vision clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/run model ## set up, fetch the model, serve http://localhost:8501
	$(BIN)/streamlit run app.py

test: .venv/dev model ## set up and run every test, browser tests included
	$(BIN)/python -m pytest tests $(SIDE_BY_SIDE)

quick: .venv/dev ## the tests that need no model and no browser
	$(BIN)/python -m pytest tests -m "not slow and not browser" $(SIDE_BY_SIDE)

collected: .venv/dev
	$(BIN)/python -m pytest tests --collect-only --quiet >/dev/null

check: style types imports ## ruff, types, import contracts

style: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy --num-workers 2

imports: .venv/dev
	$(BIN)/lint-imports

bench: .venv/dev model ## speed as ratios measured in one run; writes bench/results.json
	$(BIN)/python bench/run.py

bench-peers: .venv/dev model build/peers/done ## the same sweep by TransformerLens, nnsight and pyvene; writes bench/peers.json; 10 to 30 minutes
	$(BIN)/python bench/compare_peers.py

# An environment of their own: nothing else needs these libraries.
build/peers/done: bench/peers/requirements.lock bench/peers/requirements.txt
	$(PYTHON) -m venv build/peers
	build/peers/bin/pip install $(PIP_OPTIONS) --require-hashes --no-deps -r bench/peers/requirements.lock
	build/peers/bin/pip install $(PIP_OPTIONS) -c constraints.txt $$(grep '^torch==' requirements.txt)
	@touch $@

intervals: .venv/dev ## simulate the verdict's intervals and write the table of docs/intervals.md; 15 minutes
	PYTHONPATH=. $(BIN)/python bench/intervals.py

reference: .venv/dev ## write docs/reference/library/ from the docstrings
	$(BIN)/python tools/reference.py

structure: .venv/dev ## draw docs/structure.svg from the imports
	$(BIN)/python tools/structure.py

sample: .venv/run ## record the sample organisation of data/sample again, about ten minutes
	$(BIN)/python tools/sample.py

notebook: .venv/dev ## run docs/notebooks/first_audit.ipynb and store its outputs
	$(BIN)/python tools/notebook.py

circuits: .venv/dev model ## record the answers about shipped circuits in data/circuit_answers; 15 minutes
	PYTHONPATH=. $(BIN)/python tools/record_circuits.py

campaign: .venv/dev ## run the example campaign and record its state in data/campaigns
	PYTHONPATH=. $(BIN)/python tools/record_campaign.py

# Nightly. An environment of its own for Ray, which reads all else from .venv, so that torch is there once.
campaign-tests: .venv/dev build/ray/done ## campaigns on a Ray cluster of two nodes on this machine, of which parts are killed; some minutes
	PYTHONPATH=. build/ray/bin/python tests/cluster/campaign_cluster.py

slurm-tests: .venv/dev build/ray/done ## ci/slurm_campaign.py on a SLURM of three nodes on this machine, of which one is killed; needs slurmd, slurmctld, munge
	PYTHONPATH=. build/ray/bin/python tests/cluster/campaign_slurm.py

build/ray/done: requirements-cluster.lock
	$(PYTHON) -m venv build/ray
	build/ray/bin/pip install $(PIP_OPTIONS) --require-hashes --no-deps -r requirements-cluster.lock
	build/ray/bin/python tests/cluster/borrow_packages.py "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# As those of Ray: an environment of its own for MLflow's client.
mlflow-tests: .venv/dev build/mlflow/done ## send runs to an MLflow store with its own client; seconds once it is installed
	PYTHONPATH=. build/mlflow/bin/python tests/tracking/mlflow_runs.py

build/mlflow/done: requirements-mlflow.lock
	$(PYTHON) -m venv build/mlflow
	build/mlflow/bin/pip install $(PIP_OPTIONS) --require-hashes --no-deps -r requirements-mlflow.lock
	build/mlflow/bin/python tests/cluster/borrow_packages.py "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# DuckLake has no extension for the DuckDB of Assay: an environment of its own with an older one.
catalogue-tests: .venv/dev build/catalogue/done ## runs and effects in DuckLake and in PostgreSQL, by the SQL of the docs; needs PostgreSQL installed; two minutes
	PYTHONPATH=.:tests $(BIN)/python tests/catalogue/catalogues.py

build/catalogue/done: tests/catalogue/requirements.lock
	$(PYTHON) -m venv build/catalogue
	build/catalogue/bin/pip install $(PIP_OPTIONS) --require-hashes --no-deps -r tests/catalogue/requirements.lock
	@touch $@

vision: .venv/dev ## train the image classifiers of data/vision again; two minutes of one core
	$(BIN)/python -m tools.vision

mixture: .venv/dev ## train the small mixture of experts of data/models again; 15 minutes of one core
	$(BIN)/python -m tools.mixture

t5: .venv/dev ## train the small encoder–decoder of data/models again; 13 minutes of one core
	$(BIN)/python -m tools.encoder_decoder

model: .venv/run
	$(BIN)/python -m audit_core fetch

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
	$(BIN)/pip install $(PIP_OPTIONS) --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install $(PIP_OPTIONS) -c constraints.txt $$(grep '^torch==' requirements.txt)
	@touch $@

# The two locks name no package twice, so that with two jobs they are installed side by side.
.venv/tools: .venv/pip requirements-dev.lock
	$(BIN)/pip install $(PIP_OPTIONS) --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

.venv/dev: .venv/run .venv/tools
	@touch $@
