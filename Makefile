# Two commands matter: `make demo` and `make test`. Both set up .venv first where it is missing.
# PYTHON=..., GPU=none|cuda12|cuda13 and VENV=... are handed to setup-venv.sh.

export VENV ?= .venv
RUN = "$(VENV)/bin/python"
# WORKERS tests at once; a file's tests stay together, as they share fixtures.
WORKERS ?= 2
PYTEST = $(RUN) -m pytest -n $(WORKERS) --dist loadfile
OUT ?= runs/demo
BUDGET ?= 1800
NEW ?= benchmarks/results

.PHONY: help demo test test-slow test-all lint types format bench bench-peers bench-compare pages wheel \
	clean

help:
	@echo 'make demo       set up what is missing; ten years of bone in the embedded sample; pictures'
	@echo 'make test       set up what is missing; the quick tests'
	@echo 'make test-slow  the slow tests;  make test-all  all of them'
	@echo 'make lint types format bench bench-peers bench-compare pages wheel clean'

demo:
	@./setup-venv.sh run
	@$(RUN) -m microct demo --out "$(OUT)"

test:
	@./setup-venv.sh test
	$(PYTEST) -m "not slow" $(ARGS)

test-slow:
	@./setup-venv.sh test
	$(PYTEST) -m slow $(ARGS)

test-all:
	@./setup-venv.sh test
	$(PYTEST) $(ARGS)

lint:
	@./setup-venv.sh dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types:
	@./setup-venv.sh dev
	$(RUN) -m mypy

format:
	@./setup-venv.sh dev
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# BUDGET seconds for all questions together; ARGS="--only limits cells", "--quick", "--from-nothing", "--out FOLDER".
bench:
	@./setup-venv.sh test
	$(RUN) benchmarks/run.py --budget-seconds $(BUDGET) $(ARGS)

# The peers that bench puts beside us, each where it installs; some are GPL, none is part of microct.
bench-peers:
	@./setup-venv.sh test
	@while read -r peer; do $(RUN) -m pip install -q "$$peer" </dev/null || echo "bench-peers: $$peer does not install here"; done \
		< benchmarks/peers.txt

# What became slower from one folder of records to another: make bench-compare OLD=... NEW=...
bench-compare:
	$(RUN) benchmarks/compare.py "$(OLD)" "$(NEW)"

# Pages made from the code and from runs of the cells. Others say in their first lines by which command they are made:
# accuracy, natural-history, fragility, voxel-size, and the tables of morphometry.
pages:
	@./setup-venv.sh test
	$(RUN) docs/make_study_page.py
	$(RUN) docs/make_cells_tables.py
	$(RUN) docs/make_validation_page.py
	$(RUN) docs/make_benchmarks_page.py

wheel:
	@./setup-venv.sh dev
	$(RUN) -m build --wheel --outdir dist .

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache
	find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +
