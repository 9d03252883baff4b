# `make demo` and `make test` need Python 3.10 to 3.13 and nothing else; both install into .venv first.
PYTHON ?= python3
VENV := .venv
BENCH := .venv-bench
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/slicer-5.12.txt

.PHONY: demo test docs bench clean

demo: $(VENV)/.headless
	$(BIN)/dce-perfusion-bmd demo --output demo-output

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs
	@echo "The site is build/docs/index.html."

bench: $(BENCH)/.installed $(VENV)/.headless
	$(BENCH)/bin/python Testing/benchmarks/bench_kinetics.py --output docs/performance.md
	$(BENCH)/bin/python Testing/benchmarks/bench_minimum.py --output docs/minimum.md
	$(BIN)/python Testing/benchmarks/bench_dicom.py --output docs/reading-dicom.md
	OPENBLAS_NUM_THREADS=1 $(BIN)/python Testing/benchmarks/bench_live.py --output docs/live.md
	$(BIN)/python Testing/benchmarks/bench_cohort.py --output docs/large-cohorts.md
	PYTHONPATH=Testing $(BIN)/python Testing/benchmarks/bench_batch.py --output docs/large-batches.md

# The other programs may want other versions than Slicer has, so they get an environment of their own.
$(BENCH)/.installed: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) $(BENCH) demo-output build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "Python 3.10 to 3.13 is needed, $(PYTHON) is `$(PYTHON) --version`; try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.headless: $(VENV)/.python pyproject.toml constraints/slicer-5.12.txt
	$(PIP) --editable '.[headless]'
	@touch $@

$(VENV)/.test: $(VENV)/.headless
	$(PIP) --editable '.[headless,test,test-desktop,docs]'
	@touch $@

$(VENV)/.docs: $(VENV)/.python pyproject.toml constraints/slicer-5.12.txt
	$(PIP) --editable '.[docs]'
	@touch $@
