# Each target does all its own set-up in .venv, from the pinned versions of constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
STEPS ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench mini clean

help:  ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 14

demo: $(VENV)/core.stamp  ## take the shipped podcast to a model that speaks; ends with a report (STEPS=4 for a quick look)
	$(BIN)/rosella demo $(if $(STEPS),--steps $(STEPS)) $(ARGS)

test: $(VENV)/dev.stamp  ## run the tests, a process for each core (ARGS="-k delay" picks some)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(VENV)/dev.stamp  ## style, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp  ## run every benchmark
	@set -e; for script in benchmarks/[!_]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

mini: $(VENV)/dev.stamp  ## rebuild the embedded models and the demo podcast (hours on a CPU)
	PYTHONPATH=tools $(BIN)/python -m mini.build $(ARGS)

clean:  ## remove the environment, caches and build outputs; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what it was installed from, so nothing is installed twice.
$(VENV)/core.stamp: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (a few minutes, only when the pinned versions changed) ..."
	@sh tools/make_venv.sh $(VENV)
	@$(PIP) torch
	@$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	@echo "Adding the tools for tests and linting ..."
	@$(PIP) --editable '.[dev]'
	@touch $@
