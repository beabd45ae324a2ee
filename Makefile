# `make` lists the targets. Everything runs in .venv, which every target sets up first.

SHELL := bash
.DEFAULT_GOAL := help
# Where it is set, every process would compile anew what changed since .venv was made.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help docs setup up clients test pythons chaos buckets autoscaling check check-code check-proto check-generated check-charts check-images \
	tools bench overload peers lock generate baseline format clean

BIN := .venv/bin
GENERATED := gen sdk/src/sie_sdk/_grpc/descriptors.binpb sdk/src/sie_sdk/_grpc/reasons.py
CODE := $(wildcard cli config_service gateway worker servicekit sdk scripts tests benchmarks charts/*/files)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@scripts/setup.sh

clients: setup
	@scripts/clients.sh

up: setup ## Start a broker, a config service, a worker and a gateway here, with a real model
	@$(BIN)/sie up $(ARGS)

# A file at a time for each core and two more: some compute, others wait for clusters of processes.
# In the order of their folders, those with clusters first and small ones last, so that all end at
# once. tests/conftest.py says which files stay together.
test: setup clients ## Run the tests (ARGS="-k name" for some)
	@$(BIN)/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 2)) --dist loadfile \
		--no-loadscope-reorder $(ARGS)

# The short form of it, two faults, is part of the tests.
chaos: setup ## Have a cluster suffer every fault under load (ARGS="--seed 7 --only broker")
	@$(BIN)/python -m tests.chaos $(ARGS)

buckets: setup ## Test what is kept in object stores against servers of S3 and GCS on this machine
	@scripts/buckets.sh $(ARGS)

pythons: setup ## Run the unit tests of clients and the edge with every Python from 3.11 to 3.13 that is here
	@scripts/pythons.sh $(ARGS)

check: check-code check-proto check-generated check-charts check-images test ## Everything CI runs

docs: setup ## Build the documentation into build/docs, and check its links
	@scripts/docs.sh

check-code: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy

# Breaking changes are measured against proto/released.binpb, the contract as last released and
# an image of it rather than a git reference: CI checkouts are shallow, and a branch can lag.
check-proto: setup
	$(BIN)/buf lint
	$(BIN)/buf format proto --diff --exit-code
	$(BIN)/buf breaking --against proto/released.binpb

check-generated: generate
	@test -z "$$(git status --porcelain -- $(GENERATED))" || \
		{ git --no-pager diff --stat -- $(GENERATED); \
		echo "$(GENERATED) is not what proto/ generates: commit it"; exit 1; }

tools: setup ## Get what some tests need: grpcurl, helm, promtool, a Terraform provider (see scripts/tools.sh)
	@scripts/tools.sh

# What the chart says of itself; what it renders is tested with everything else.
check-charts: setup
	$(BIN)/python scripts/chart_docs.py --check
	@if [ -x .sie/tools/helm ]; then .sie/tools/helm lint --strict --quiet charts/sie-cluster; \
		else echo "helm is missing, so the chart is not linted; make tools gets it"; fi

# The steps are the same for every image, and this one's packages the fewest.
check-images: setup
	@$(BIN)/python -m pytest -m image_build tests/images

bench: setup ## Run the benchmarks
	@$(BIN)/python benchmarks/wire.py
	@$(BIN)/python benchmarks/shapes.py
	@$(BIN)/python benchmarks/faces.py
	@$(BIN)/python benchmarks/run.py $(ARGS)
	@$(BIN)/python benchmarks/bulk_beside_interactive.py

autoscaling: setup ## Draw a run of autoscaling into docs/, and simulate a day of it (minutes)
	@$(BIN)/python -m scripts.autoscaling_run docs/autoscaling.svg
	@$(BIN)/python -m benchmarks.autoscaling $(ARGS)

overload: setup ## Ask twice as much as a cluster can do, from 500 clients for two minutes
	@$(BIN)/python benchmarks/overload.py $(ARGS)

peers: setup ## Install other servers into .sie/peers and measure ours beside them (gigabytes)
	@benchmarks/peers/install.sh
	@$(BIN)/python benchmarks/peers/bench.py $(ARGS)

lock: setup ## Resolve the dependencies anew into requirements/lock.txt
	scripts/lock.sh

generate: setup ## Generate gen/ from proto/, and the descriptors in sdk/
	$(BIN)/python scripts/generate.py

baseline: setup ## Make the present contract the released one (at a release only)
	$(BIN)/buf build -o proto/released.binpb

format: setup ## Format the code and the protos
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix --exit-zero --quiet $(CODE)
	$(BIN)/buf format proto --write

clean: ## Remove what the other targets made
	rm -rf .venv .sie .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
