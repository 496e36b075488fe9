# Two commands on a fresh machine: make run, make test. Both set up .venv first.

PYTHON ?= python3
BUDGET ?= 90s
PLUGINS := $(wildcard plugins/*/pyproject.toml)
BIN := .venv/bin

.PHONY: setup run test check clean

run: setup
	$(BIN)/metalearner run penguins "tell the sex of a penguin from its measurements" --budget $(BUDGET)

test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy metalearner
	$(BIN)/lint-imports

setup: .venv/ready

.venv/ready: constraints.txt requirements-dev.txt requirements-data.txt pyproject.toml $(PLUGINS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt hatchling editables
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt --no-build-isolation \
		-r requirements-dev.txt -e . $(foreach plugin,$(PLUGINS),-e $(dir $(plugin)))
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -r requirements-data.txt
	$(BIN)/python -m compileall -q metalearner plugins  # as pip does for what it copies
	touch $@

clean:
	rm -rf .venv runs
