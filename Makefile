# Loss Atlas: every command of the book. `make` alone lists them.

VENV ?= .venv
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PORT ?= 8000
RUN = $(VENV)/bin/python -m lossatlas_book

export NAME TITLE CHAPTER PARAMS PROFILE JOBS TORCH_BACKEND
# Compiled modules are kept even where the machine's settings say otherwise: every kernel starts faster.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help data book test serve screenshots measure chapter new-chapter reproduce verify bench lint clean
.PHONY: environment test-environment bench-environment

help:  ## List these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 13

data: environment  ## Fetch the datasets of the chapters into data/raw/, from mirrors too
	@$(VENV)/bin/python data/fetch.py

book: environment  ## Execute what changed and build the site in _build/html/ (JOBS=2, TORCH_BACKEND=cpu)
	@$(VENV)/bin/python data/fetch.py
	@$(RUN) build

test: test-environment  ## Run every test, those in a browser and the examples in docstrings too
	@$(VENV)/bin/python data/fetch.py all
	@$(RUN) browser
	@$(RUN) build
	@MPLBACKEND=Agg $(VENV)/bin/python -m pytest -n auto --dist worksteal --doctest-modules lib/lossatlas tests

serve: environment  ## Show the site on localhost (PORT=8000)
	@$(RUN) serve --port "$(PORT)"

screenshots: test-environment  ## Every page as a picture in _build/screenshots/, wide and narrow, light and dark
	@$(RUN) screenshots

measure: test-environment  ## Every page of the built site: how heavy it is, how many scenes, how soon it is there
	@$(RUN) measure

chapter: environment  ## Execute one chapter otherwise: NAME=depth PARAMS="grid_points=21 seeds=2" (or PROFILE=small)
	@$(VENV)/bin/python data/fetch.py
	@$(RUN) chapter "$$NAME" --params "$$PARAMS" --profile "$$PROFILE"

new-chapter: environment  ## Write the skeleton of a chapter: NAME=weight_decay (TITLE="Weight decay")
	@$(RUN) new-chapter "$$NAME" --title "$$TITLE"

reproduce: environment  ## Compute CHAPTER=rnn (or all) from nothing, hours, and compare its verdicts; resumes after a kill
	@$(VENV)/bin/python data/fetch.py
	@$(RUN) reproduce "$$CHAPTER" --params "$$PARAMS"

verify: environment  ## Evaluate what CHAPTER=rnn (or all, or today) stores again, repeat a training; FULL=1 leaves nothing out
	@$(VENV)/bin/python data/fetch.py
	@$(RUN) verify "$$CHAPTER" $(if $(DAY),--day "$(DAY)") $(if $(FULL),--full)

bench: bench-environment  ## Time evaluate against what a user would do instead, 45 minutes (WORKLOADS=abcde); keeps the result
	@$(VENV)/bin/python -m uv pip install --quiet --python $(VENV)/bin/python --no-deps -r benchmarks/landscaper.txt
	@$(VENV)/bin/python data/fetch.py all
	@$(VENV)/bin/python benchmarks/bench.py --workloads "$(or $(WORKLOADS),abcde)" \
		--pictures "$(or $(WORKLOADS),abcde)" --output data/results/performance/benchmark.json

lint: test-environment  ## Check style, docstrings, types, what imports what, and the notebooks
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/mypy
	@$(RUN) check

clean:  ## Remove everything that was built (the environment and downloaded data stay)
	rm -rf _build

environment: setup = book
test-environment: setup = book test bench
bench-environment: setup = book bench
environment test-environment bench-environment:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found; install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@PYTHONPATH=lib $(PYTHON) -m lossatlas_book.environment --venv "$(VENV)" $(setup)
