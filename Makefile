# medlab: `make` lists what there is to do. Everything runs in .venv, made from requirements.lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
CORES := $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)

# One thread per process: the tests and the grader already run one process per core.
test test-changed demo demo-cluster build bench: export OMP_NUM_THREADS := 1
test test-changed demo demo-cluster build: export MEDLAB_SCALE := ci
# The programs of .venv find each other (a kernel's python, jupyter's commands).
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Packages are compiled once, when they are first used (uv leaves that to Python).
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-cluster test test-changed lab build bench lint format lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | column -t -s '|'

setup:  ## .venv from requirements.lock; nothing to do when it is up to date
	@tools/setup.sh

# The demo's class is generated: where no jail can be built, limits will do, and a line says so.
JAIL = $$(python -m medlab.sandbox.isolation)

# Three units show what there is to see; a class of all of them would take minutes. The fastest is
# graded first, so that its table is there while the others are at work.
FIRST_UNIT = dicom-to-hounsfield
DEMO_UNITS = $(FIRST_UNIT) volumes-and-orientation chest-xray-pneumonia
CLOCK = . tools/clock.sh; with_clock_off_terminal
SAMPLE = medlab sample --out build/demo/submissions $(addprefix --unit ,$(DEMO_UNITS))
GRADE = grading medlab grade build/demo/submissions --out build/demo

demo: setup  ## build three units, make a sample class, grade it, print the gradebook
	@$(CLOCK) building medlab build $(DEMO_UNITS)
	@$(CLOCK) "making a class" $(SAMPLE)
	@export MEDLAB_JAIL=$(JAIL); $(CLOCK) $(GRADE) --unit $(FIRST_UNIT); with_clock_off_terminal $(GRADE)
	@echo "one page to open in a browser: $$(ls build/demo/feedback/student-02/*.html | head -n 1)"

demo-cluster: setup  ## the demo's class on a Dask cluster of two workers on this machine
	@$(CLOCK) building medlab build $(DEMO_UNITS)
	@$(CLOCK) "making a class" $(SAMPLE)
	@export MEDLAB_JAIL=$(JAIL); $(CLOCK) grading \
		python tools/demo_cluster.py build/demo/submissions build/demo-cluster

test: setup  ## every check, as in CI
	@tools/test_programs.sh
	$(BIN)/python -m pip check
	ruff check
	ruff format --check
	medlab build --check
	pytest -n $(CORES) --dist loadgroup --no-loadscope-reorder --nbval tests solutions

test-changed: setup  ## what your change can touch, in minutes; SINCE=revision, default main
	@python tools/changed_tests.py $(or $(SINCE),main)

# Without nbgrader's menus (it is here for the tests) and without questions about news.
lab: export JUPYTER_CONFIG_PATH := $(CURDIR)/tools/jupyter
lab: setup  ## JupyterLab in work/ at your next unit; LAB="--no-browser" and the like go to it
	@notebook=$$(medlab start --next); cd work; jupyter lab $(LAB) "$$notebook"

build: setup  ## notebooks/ and solutions/ from course/
	@medlab build

bench: setup  ## NAME=x runs benchmarks/x.py; without NAME, list them
ifeq ($(origin NAME),command line)  # some systems export a NAME of their own
	@python -m benchmarks.$(NAME)
else
	@python -m benchmarks.record
endif

lint: setup  ## ruff: lint and format check
	@ruff check
	@ruff format --check

format: setup  ## ruff: fix what it can
	@ruff check --fix --quiet
	@ruff format

lock: ## write requirements.lock from pyproject.toml; UPGRADE=1 takes the newest versions
	@tools/lock.sh

clean:  ## remove .venv and what was built; work/ stays
	@rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
