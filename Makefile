# Two commands for a fresh machine with Python 3.11 or later and make: `make sweep` and `make test`.
# Each sets up what it needs in .venv, once; a change of pyproject.toml or constraints.txt sets it up again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# On a terminal pip shows what it loads; elsewhere its lines would only fill a log.
PIP := $(BIN)/python -m pip --disable-pip-version-check install $(if $(MAKE_TERMOUT),,--quiet) --constraint constraints.txt
# Test files run beside one another, the longest first: tests/conftest.py says how many. WORKERS=0: one after another.
WORKERS ?= auto
PARALLEL := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
SPEC ?= search_spaces/quickstart.yaml

.PHONY: help sweep test check slow containers docs ui clean

help:
	@echo "make sweep   set up, and sweep UBN on handwritten digits (SPEC=... for another spec)"
	@echo "make test    set up, and run the tests"
	@echo "make check   set up, and run the linters and the type checker"
	@echo "make slow    set up, and run the tests that take minutes"
	@echo "make containers  build the images with podman, start the cluster of docker/compose.yaml and shake it"
	@echo "make docs    set up, and build the documentation as a site: build/site/index.html"
	@echo "make ui      open MLflow on the sweeps of this folder"
	@echo "make clean   remove the environment and the caches, not the sweeps"

sweep: $(VENV)/ready-to-run
	$(BIN)/ubn-sweep run $(SPEC)

test: $(VENV)/ready-to-develop
	$(BIN)/python -m pytest -m "not slow and not containers" $(PARALLEL)

slow: $(VENV)/ready-to-develop
	$(BIN)/python -m pytest -m "slow and not containers" $(PARALLEL)

containers: $(VENV)/ready-to-develop
	bash .ci/containers

check: $(VENV)/ready-to-develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/ready-to-develop
	$(BIN)/properdocs build --strict --quiet
	@echo "build/site/index.html"

ui: $(VENV)/ready-to-run
	$(BIN)/ubn-sweep ui

$(VENV)/ready-to-run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV): a minute or two, once."
	@$(PIP) --editable .
	@touch $@

$(VENV)/ready-to-develop: $(VENV)/ready-to-run
	@$(PIP) --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
