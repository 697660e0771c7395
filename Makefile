# Everything a developer needs; the README tells only these. Each target sets up what it needs and is quick when it is there.

BIN := .venv/bin
CLUSTER := $(or $(SANDBOX_KERNEL_CLUSTER),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sandbox-kernel/cluster/state)
# Most tests wait for a sandbox, so there are more workers than processors. All in one process: make test WORKERS=0
WORKERS := $(shell expr $$(nproc) + 1)
# Alone and first: JupyterLab gives up on what takes a second or two, and beside the others much does.
BROWSER := tests/test_jupyterlab.py
# The cluster of `make cluster`, unless the caller has one already.
WITH_CLUSTER = if [ -z "$$KUBECONFIG" ] && [ -f "$(CLUSTER)/kubeconfig" ]; then export KUBECONFIG="$(CLUSTER)/kubeconfig"; fi; \
	if [ -z "$$KUBECTL" ] && [ -x "$(CLUSTER)/kubectl" ]; then export KUBECTL="$(CLUSTER)/kubectl"; fi

.PHONY: help venv setup demo test bench bench-state check format cluster cluster-down

help:
	@echo 'make demo          get gVisor for this user and run a notebook in it'
	@echo 'make test          run the tests; with a cluster (make cluster, or KUBECONFIG) those that need one too'
	@echo 'make bench         measure how long people wait, against others; with a cluster its part too; ends with bench-state'
	@echo 'make bench-state   measure what saving and restoring cost, against others'
	@echo 'make check         format, lint, types, layers'
	@echo 'make format        let the formatter write'
	@echo 'make cluster       bring up a real Kubernetes with gVisor on this machine (root, Debian or Ubuntu)'
	@echo 'make cluster-down  take it down'

venv:
	@.ci/venv

setup: venv
	@$(BIN)/sandbox-kernel setup

demo: setup
	@$(BIN)/python notebooks/demo.py

test: setup
	@$(WITH_CLUSTER); failed=0; \
	$(BIN)/python -m pytest $(BROWSER) || failed=1; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --ignore=$(BROWSER) || failed=1; exit $$failed

check: venv
	@$(BIN)/ruff format --check --quiet || { echo 'make format puts this right'; exit 1; }
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q --no-header tests/test_layers.py

format: venv
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix --quiet

bench: setup
	@$(WITH_CLUSTER); $(BIN)/python tests/bench/latency.py $(BENCH)
	@$(BIN)/python tests/bench/state.py

bench-state: setup
	@$(BIN)/python tests/bench/state.py

cluster:
	@tests/cluster/up

cluster-down:
	@tests/cluster/down
