# Each target sets up what it needs; an installation is redone when its versions change.

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
DEMO_OUT ?= demo
JOBS ?= 2
# Extras of the development environment.
EXTRAS = dev,text,minilm,smollm2,tracking

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test venv lint bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DEMO_VENV)/.installed ## Install the core alone, train on a simulated shop and show what the beam lost
	$(DEMO_VENV)/bin/beamwise demo --out $(DEMO_OUT)

test: $(VENV)/.installed ## Run every test on JOBS=2 processes, with coverage
	$(VENV)/bin/python -m pytest -n $(JOBS) --dist worksteal --cov --cov-report=term

venv: $(VENV)/.installed ## Make VENV=.venv with everything for development

lint: $(VENV)/.installed ## Check style, types and the direction of imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.installed ## Run every benchmark, one after the other; JSON lines
	$(VENV)/bin/python benchmarks/catalog_build.py
	$(VENV)/bin/python benchmarks/prepare.py
	$(VENV)/bin/python benchmarks/training.py
	$(VENV)/bin/python benchmarks/training.py --backbone llama
	$(VENV)/bin/python benchmarks/training.py --backbone llama --packing stream --only ce
	$(VENV)/bin/python benchmarks/profile_training.py
	$(VENV)/bin/python benchmarks/profile_training.py --backbone llama
	$(VENV)/bin/python benchmarks/kernels.py
	$(VENV)/bin/python benchmarks/beam_search.py
	$(VENV)/bin/python benchmarks/beam_search.py --backbone llama
	$(VENV)/bin/python benchmarks/profile_beam_search.py
	$(VENV)/bin/python benchmarks/profile_beam_search.py --backbone llama
	$(VENV)/bin/python benchmarks/titles.py
	$(VENV)/bin/python benchmarks/titles_training.py
	$(VENV)/bin/python benchmarks/titles_costs.py
	$(VENV)/bin/python benchmarks/random_exactness.py

clean: ## Remove the environments, caches and the demo's output; runs stay
	rm -rf $(VENV) $(DEMO_VENV) $(DEMO_OUT) build dist src/*.egg-info .coverage .coverage.* \
		.pytest_cache .hypothesis .ruff_cache .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: SPEC = .[$(EXTRAS)]
$(DEMO_VENV)/.installed: SPEC = .
$(VENV)/.installed $(DEMO_VENV)/.installed: pyproject.toml constraints.txt
	@$(check_python)
	@echo "installing $(SPEC) into $(@D): some minutes the first time" >&2
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable "$(SPEC)"
	@touch $@

define check_python
fail() { echo "$$1" >&2; exit 1; }; \
command -v $(PYTHON) > /dev/null || \
	fail "$(PYTHON) is not installed: install Python 3.11 or newer, or name it with PYTHON="; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	fail "$$($(PYTHON) --version 2>&1) is too old: name 3.11 or newer, as in make test PYTHON=python3.12"; \
$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	fail "$(PYTHON) lacks its venv module: install it (Debian and Ubuntu: apt install python3-venv)"
endef
