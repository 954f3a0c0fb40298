# One command each; all of them create .venv with the pinned dependencies first, and call pip only if
# pyproject.toml or constraints.txt changed since.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
TESTING := $(VENV)/.testing-installed

.PHONY: help demo check test test-slow bench artifacts clean

help:
	@echo "make demo       train, analyze and draw the quick run (about a minute after the install)"
	@echo "make check      lint, format, types"
	@echo "make test       the tests, under 10 minutes on two cores"
	@echo "make test-slow  the long ones"
	@echo "make artifacts  the papers' tables and figures at bench scale, some hours; what is there is reused"
	@echo "make bench      the benchmarks, about half an hour; see benchmarks/README.md"

demo: $(RUNTIME)
	$(BIN)/grokinterp demo

check: $(TESTING)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check
	$(BIN)/python -m pytest -q tests/test_layers.py

test: $(TESTING)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: $(TESTING)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m slow

bench: $(TESTING)
	$(BIN)/python -m benchmarks

PAPERS := $(patsubst analyses/%/expected.json,%,$(wildcard analyses/*/expected.json))

artifacts: $(RUNTIME)
	@set -e; for paper in $(PAPERS); do $(BIN)/python -m analyses.$$paper --scale bench; done

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	  || { echo "grokinterp needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(TESTING): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@ $(RUNTIME)

clean:
	rm -rf $(VENV) build dist *.egg-info runs
