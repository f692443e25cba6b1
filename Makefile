# `make run` and `make test` do all they need on a fresh clone: make .venv, install, do the job.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: run test slow lint format types clean

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $(READY)

run: $(READY)
	$(BIN)/headtohead run $(ARGS)

# A test runs on one thread, so two processes share two cores.
PYTEST := $(BIN)/python -m pytest -n 2

test: $(READY)
	$(PYTEST) --dist worksteal -m "not slow"

slow: $(READY)
	$(PYTEST) --dist loadfile --no-loadscope-reorder -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)
	$(BIN)/mypy

clean:
	rm -rf .venv
