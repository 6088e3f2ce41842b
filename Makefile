# `make demo`, `make up` and `make test` set up what they need; the second time there is nothing to do.
#
#   PYTHON       the Python (3.11 or newer) to make .venv with; found by itself otherwise
#   TORCH_ARGS   how to get torch, e.g. TORCH_ARGS="--index-url <the index with the CPU or CUDA build you want>"
#   ARGS         passed on: make demo ARGS=--exit, make test ARGS="lint types", make bench ARGS=…

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TORCH := $(shell sed -n 's/^ *"\(torch==[0-9.]*\)",$$/\1/p' pyproject.toml)
TORCH_ARGS ?=
ARGS ?=
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet
CHECK := .venv/bin/python tools/check.py

.PHONY: help setup demo up test bench lint types format lock clean

help:
	@echo "make demo    the whole product on a demo project, then the dashboard stays up (ARGS=--exit: stops)"
	@echo "make up      the dashboard"
	@echo "make test    every check and test"
	@echo "make bench   the benchmarks, each against its limit"
	@echo "make lint | types | format | lock | clean"

demo: setup
	@exec .venv/bin/ftportal demo $(ARGS)

up: setup
	@exec .venv/bin/ftportal up $(ARGS)

test: setup
	@exec $(CHECK) $(ARGS)

bench: setup
	@exec .venv/bin/python -m ftportal.embedded --temporary -- .venv/bin/python -m benchmarks $(ARGS)

lint: setup
	@exec $(CHECK) lint

types: setup
	@exec $(CHECK) types

format: setup
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lock: setup
	tools/lock.sh

clean:
	rm -rf .venv node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Set-up, each step once: a stamp is newer than what it was made from -------------------------------------
setup: .venv/.installed node_modules/.installed

.venv/.created: tools/create_venv.sh
	@tools/create_venv.sh
	@touch $@

# torch first and alone: its build differs by machine, so it cannot stand in the lock file with a hash.
.venv/.torch: .venv/.created pyproject.toml
	@.venv/bin/python tools/has_package.py "$(TORCH)" || { echo "installing $(TORCH)"; $(PIP) install "$(TORCH)" $(TORCH_ARGS); }
	@touch $@

.venv/.installed: .venv/.torch requirements/lock.txt
	@echo "installing the Python packages of requirements/lock.txt"
	@$(PIP) install --no-deps --require-hashes -r requirements/lock.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

node_modules/.installed: package.json package-lock.json tools/install_browser_packages.sh .venv/.created
	@tools/install_browser_packages.sh
	@touch $@
