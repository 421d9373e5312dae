# Every recipe sets up what it needs; a second run reuses it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# uv does not read PIP_FIND_LINKS by itself; without a local wheel folder it takes CPU torch.
export UV_FIND_LINKS := $(PIP_FIND_LINKS)
ifeq ($(strip $(PIP_FIND_LINKS)),)
export UV_TORCH_BACKEND ?= cpu
endif
export UV_LINK_MODE ?= copy
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup up down run test lint types sql bench soak requirements

help: ## show the recipes
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed ## virtual environment with the pinned packages

$(VENV)/.installed: requirements.txt pyproject.toml
	@echo "setup: virtual environment and pinned packages"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.txt)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode requirements.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

up: setup ## start the embedded services
	@$(BIN)/ytempire up

down: ## stop them; data stay
	@test ! -x $(BIN)/ytempire || $(BIN)/ytempire down

run: setup ## everything: set up, start, and run the main job to finished videos
	@$(BIN)/ytempire up
	@$(BIN)/ytempire run

lint: setup ## style, types, SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types sql

types:
	@$(BIN)/mypy ml plugins

sql:
	@cd dbt_project && ../$(BIN)/sqlfluff lint models

# Each of the workers has services of its own; the platform of the last line is one.
PYTEST := $(BIN)/python -m pytest --durations 15
WORKERS ?= 2
test: setup lint ## every test but the soak
	@status=0; \
	$(PYTEST) tests/unit --numprocesses $(WORKERS) || status=1; \
	$(PYTEST) tests/integration --numprocesses $(WORKERS) --dist loadfile || status=1; \
	$(PYTEST) tests/e2e tests/fault || status=1; \
	exit $$status

soak: setup ## the long tests
	@$(BIN)/python -m pytest tests/soak

bench: setup ## measure generation on topics of YTEMPIRE_DATA_DIR, into tests/bench/results
	@$(BIN)/python tests/bench/bench_generation.py --data-dir "$(YTEMPIRE_DATA_DIR)"

EXTRAS := airflow dbt ml generation voice serving embedded dev
requirements: setup ## resolve pyproject.toml into requirements.txt; what is pinned stays
	@grep -v '^torch==' requirements.txt > requirements.txt.new
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip compile pyproject.toml requirements.in --quiet \
		$(addprefix --extra ,$(EXTRAS)) --override overrides.txt --constraint constraints.txt \
		--python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--output-file requirements.txt.new
	@sed -i 's/+cpu$$//' requirements.txt.new
	@mv requirements.txt.new requirements.txt
