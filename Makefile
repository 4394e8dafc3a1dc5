# Two commands to begin with: `make demo` and `make test`. Each does its own set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check format bench conformance chaos fuzz docs clean

demo: $(STAMP)
	@$(BIN)/debug-mcp demo

test: $(STAMP)
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks

# The official suite of MCP, an npm package: it is downloaded at the first run.
conformance: $(STAMP)
	$(BIN)/python -m tests.conformance --tools $(VENV)/conformance

# Servers killed 1,000 times during a mixed load. SEEDS and KILLS (of each seed) may be given.
SEEDS ?= 1,2,3,4,5
KILLS ?= 200
chaos: $(STAMP)
	$(BIN)/python -m tests.chaos --seeds $(SEEDS) --kills $(KILLS)

# schemathesis against a real server, for longer than in the tests.
FUZZ_SEED ?= 1
EXAMPLES ?= 100
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --seed $(FUZZ_SEED) --examples $(EXAMPLES)

docs: $(STAMP)
	$(BIN)/python docs/generate.py

# An editable install: the sources in the tree are what runs.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "debug-mcp needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
