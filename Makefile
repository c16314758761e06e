# Every recipe calls tested code; options are given as NAME=value, and no first use needs one.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
READY := $(VENV)/.ready
MINI := data/mini
DATA ?= $(MINI)/public/birdclef-2026
RUNS ?= runs/mini
OWNER ?= pantanal
IMAGE ?= here
MODE ?= both

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow lint format demo miniature notebooks ladder kernels rehearse-infer bench lab docs clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.txt requirements-train.txt requirements-dev.txt requirements-kaggle.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say PYTHON=<path>")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt -r requirements-train.txt -r requirements-dev.txt -r requirements-kaggle.txt
	touch $@

setup: $(READY)  ## make .venv and install what is pinned (the other targets do this by themselves)

test: setup  ## the tests, a few minutes
	$(RUN) -m pytest

test-slow: setup  ## the proofs that take longer, the Kaggle image's versions among them
	$(RUN) -m pytest -m slow

lint: setup  ## ruff, over everything
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: setup  ## let ruff put the code in order
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

miniature: setup  ## make the miniature competition in data/mini
	$(RUN) build/miniature.py $(MINI)

demo: setup  ## the whole chain on the miniature competition: ladder, submission, receipt, pages, kernels, rehearsal
	$(RUN) build/demo.py

notebooks: setup  ## run the six notebooks (DATA=, RUNS=, ONLY="02 05", P="-p name=value") and write their pages
	$(RUN) build/run.py $(or $(ONLY),all) --data $(DATA) --runs $(RUNS) $(P)

ladder: setup  ## score members and recipes on the miniature competition's hidden test
	$(RUN) build/ladder.py --runs $(RUNS)

kernels: setup  ## build six self-contained Kaggle kernels in dist/kernels (OWNER=you)
	$(RUN) build/inline.py --owner $(OWNER)

rehearse-infer: kernels  ## run the built submission kernel, sealed (MODE=public|rerun|both, IMAGE=here|kaggle)
	$(RUN) build/rehearse.py --data $(MINI) --outputs $(RUNS) --mode $(MODE) --image $(IMAGE) --solution $(MINI)/hidden/solution.csv

bench: setup  ## compare our front end and metric with the usual libraries, in one run
	$(RUN) build/bench.py

lab: setup  ## open the notebooks in JupyterLab
	$(PIP) -r requirements-lab.txt
	$(RUN) build/lab.py

docs: setup  ## run demo, test and bench, and put their output and a picture into the README (needs chromium)
	$(PIP) -r requirements-docs.txt
	$(RUN) build/docs.py

clean:  ## remove what was generated, but not data, runs and .venv
	rm -rf dist .pytest_cache .ruff_cache .hypothesis
