# Every recipe calls tested code; options are given as NAME=value, and no first use needs one.
# `make help` reads the lines marked ## (a target, and behind | its variables), ##= (a common variable) and ##@ (a group);
# build/cli/make_check.py refuses whatever does not fit them, before anything is installed.
q = '$(subst ','\'',$(1))'
GIVEN := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(call q,$(name)=$($(name)))))

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
READY := $(VENV)/.ready
CHECK := $(if $(wildcard $(RUN)),$(RUN),$(PYTHON)) -m build.cli.make_check

##= DATA     a competition folder (data/mini/public/birdclef-2026); `real` is the one that `make fetch WHAT=data` brings
ifeq ($(DATA),real)
CONTEST := data/real
override DATA := data/real/public/birdclef-2026
else
CONTEST := data/mini
DATA ?= data/mini/public/birdclef-2026
endif
##= RUNS     where notebooks write, and read what earlier ones wrote (runs/mini; of the real data, runs/real)
RUNS ?= runs/$(notdir $(CONTEST))
##= P        parameters of notebooks: P="epochs=1 seed=3", or P="02:epochs=1 seed=3" where several run; each goes to the
##=          notebooks that have it, `.venv/bin/python -m build.run --help-notebook 02` lists those of one
##= OWNER    the Kaggle user whose kernels and datasets are meant (the one who is logged in)
##= DRY=1    only show what would be done
AS_OWNER := $(if $(OWNER),--owner $(call q,$(OWNER)))
ONLY_SHOW := $(if $(DRY),--dry)
SET := $(if $(P),--set $(call q,$(P)))
SOLUTION := $(wildcard $(CONTEST)/hidden/solution.csv)
FROM ?= kernels
PUSH := $(RUN) -m build.push $(AS_OWNER) $(ONLY_SHOW) $(if $(filter 0,$(WAIT)),--no-wait) $(if $(GPU),--gpu) \
	--from $(call q,$(FROM)) --data $(CONTEST) --runs $(call q,$(RUNS)) $(SET)

export ORT_DISABLE_TELEMETRY := 1
# Our matrix products are small: as measured, BLAS threads that wait for each other make them up to eight times slower.
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

##@ First
help:  ## this list
	@awk '/^##@ / { print "\n" substr($$0, 5) } \
	     /^[a-z-]+:.*## / { target = $$0; sub(/:.*/, "", target); text = $$0; sub(/.*## /, "", text); \
	                        split(text, part, / [|] /); printf "  %-15s %s\n", target, part[1]; \
	                        if (part[2]) printf "  %-15s   %s\n", "", part[2] } \
	     /^##= / { common = common "\n  " substr($$0, 5) } \
	     END { print "\nOptions, those in brackets may be left out:" common }' $(MAKEFILE_LIST)

