# Everything a newcomer needs. No network but a package index, no key.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?= demo-run
HEADLESS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: install dev demo test test-slow test-faults soak check bench lock clean

install: $(VENV)/.installed
dev: $(VENV)/.dev

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "Installing into $(VENV): about a minute, 500 MB"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -q --require-hashes -r requirements.lock
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q harness_core tui
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.installed
	@$(PIP) install -q --require-hashes -r requirements-dev.lock
	@touch $@

demo: install
	$(BIN)/longwatch demo $(DIR) $(if $(HEADLESS),--headless --fast)

test: dev
	$(BIN)/python -m pytest $(ARGS)

test-slow: dev
	$(BIN)/python -m pytest -m slow $(ARGS)

# Kills an engine at every append to the journal: about 20 minutes. APPENDS in tests/test_crash_points.py.
test-faults: dev
	$(BIN)/python -m pytest -m faults $(ARGS)

# A long run under random faults, a console on it, and whether the memory of both stays flat: over an hour.
# FEATURES=5 takes minutes.
FEATURES ?= 155
soak: dev
	$(BIN)/python -m tests.soak --features $(FEATURES) $(ARGS)

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: dev
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: screenshots looks docs
# The README's pictures, from a run of the demo. Needs the DejaVu fonts (Debian: fonts-dejavu-core).
screenshots: dev
	$(BIN)/python screenshots/make.py

# The pictures that tests compare the console with, taken anew: look at what changed.
looks: dev
	$(BIN)/python -m pytest -n 2 tests/test_console_looks.py --snapshot-update

# Whether what the pages say is there: commands, options, keys, names, links.
docs: dev
	$(BIN)/python -m pytest -n 0 tests/test_docs.py

lock:
	$(PIP) install -q pip-tools
	$(BIN)/pip-compile -q --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --no-header -o requirements.lock pyproject.toml requirements-build.in
	$(BIN)/pip-compile -q --strip-extras --allow-unsafe --extra dev --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --no-header -o requirements-dev.lock pyproject.toml requirements-build.in

clean:
	rm -rf $(VENV) demo-run build *.egg-info
