# Each target installs what it needs into .venv, from constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# The first Python found that the package supports; `make PYTHON=/path/to/python ...` overrides it.
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
NIGHT := demo-night
# `make bench NIGHT=FOLDER` measures on the raw frames in FOLDER as well.
OTHER_NIGHT = $(if $(findstring command,$(origin NIGHT)),--night '$(NIGHT)')

.PHONY: help demo test lint docs bench clean

help:
	@echo "make demo    simulate a night of both arms and reduce it, into $(NIGHT)/"
	@echo "make test    style, types, architecture and all tests"
	@echo "make lint    style, types and architecture only"
	@echo "make docs    the manual, into docs/_build/html"
	@echo "make bench   accuracy and speed on simulated nights, into the tables of README.md"
	@echo "make clean   remove what the other targets made"

demo: $(VENV)/.run
	$(BIN)/soxspipe demo $(NIGHT)

test: lint
	$(BIN)/pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks --write $(OTHER_NIGHT)

docs: $(VENV)/.docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going --fresh-env --quiet docs docs/_build/html
	@echo "open docs/_build/html/index.html"

clean:
	rm -rf $(VENV) $(NIGHT) docs/_build docs/recipes build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { \
	  echo "soxspipe needs Python 3.11 or newer, and none was found."; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12 demo"; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { \
	  echo "soxspipe needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=/path/to/python3.12 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) hatchling
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	$(INSTALL) --no-build-isolation --editable '.[docs]'
	@touch $@