checked:
	@$(if $(wildcard $(RUN)),,$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; give PYTHON=<path>")')
	@$(CHECK) $(call q,$(MAKECMDGOALS)) $(GIVEN)

.DEFAULT:
	@$(CHECK) $@

$(READY): requirements.txt requirements-train.txt requirements-dev.txt requirements-kaggle.txt | checked
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt -r requirements-train.txt -r requirements-dev.txt -r requirements-kaggle.txt
	touch $@

setup: $(READY)  ## make .venv and install what is pinned (the other targets do this by themselves)

demo: setup  ## the whole chain on the miniature competition, ladder and pages included | [QUICK=1]
	$(RUN) -m build.demo $(if $(QUICK),--quick)

test: setup  ## the tests, in parallel on all cores
	$(RUN) -m pytest -n logical --dist loadfile --no-loadscope-reorder

lab: setup  ## JupyterLab on the notebooks; PAIRED: in notebooks/, where outputs are kept | [PAIRED=1 LAB="--allow-root --port=9999"]
	$(PIP) -r requirements-lab.txt
	$(RUN) -m build.lab $(if $(PAIRED),--paired) $(LAB)

##@ Notebooks
notebooks: setup  ## run the notebooks and write their pages | [ONLY="02 05" P="02:epochs=1" DATA RUNS]
	$(RUN) -m build.run $(or $(ONLY),all) --data $(call q,$(DATA)) --runs $(call q,$(RUNS)) $(SET)

sweep: setup  ## many runs of a notebook side by side, and a page of them | SWEEP=sweeps/losses.yaml [ENGINE=tcp://host:8786 DATA RUNS DRY=1]
	$(RUN) -m build.sweep $(call q,$(SWEEP)) --runs $(call q,$(RUNS)) --data $(call q,$(DATA)) $(if $(ENGINE),--engine $(call q,$(ENGINE))) $(ONLY_SHOW)

unpair: setup  ## write what was edited in notebooks/ into the percent scripts | [ONLY="02" DRY=1]
	$(RUN) -m build.notebooks.pairing --back $(ONLY) $(ONLY_SHOW)

miniature: setup  ## make the miniature competition in data/mini
	$(RUN) -m build.miniature data/mini

##@ Look and compare
judge: setup  ## score stored members and blends, without refitting | [MEMBERS=a,b BLEND="a:0.6,b:0.4" RUNS DATA]
	$(RUN) -m build.judge --runs $(call q,$(RUNS)) $(if $(MEMBERS),--members $(call q,$(MEMBERS))) $(if $(BLEND),--blend $(call q,$(BLEND)))

dashboard: setup  ## the page of all experiments, and the page of errors | [RUNS DATA]
	$(RUN) -m build.dashboard --runs $(call q,$(RUNS)) --data $(call q,$(DATA))

mlflow: setup  ## show the ledger and the sweeps in MLflow's pages; DRY: only export | [RUNS DATA DRY=1 PORT=5000]
	$(PIP) -r requirements-mlflow.txt
	$(RUN) -m build.tracking.mlflow_export --runs $(call q,$(RUNS)) $(ONLY_SHOW) $(if $(PORT),--port $(PORT))

ladder: setup  ## score members and recipes on the miniature competition's hidden test | [RUNS]
	$(RUN) -m build.ladder --runs $(call q,$(RUNS))

students: setup  ## train students in several ways and seeds, score them on the hidden test | [SEEDS=1,2 STEPS=400 LABELS=small_sed ONLY=soft RUNS]
	$(RUN) -m build.studies.students --runs $(call q,$(RUNS)) --data $(CONTEST) $(if $(SEEDS),--seeds $(call q,$(SEEDS))) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(LABELS),--labels $(call q,$(LABELS))) $(if $(ONLY),--only $(call q,$(ONLY)))

stability: setup  ## compare fold families, the replay protocol and the rules for a final pick | [RUNS DATA]
	$(RUN) -m build.studies.stability --runs $(call q,$(RUNS)) --data $(call q,$(DATA))

calibrate: setup  ## measure how often the intervals hold the truth
	$(RUN) -m build.studies.calibrate

load-test: setup  ## run 06 on as many soundscapes as the contest has | [N=600 RECIPE=safe RUNTIME=onnxruntime|openvino RUNS]
	$(RUN) -m build.load_test $(if $(N),--soundscapes $(N)) --runs $(call q,$(RUNS)) $(if $(RECIPE),--recipe $(call q,$(RECIPE))) $(if $(RUNTIME),--runtime $(RUNTIME))

bench: setup  ## compare front end, metric, training and submission with the usual ways, in one run; N soundscapes | [N=60]
	$(RUN) -m build.bench $(if $(N),--soundscapes $(N))

##@ Kaggle
fetch: setup  ## fetch from Kaggle what a home machine needs; K: whose outputs | WHAT=data|perch|birdnet|outputs [K=infer]
	$(RUN) -m build.fetch $(WHAT) $(if $(K),$(call q,$(K)))

kernels: setup  ## build six self-contained Kaggle kernels in dist/kernels, and with P their variants | [OWNER FROM=kernels|dataset P="02:fold=0"]
	$(RUN) -m build.inline $(AS_OWNER) --from $(call q,$(FROM)) $(SET)

rehearse-infer: kernels  ## run the built submission kernel, sealed | [MODE=public|rerun|both IMAGE=here|kaggle OWNER FROM=kernels|dataset DATA RUNS]
	$(RUN) -m build.rehearse --data $(CONTEST) --outputs $(call q,$(RUNS)) --mode $(or $(MODE),both) --image $(or $(IMAGE),here) \
		$(if $(SOLUTION),--solution $(SOLUTION))

