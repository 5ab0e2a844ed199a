# make demo: everything from nothing to a trained tiny model. make test: the test suite. Both make their environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Where the environment tells Python to keep no compiled code, each of some hundred processes of the tests would compile
# for half a second.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo install test test-all wheel test-python docs check format clean

install: $(STAMP)

# In `readers`, away from what is imported elsewhere: other trainers, which read exports back in tests/export.
# The CPU build of torch is named first: a plain `torch` would pull several gigabytes of CUDA libraries.
$(STAMP): pyproject.toml tests/export/readers.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --editable ".[browse,cloud,ray,train,datatrove,dev,test]"
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/readers -r tests/export/readers.txt
	$(BIN)/python -m pipeline.arrays.warm
	touch $(STAMP)

demo: install
	$(BIN)/python -m jobs.demo

# Files of tests go to as many processes as there are cores, up to four: each may hold 2 GB, and some start a cluster.
PYTEST_PROCESSES := -n logical --maxprocesses 4 --dist loadfile

test: install
	$(BIN)/python -m pytest $(PYTEST_PROCESSES) -m "not slow and not wheel"

# Builds the wheel and runs it in an environment of its own, away from the checkout.
wheel: install
	$(BIN)/python -m pytest tests/wheel

test-all: install
	$(BIN)/python -m pytest

# The rooms that need no torch, and the small corpus end to end, on another Python: make test-python OTHER=python3.12
# The stops of two drivers are left out: they take longest, and what they test is files and processes, not Python.
OTHER ?= python3.12
OTHER_VENV = .venv-$(shell $(OTHER) -c "import sys; print('%d.%d' % sys.version_info[:2])")
OTHER_TESTS := arrays engine language mix quality select test_config.py test_corpus.py test_mixture_configs.py

test-python:
	test -x $(OTHER_VENV)/bin/python || $(OTHER) -m venv $(OTHER_VENV)
	test $(OTHER_VENV)/.installed -nt pyproject.toml || $(OTHER_VENV)/bin/python -m pip install --quiet --editable ".[test]"
	touch $(OTHER_VENV)/.installed
	$(OTHER_VENV)/bin/python -m pytest $(PYTEST_PROCESSES) -m "not slow and not ray" --ignore tests/engine/test_isolation.py $(addprefix tests/,$(OTHER_TESTS))

# The site of docs/. Any warning, as of a link that leads nowhere, ends it.
docs: install
	test $(VENV)/.docs -nt pyproject.toml || $(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs dist/docs
	@echo "dist/docs/index.html"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-3.* dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
