# Every recipe calls tested code; options are given as NAME=value, and no first use needs one.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
READY := $(VENV)/.ready
# DATA is a competition folder; `DATA=real` means the one that `make fetch WHAT=data` brings. CONTEST holds its modes.
ifeq ($(DATA),real)
CONTEST := data/real
override DATA := data/real/public/birdclef-2026
else
CONTEST := data/mini
DATA ?= data/mini/public/birdclef-2026
endif
RUNS ?= runs/$(notdir $(CONTEST))
SOLUTION := $(wildcard $(CONTEST)/hidden/solution.csv)
IMAGE ?= here
MODE ?= both
FROM ?= kernels
MEMBERS ?= all
AS_OWNER := $(if $(OWNER),--owner $(OWNER))
ONLY_SHOW := $(if $(DRY),--dry)
ON_GPU := $(if $(GPU),--gpu)
NO_WAIT := $(if $(filter 0,$(WAIT)),--no-wait)
PUSH := $(RUN) -m build.push $(AS_OWNER) $(ONLY_SHOW) $(NO_WAIT) $(ON_GPU) --from $(FROM) --data $(CONTEST) --runs $(RUNS) $(if $(P),--set "$(P)")

export ORT_DISABLE_TELEMETRY := 1
# Our matrix products are small: as measured, BLAS threads that wait for each other make them up to eight times slower.
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow lint hooks format miniature demo notebooks load-test ladder students judge dashboard stability calibrate kernels rehearse-infer push-prep push-train push-probe push-pseudo push-blend push-infer push-all push-weights push-wheels status logs outputs submit submissions fetch bench sweep mlflow lab unpair docs clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.txt requirements-train.txt requirements-dev.txt requirements-kaggle.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say PYTHON=<path>")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt -r requirements-train.txt -r requirements-dev.txt -r requirements-kaggle.txt
	touch $@

setup: $(READY)  ## make .venv and install what is pinned (the other targets do this by themselves)

test: setup  ## the tests, in parallel on all cores
	$(RUN) -m pytest -n logical --dist loadfile --no-loadscope-reorder

test-slow: setup  ## the proofs that take longer, the Kaggle image's versions among them
	$(PIP) -r requirements-lab.txt -r requirements-docs.txt -r requirements-sweeps.txt
	$(RUN) -m pytest -m slow

lint: setup  ## ruff over everything, mypy over lib and build
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

hooks: setup  ## install the pre-commit hooks: ruff, mypy, no notebook outputs
	$(RUN) -m pre_commit install

format: setup  ## let ruff put the code in order
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

miniature: setup  ## make the miniature competition in data/mini
	$(RUN) -m build.miniature data/mini

demo: setup  ## the whole chain on the miniature competition, ladder and pages included (QUICK=1: the baselines only)
	$(RUN) -m build.demo $(if $(QUICK),--quick)

notebooks: setup  ## run the six notebooks (DATA=, RUNS=, ONLY="02 05", P="-p name=value") and write their pages
	$(RUN) -m build.run $(or $(ONLY),all) --data $(DATA) --runs $(RUNS) $(P)

load-test: setup  ## run 06 on as many soundscapes as the contest has (N=600, RECIPE=safe, RUNTIME=openvino)
	$(RUN) -m build.load_test --soundscapes $(or $(N),600) --runs $(RUNS) --recipe $(or $(RECIPE),safe) --runtime $(or $(RUNTIME),onnxruntime)

ladder: setup  ## score members and recipes on the miniature competition's hidden test
	$(RUN) -m build.ladder --runs $(RUNS)

students: setup  ## train students in several ways and seeds, score them on the hidden test (SEEDS=1,2 STEPS=400 LABELS= ONLY=)
	$(RUN) -m build.studies.students --runs $(RUNS) --data $(CONTEST) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(LABELS),--labels $(LABELS)) $(if $(ONLY),--only "$(ONLY)")

judge: setup  ## score stored members and blends, without refitting (MEMBERS=a,b BLEND="a:0.6,b:0.4")
	$(RUN) -m build.judge --runs $(RUNS) --members $(MEMBERS) $(if $(BLEND),--blend "$(BLEND)")

dashboard: setup  ## the page of all experiments, and the page of errors
	$(RUN) -m build.dashboard --runs $(RUNS) --data $(DATA)

stability: setup  ## compare fold families, the replay protocol and the rules for a final pick
	$(RUN) -m build.studies.stability --runs $(RUNS) --data $(DATA)

calibrate: setup  ## measure how often the intervals hold the truth
	$(RUN) -m build.studies.calibrate