push-prep: setup  ## push 01, wait, fetch the outputs; WAIT=0 returns at once, P makes a variant | [P="n_folds=4" WAIT=0 DRY=1 FROM=kernels|dataset OWNER DATA RUNS]
	$(PUSH) prep

push-train: setup  ## push 02, wait, fetch the outputs | [GPU=1 P="preset=s3" WAIT=0 DRY=1 FROM=kernels|dataset OWNER DATA RUNS]
	$(PUSH) train

push-probe: setup  ## push 03, wait, fetch the outputs | [P="name=value" WAIT=0 DRY=1 FROM=kernels|dataset OWNER DATA RUNS]
	$(PUSH) probe

push-pseudo: setup  ## push 04, wait, fetch the outputs | [GPU=1 P="name=value" WAIT=0 DRY=1 FROM=kernels|dataset OWNER DATA RUNS]
	$(PUSH) pseudo

push-blend: setup  ## push 05, wait, fetch the outputs | [P="name=value" WAIT=0 DRY=1 FROM=kernels|dataset OWNER DATA RUNS]
	$(PUSH) blend

push-infer: setup  ## push 06, after a sealed rehearsal, wait, fetch the outputs | [P="name=value" WAIT=0 DRY=1 FROM=kernels|dataset OWNER DATA RUNS]
	$(PUSH) infer

push-all: setup  ## push 01 to 06 in order, wait, fetch the outputs | [DRY=1 FROM=kernels|dataset OWNER DATA RUNS]
	$(PUSH) all

push-weights: setup  ## ship members and recipes of RUNS as the dataset pantanal-weights | [OWNER RUNS DATA DRY=1]
	$(RUN) -m build.ship weights $(AS_OWNER) $(ONLY_SHOW) --runs $(call q,$(RUNS))

push-wheels: setup  ## ship what Kaggle's image lacks as the dataset pantanal-wheels | [OPENVINO=1 LITERT=1 OWNER DRY=1]
	$(RUN) -m build.kaggle_io.wheels $(if $(OPENVINO),--openvino) $(if $(LITERT),--litert)
	$(RUN) -m build.ship wheels $(AS_OWNER) $(ONLY_SHOW)

status: setup  ## what the six kernels are doing on Kaggle | [OWNER]
	$(RUN) -m build.watch status $(AS_OWNER)

logs: setup  ## the log of a kernel's latest version | K=infer [OWNER]
	$(RUN) -m build.watch logs $(call q,$(K)) $(AS_OWNER)

outputs: setup  ## fetch the outputs of a kernel's latest version | K=infer [OWNER]
	$(RUN) -m build.watch outputs $(call q,$(K)) $(AS_OWNER)

submit: setup  ## submit the newest complete version, wait for its score | MESSAGE="what changed" [OWNER WAIT=0]
	$(RUN) -m build.submit send --message $(call q,$(MESSAGE)) $(AS_OWNER) $(if $(filter 0,$(WAIT)),--no-wait)

submissions: setup  ## offline score, interval, public and private score of every submission
	$(RUN) -m build.submit list

##@ Work on the code
test-slow: setup  ## the proofs that take longer, the Kaggle image's versions among them
	$(PIP) -r requirements-lab.txt -r requirements-docs.txt -r requirements-mlflow.txt -r requirements-umap.txt
	$(RUN) -m pytest -m slow

lint: setup  ## ruff over everything, mypy over lib and build
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: setup  ## let ruff put the code in order
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

hooks: setup  ## install the pre-commit hooks: ruff, mypy, no notebook outputs
	$(RUN) -m pre_commit install

docs: setup  ## renew the measured blocks and pictures of README and docs/; needs chromium | [ONLY="demo test pictures"]
	$(PIP) -r requirements-docs.txt -r requirements-lab.txt
	$(RUN) -m build.docs $(ONLY)

clean:  ## remove what was generated, but not data, runs and .venv
	rm -rf dist .pytest_cache .ruff_cache .hypothesis
