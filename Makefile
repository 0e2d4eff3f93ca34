# One word per chore; .ci/run uses the same words. `make` alone lists them.
.PHONY: help setup run test test-slow check lint bench e2e constraints

BIN = .venv/bin
MUSCOPE_DATA_DIR ?= $(CURDIR)/.muscope
QUICK = not slow and not e2e and not packaging
# A file stays in one process, so that its database and broker start once; the long ones go first.
# One thread per process: two test processes on two cores otherwise fight over four threads.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
COVERAGE = --cov=muscope --cov=muscope_server --cov=muscope_worker --cov-report=term:skip-covered

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## set up .venv with everything that running and testing needs
	@scripts/setup.sh test

run: ## set up what is missing and start muscope here; PORT=8765 and MUSCOPE_DATA_DIR=.muscope
	@scripts/setup.sh run
	@$(BIN)/muscope up --data-dir "$(MUSCOPE_DATA_DIR)" $(if $(PORT),--port $(PORT))

test: setup lint ## set up what is missing and run all tests except the slow ones
	$(PYTEST) -m "not slow" $(COVERAGE)

test-slow: setup ## the tests that take minutes
	$(PYTEST) -m slow

check: setup lint ## under 90 seconds: lint, types, contracts and the quick tests
	$(PYTEST) -m "$(QUICK)" -q

lint: setup ## ruff, mypy, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

e2e: setup ## only the whole journeys: real servers, workers and a browser
	$(PYTEST) -m "e2e and not slow"

bench: setup ## the figures of docs/benchmarks.md, as table rows
	@$(BIN)/python -m benchmarks.server_start
	@$(BIN)/python -m benchmarks.recorder
	@$(BIN)/python -m benchmarks.recording
	@$(BIN)/python -m benchmarks.coordinate_check
	@$(BIN)/python -m benchmarks.sweep
	@$(BIN)/python -m benchmarks.ceiling
	@$(BIN)/python -m benchmarks.memory
	@$(BIN)/python -m benchmarks.estimate
	@$(BIN)/python -m benchmarks.threads
	@$(BIN)/python -m benchmarks.adaptive
	@$(BIN)/python -m benchmarks.checkpoint
	@$(BIN)/python -m benchmarks.transfer_demo
	@$(BIN)/python -m benchmarks.pages
	@$(BIN)/python -m benchmarks.journey

constraints: ## refresh constraints.txt with the newest versions that pyproject.toml allows
	@scripts/constraints.sh
