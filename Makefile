# `make` or `make help` lists the targets. Each does its own set-up in .venv and .data.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
  $(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MOVIELENS := .data/movielens-100k/.complete
VOLUME ?= .demo/volume
LISTEN ?= 127.0.0.1:50051
WORKERS ?= 2
ITEMS ?= 1000000
BENCH_ITEMS ?= 1682 100000
BENCH_USERS ?= 100000
BENCH_FOLDER ?= .bench
SECONDS ?= 3600
TRAINER_LISTEN ?= 127.0.0.1:50052
# The documentation shows notebooks as they ran; `make docs NOTEBOOKS=` builds it without running them.
NOTEBOOKS ?= $(wildcard docs/tutorials/*.ipynb)
DOCS_LISTEN ?= 127.0.0.1:8000
# They take a minute or two and a Java, so `make test` leaves them to `make spark`.
SPARK_TESTS := tests/integration/trainer/test_spark.py
# A server for the tests of --mlflow-uri. It needs an older pyarrow than the trainer, so it has its own
# environment, of 850 MB.
MLFLOW_SERVER := mlflow==3.17.2
MLFLOW := .mlflow/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Start here

.PHONY: demo
demo: setup ## Train on MovieLens 100K, publish, serve, call both RPCs and show the answers
	@$(BIN)/python docs/demo.py

.PHONY: serve
serve: setup $(VOLUME)/labels/current ## Serve the demo's publication until Ctrl-C (LISTEN=..., WORKERS=..., VOLUME=...)
	@$(BIN)/python -m retriever serve --volume $(VOLUME) --listen $(LISTEN) --workers $(WORKERS)

.PHONY: test
test: setup ## Run the tests and check the import rules, without load tests (T="-k name": only pytest, with these arguments)
	@$(BIN)/lint-imports
ifdef T
	@$(BIN)/python -m pytest $(T)
else
	@$(BIN)/python -m pytest --numprocesses 2 tests/fuzz tests/hostile tests/unit tests/contract tests/deployment \
	  tests/benchmarks/test_measures.py tests/benchmarks/quality
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile tests/integration tests/e2e --ignore $(SPARK_TESTS)
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadgroup tests/documents
endif

##@ Before you trust it

.PHONY: chaos
chaos: setup ## Reload, break, kill and attack a retriever under load; fails if a promise is broken (two minutes)
	@$(BIN)/python -m tests.load.chaos

.PHONY: fleet
fleet: setup ## Kill, cut off and restart three retrievers behind Envoy under load; fails if a promise is broken (two minutes)
	@$(BIN)/python -m tests.load.fleet

.PHONY: smoke
smoke: setup ## Run each benchmark and load test once, in its shortest form (five minutes)
	@$(BIN)/python -m pytest tests/benchmarks/test_smoke.py tests/load

.PHONY: load
load: setup $(VOLUME)/labels/current ## Load the demo's publication with k6: calls of every kind, then a steady rate (VOLUME=..., WORKERS=..., FLAGS="--target ...")
	@$(BIN)/python -m tests.load.k6 smoke steady --volume $(VOLUME) --workers $(WORKERS) $(FLAGS)

.PHONY: fuzz
fuzz: setup ## Feed random hostile files and messages to every parser; fails on a new finding (SECONDS=3600; SEED=... repeats a run)
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: hostile-data
hostile-data: setup ## Damage good input in every known way; fails if damage isn't detected (SECONDS=3600; SEED=... repeats a run)
	@$(BIN)/python -m tests.hostile --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: audit
audit: $(INSTALLED) ## Check every pinned package for known vulnerabilities; fails if the database can't be reached
	@PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet \
	  --disable-pip-version-check --editable '.[audit]'
	@$(BIN)/python -m tests.audit

.PHONY: bench
bench: setup ## Run all benchmarks and print their tables (half an hour; BENCH_ITEMS="1682 1000000" BENCH_USERS=1000000: two hours)
	@$(BIN)/python -m tests.benchmarks.training
	@$(BIN)/python -m tests.benchmarks.serving --items $(BENCH_ITEMS) --users $(BENCH_USERS) --folder $(BENCH_FOLDER)
	@$(BIN)/python -m tests.benchmarks.footprint --items $(lastword $(BENCH_ITEMS)) --users $(BENCH_USERS) --folder $(BENCH_FOLDER)
	@$(BIN)/python -m tests.benchmarks.startup --items $(lastword $(BENCH_ITEMS)) --users $(BENCH_USERS) --folder $(BENCH_FOLDER)
	@$(BIN)/python -m tests.benchmarks.filters
	@$(BIN)/python -m tests.benchmarks.indexes
	@$(BIN)/python -m tests.benchmarks.freshness
	@$(BIN)/python -m tests.benchmarks.evaluating

.PHONY: serve-trainer
serve-trainer: setup ## Run the trainer's service until Ctrl-C (TRAINER_LISTEN=..., VOLUME=...)
	@mkdir -p $(VOLUME)
	@$(BIN)/python -m trainer serve --volume $(VOLUME) --listen $(TRAINER_LISTEN) --data-root .

.PHONY: tune
tune: setup ## Search for hyperparameters on MovieLens 100K, and write results and a picture to study/ (ten minutes)
	@$(BIN)/python -m trainer tune --dataset movielens-100k --output study

.PHONY: report
report: setup $(VOLUME)/labels/current ## Compare all index backends, and write a page with pictures to report/ (half an hour; ITEMS=10000: one minute)
	@$(BIN)/python -m trainer report --volume $(VOLUME) --output report --max-items $(ITEMS)

.PHONY: containers
containers: ## Build the images and test the compose project with docker or podman; skipped without both
	@docker/containers.sh

##@ Development

.PHONY: setup
setup: $(INSTALLED) $(MOVIELENS) ## Install into .venv, and download MovieLens 100K to .data; does nothing if both exist

.PHONY: postgresql
postgresql: ## Install Debian's PostgreSQL for the tests that need it (needs root)
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; }

.PHONY: prometheus
prometheus: ## Install Debian's Prometheus for the tests that need it (needs root)
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || \
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus; \
	  systemctl disable --now prometheus >/dev/null 2>&1 || true; }  # The tests start their own.

.PHONY: callers
callers: ## Install grpc-js, and Debian's Node and gRPC for Java, for the tests that need them (needs root)
	@missing="$$(command -v npm >/dev/null || echo npm) $$(command -v javac >/dev/null || echo default-jdk-headless)"; \
	for jar in grpc-netty:libgrpc-java netty-all:libnetty-java gson:libgoogle-gson-java \
	  perfmark-api:libperfmark-java; do \
	  test -f /usr/share/java/$${jar%:*}.jar || missing="$$missing $${jar#*:}"; \
	done; \
	test -z "$${missing# }" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; }
	@npm install --prefix tests/callers --no-audit --no-fund --no-package-lock --silent

.PHONY: spark
spark: setup ## Install PySpark and Debian's Java 17, and test training on a Spark cluster (needs root)
	@command -v java >/dev/null || \
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless; }
	@PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet \
	  --disable-pip-version-check --editable '.[spark]'
	@$(BIN)/python -m pytest tests/unit/trainer/spark $(SPARK_TESTS)

.PHONY: mlflow
mlflow: setup $(MLFLOW) ## Install an MLflow server into .mlflow, and test tracking with it (two minutes)
	@$(BIN)/python -m pytest tests/unit/trainer/tracking tests/integration/trainer/test_tracking.py

.PHONY: docs
docs: setup $(if $(NOTEBOOKS),.notebooks/tutorials/.complete) ## Build the documentation into site/; fails on any warning (NOTEBOOKS= doesn't run the notebooks)
	@$(mkdocs) build --strict --quiet
	@echo "Open site/index.html; make docs-serve has the search, too"

.PHONY: docs-serve
docs-serve: setup ## Show the documentation at 127.0.0.1:8000 while you write, until Ctrl-C (DOCS_LISTEN=...)
	@$(mkdocs) serve --dev-addr $(DOCS_LISTEN)

# It would tell on each build when mkdocs-material ends, which docs/adr/0026-documentation-site.md does.
mkdocs = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

.PHONY: check
check: setup ## Check format, lint rules, English, types, protobuf rules, and that generated code is up to date
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format' to fix this."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/python -m tests.prose
	@$(BIN)/mypy
	@image=$$(mktemp -u).binpb && trap 'rm -f "$$image"' EXIT && \
	$(protoc) --include_imports --include_source_info --descriptor_set_out="$$image" $(ours) && \
	$(BIN)/buf lint "$$image" --path recsys --config protos/buf.yaml
	@$(MAKE) --no-print-directory check-protos

.PHONY: format
format: $(INSTALLED) ## Format the code and sort the imports
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

.PHONY: protos
protos: $(INSTALLED) ## Generate protos/gen from protos/recsys
	@rm -rf protos/gen/recsys
	@$(call generate,protos/gen)

.PHONY: check-protos
check-protos: $(INSTALLED)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(call generate,"$$fresh") && \
	diff -r -x __pycache__ "$$fresh" protos/gen >/dev/null || \
	{ echo "protos/gen is stale: run 'make protos' and commit the result"; exit 1; }

# google/rpc/status.proto is in the package that also has its generated code.
protoc = $(BIN)/python -m grpc_tools.protoc --proto_path=protos \
	--proto_path="$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
ours = $$(cd protos && find recsys -name '*.proto' | sort)

generate = $(protoc) --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc --python_out=$(1) \
	--pyi_out=$(1) --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(ours)

.PHONY: settings
settings: $(INSTALLED) ## Update the tables of flags and variables in docs/reference/settings.md
	@$(BIN)/python docs/settings.py

.PHONY: files
files: $(INSTALLED) ## Update the table of a version's files in lightfm_retriever/publication/README.md
	@$(BIN)/python docs/files.py

.PHONY: figures
figures: setup ## Run the commands of the documents, write their output into the pages, and measure the README's figures (ten minutes)
	@$(BIN)/python -m tests.documents

.PHONY: golden
golden: $(INSTALLED) ## Show how the golden publication was created (for format 1, it never changes)
	@sed -n '/^"""/,/"""$$/p' tests/contract/make_golden.py

.PHONY: clean
clean: ## Remove all files that the other targets create
	rm -rf $(VENV) .mlflow tests/callers/node_modules .data .demo .notebooks site $(BENCH_FOLDER) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- files that the targets above need

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
	@echo "Installing into $(VENV) with $$($(PYTHON) --version); this takes some minutes, once"
	@$(PYTHON) -m venv --clear $(VENV)
	@PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet \
	  --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(MLFLOW):
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check '$(MLFLOW_SERVER)'
	@touch $@

$(MOVIELENS): | $(INSTALLED)
	@$(BIN)/python -m trainer fetch-dataset movielens-100k

.notebooks/tutorials/.complete: $(NOTEBOOKS) | setup
	@$(BIN)/python docs/notebook.py run $(@D)
	@touch $@

$(VOLUME)/labels/current: | setup
	@$(BIN)/python -m trainer train --dataset movielens-100k --model lightfm --volume $(VOLUME)
