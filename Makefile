# Thin: every target calls the program or a tool. `make demo` and `make test` are all there is to it.
PYTHON ?= python3.11
UV := 0.13.9
BIN := .venv/bin
READY := .venv/.ready
# A terminal sees what is fetched; in a log every file would be a line.
QUIET = $$(test -t 2 || echo --quiet)

.PHONY: demo test unit units integration lint jars up down

demo: $(READY)
	@$(BIN)/daybreak demo

up: $(READY)
	@$(BIN)/daybreak up

down: $(READY)
	@$(BIN)/daybreak down

test: lint units integration

# The quick ones: without Spark.
unit: $(READY) jars
	$(BIN)/pytest tests/unit tests/dags -m "not spark and not long"

# All of them, in two processes, of which one has the Spark session.
units: $(READY) jars
	$(BIN)/pytest tests/unit tests/dags -n 2 --dist loadgroup

integration: $(READY) jars
	$(BIN)/pytest tests/integration tests/cluster tests/faults

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The jars that Spark needs in the tests, fetched from Maven Central and checked by their SHA-256.
jars: $(READY)
	@$(BIN)/python -m daybreak_local.jars .daybreak/jars

$(READY): pyproject.toml uv.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is not installed (no $(PYTHON) on PATH). Install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "▸ Installing the locked packages (2 GB on the first run)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	@start=$$(date +%s); $(BIN)/uv sync --locked --inexact $(QUIET) --python $(BIN)/python && echo "✓ Installing: $$(( $$(date +%s) - start )) s"
	@touch $@
