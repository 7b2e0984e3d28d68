# SPDX-License-Identifier: BSD-2-Clause
# make hello   boot our own small guest; Ctrl-] leaves it running. Without a terminal, a short session
# make quick   style, and the unit tests without guests: under a minute
# make test    everything that must hold: style, types, licences, tests; COVERAGE=1 counts lines
# make bench   the benchmarks, side by side with peers, written to docs/benchmarks.md and .svg
# make bench-check  what got slower than the page says, by a tenth or more; for people
# make docs    write again the pages that repeat what the program knows
# make wheels  what is published, in dist: a reproducible sdist, wheels, their parts and hashes
# make guest   build machines/hello/hello.bin again, after a change of its source
# make clean   remove the environment and what was built
#
# The first call makes a virtual environment in .venv; later ones find it ready.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 4
BIN := $(VENV)/bin

# Python sources are used where they are; only these make a new installation necessary.
NATIVE := $(wildcard manager/cpu/unicorn/native/*.c manager/cpu/unicorn/native/*.h manager/snapshot/*.c manager/sandbox/native/*)
BUILD_INPUTS := pyproject.toml setup.py $(NATIVE)
RUN_READY := $(VENV)/.ready-to-run
DEV_READY := $(VENV)/.ready-to-develop

.PHONY: hello quick test style types licences unit bench bench-check docs wheels guest clean

hello: $(RUN_READY)
	@if [ -t 0 ]; then $(BIN)/vmmgr up machines/hello.toml; \
	else PATH="$(abspath $(BIN)):$$PATH" examples/hello.sh; fi

quick: style
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not guest' tests/unit

test: style types licences unit

style: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_READY)
	$(BIN)/mypy

licences: $(DEV_READY)
	$(BIN)/reuse lint --quiet || $(BIN)/reuse lint --lines

unit: $(DEV_READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(if $(COVERAGE),--cov --cov-report=term:skip-covered)

bench: $(DEV_READY)
	$(BIN)/python -m benchmarks --markdown docs/benchmarks.md --picture docs/benchmarks.svg

bench-check: $(DEV_READY)
	$(BIN)/python -m benchmarks --against docs/benchmarks.md

docs: $(DEV_READY)
	$(BIN)/python docs/generate.py

wheels: $(DEV_READY)
	$(call install,'.[wheels]')
	$(BIN)/python packaging/build.py

guest:
	$(MAKE) -C machines/hello

clean:
	rm -rf $(VENV) build vmmgr.egg-info manager/cpu/unicorn/_native*.so manager/snapshot/_pages*.so manager/sandbox/_native*.so

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vmmgr needs Python 3.11 or later")'
	@$(PYTHON) -m venv $(VENV)

# pip's words are shown only when it fails.
define install
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --editable $(1) \
		>$(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log >&2; exit 1; }
endef

# Order-only: venv's python is a link whose date says nothing.
$(RUN_READY): $(BUILD_INPUTS) | $(BIN)/python
	@echo "preparing $(VENV), this once"
	$(call install,.)
	@touch $@

$(DEV_READY): $(BUILD_INPUTS) | $(BIN)/python
	@echo "preparing $(VENV) with the tools for development, this once"
	$(call install,'.[dev]')
	@touch $@ $(RUN_READY)