kernels: setup  ## build six self-contained Kaggle kernels in dist/kernels (OWNER=you, P="fold=0", FROM=dataset)
	$(RUN) -m build.inline $(AS_OWNER) --from $(FROM)

rehearse-infer: kernels  ## run the built submission kernel, sealed (MODE=public|rerun|both, IMAGE=here|kaggle)
	$(RUN) -m build.rehearse --data $(CONTEST) --outputs $(RUNS) --mode $(MODE) --image $(IMAGE) \
		$(if $(SOLUTION),--solution $(SOLUTION))

push-prep: setup  ## push 01, wait, fetch the outputs (DRY=1, WAIT=0, P="fold=0", FROM=dataset, OWNER=you)
	$(PUSH) prep

push-train: setup  ## push 02, wait, fetch the outputs (GPU=1 P="preset=s3")
	$(PUSH) train

push-probe: setup  ## push 03, wait, fetch the outputs
	$(PUSH) probe

push-pseudo: setup  ## push 04, wait, fetch the outputs
	$(PUSH) pseudo

push-blend: setup  ## push 05, wait, fetch the outputs
	$(PUSH) blend

push-infer: setup  ## push 06, after a sealed rehearsal, wait, fetch the outputs
	$(PUSH) infer

push-all: setup  ## push 01 to 06 in order, wait, fetch the outputs
	$(PUSH) all

push-weights: setup  ## ship members and recipes of RUNS as the dataset pantanal-weights (DRY=1)
	$(RUN) -m build.ship weights $(AS_OWNER) $(ONLY_SHOW) --runs $(RUNS)

push-wheels: setup  ## ship what Kaggle's image lacks as the dataset pantanal-wheels (OPENVINO=1, LITERT=1, DRY=1)
	$(RUN) -m build.kaggle_io.wheels $(if $(OPENVINO),--openvino) $(if $(LITERT),--litert)
	$(RUN) -m build.ship wheels $(AS_OWNER) $(ONLY_SHOW)

status: setup  ## what the six kernels are doing on Kaggle
	$(RUN) -m build.watch status $(AS_OWNER)

logs: setup  ## the log of a kernel's latest version (K=infer)
	$(RUN) -m build.watch logs $(K) $(AS_OWNER)

outputs: setup  ## fetch the outputs of a kernel's latest version (K=infer)
	$(RUN) -m build.watch outputs $(K) $(AS_OWNER)

submit: setup  ## submit the newest complete version, wait for its score (MESSAGE="what changed")
	$(RUN) -m build.submit send --message "$(MESSAGE)" $(AS_OWNER) $(NO_WAIT)

submissions: setup  ## offline score, interval, public and private score of every submission
	$(RUN) -m build.submit list

fetch: setup  ## fetch from Kaggle what a home machine needs (WHAT=data|perch|birdnet|outputs, K=infer)
	$(RUN) -m build.fetch $(WHAT) $(K)

bench: setup  ## compare front end, metric, training and submission with the usual ways, in one run (N=60 soundscapes)
	$(RUN) -m build.bench $(if $(N),--soundscapes $(N))

sweep: setup  ## many runs of a notebook side by side, and a page of them (SWEEP=sweeps/losses.yaml ENGINE=tcp://… DRY=1)
	$(PIP) -r requirements-sweeps.txt
	$(RUN) -m build.sweep $(SWEEP) --runs $(RUNS) --data $(DATA) $(if $(ENGINE),--engine $(ENGINE)) $(ONLY_SHOW)

mlflow: setup  ## show the ledger and the sweeps in MLflow's pages (RUNS=, DRY=1 only exports, PORT=5000)
	$(PIP) -r requirements-sweeps.txt
	$(RUN) -m build.tracking.mlflow_export --runs $(RUNS) $(ONLY_SHOW) $(if $(PORT),--port $(PORT))

lab: setup  ## open the notebooks in JupyterLab (PAIRED=1: in notebooks/, where outputs are kept)
	$(PIP) -r requirements-lab.txt
	$(RUN) -m build.lab $(if $(PAIRED),--paired)

unpair: setup  ## show what was edited in notebooks/ and write it into the percent scripts (ONLY="02", DRY=1)
	$(RUN) -m build.notebooks.pairing --back $(ONLY) $(ONLY_SHOW)

docs: setup  ## renew the measured blocks and pictures of README and docs/ (ONLY="demo test pictures"; needs chromium)
	$(PIP) -r requirements-docs.txt -r requirements-lab.txt
	$(RUN) -m build.docs $(ONLY)

clean:  ## remove what was generated, but not data, runs and .venv
	rm -rf dist .pytest_cache .ruff_cache .hypothesis
