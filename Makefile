# One command each; all of them create .venv with the pinned dependencies first, and call pip only if
# pyproject.toml or constraints.txt changed since.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
TESTING := $(VENV)/.testing-installed

.PHONY: help demo check test test-slow test-tl4 dist docs bench artifacts clean

help:
	@echo "make demo       train, analyze and draw the quick run (about a minute after the install)"
	@echo "make check      lint, format, types"
	@echo "make test       the tests, under 10 minutes on two cores"
	@echo "make test-slow  the long ones"
	@echo "make docs       the documentation site in site/, from the pages, the code and the notebooks"
	@echo "make test-tl4   run.bridge under TransformerLens 4, in an environment of its own"
	@echo "make dist       the wheel and the source distribution, in dist/"
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

docs: $(TESTING) # the demo's figures stand on the measures' pages; a second time it is there already
	$(BIN)/grokinterp demo --out runs/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# TransformerLens 4 is what a user gets who installs it over grokinterp's 3; pip remarks on that, and it is meant.
TL4 := .venv-tl4
TL4_INSTALLED := $(TL4)/.installed
TL4_RUNS := build/tl4

test-tl4: $(TESTING) $(TL4_INSTALLED)
	rm -rf $(TL4_RUNS)
	$(BIN)/python tests/tl4/references.py $(TL4_RUNS)
	GROKINTERP_TL4_RUNS=$(TL4_RUNS) $(TL4)/bin/python -m pytest -q tests/tl4

$(TL4_INSTALLED): pyproject.toml constraints.txt constraints-tl4.txt
	$(PYTHON) -m venv $(TL4)
	$(TL4)/bin/python -m pip install --quiet --constraint constraints.txt --editable . pytest
	$(TL4)/bin/python -m pip install --quiet --constraint constraints-tl4.txt "transformer-lens>=4"
	@touch $@

dist: $(TESTING)
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

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
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs,test]"
	@touch $@ $(RUNTIME)

clean:
	rm -rf $(VENV) $(TL4) build dist site *.egg-info
