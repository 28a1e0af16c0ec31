.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV ?= .venv
UV := $(VENV)/bin/uv
RUN := $(VENV)/bin/python -m
# Whole files go to one worker, so that a Spark session is started once in each.
TWO_WORKERS := --numprocesses 2 --dist loadfile
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A set-up from hashed locks: $(1) is the environment's folder, $(2) its lock.
define set_up
	$(PYTHON) -m venv $(1)
	$(1)/bin/pip install --quiet --require-hashes --requirement requirements/uv.txt
	VIRTUAL_ENV=$(1) $(1)/bin/uv pip sync --quiet --compile-bytecode --require-hashes --build-constraints requirements/build.txt \
		requirements/uv.txt requirements/build.txt $(2)
	VIRTUAL_ENV=$(1) $(1)/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
	$(1)/bin/python -m ragstone.runtime.jars core kafka
	$(1)/bin/python -m ragstone.embedding.export
	$(1)/bin/python -m spark_jobs.class_archive
	touch $(1)/.installed
endef

$(VENV)/.installed: requirements/uv.txt requirements/build.txt requirements/dev.txt pyproject.toml conf/jars.lock
	$(call set_up,$(VENV),requirements/dev.txt)

.venv-st/.installed: requirements/uv.txt requirements/build.txt requirements/st.txt pyproject.toml conf/jars.lock
	$(call set_up,.venv-st,requirements/st.txt)

# The broker that tests of streams start: 45 MB that nothing but tests needs.
$(VENV)/.broker: $(VENV)/.installed
	$(VENV)/bin/python -m ragstone.runtime.jars kafka-broker
	touch $@

.PHONY: install
install: $(VENV)/.installed ## Set up everything the other targets need, from hashed locks

.PHONY: demo
demo: install ## Run the main job on text this machine already has, in six acts (SEED=1)
	@$(VENV)/bin/ragstone demo --seed $(or $(SEED),1)

.PHONY: serve
serve: install ## Serve the home folder's index over HTTP
	@$(VENV)/bin/ragstone serve

.PHONY: cluster
cluster: install ## A Spark standalone cluster on this machine, until Ctrl-C
	@$(RUN) spark_jobs.cluster

.PHONY: check
check: install ## Formatting, ruff, mypy strict, import contracts
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(VENV)/bin/lint-imports

.PHONY: test
test: install $(VENV)/.broker ## The tests, long ones as seeded samples
	$(RUN) pytest -m "not full and not parity" $(TWO_WORKERS)

.PHONY: test-full
test-full: install $(VENV)/.broker ## All tests but parity, long ones whole
	$(RUN) pytest -m "not parity" $(TWO_WORKERS)

.PHONY: test-parity
test-parity: .venv-st/.installed ## sentence-transformers against the onnx encoder (needs 12 GB of disk)
	.venv-st/bin/python -m pytest -m parity

.PHONY: bench
bench: install ## The figures, small: one JSON line each, 20 minutes at most
	$(RUN) bench

.PHONY: bench-full
bench-full: install ## The figures at their full sizes, resumable by figure
	$(RUN) bench --full

.PHONY: lock
lock: ## Resolve the locks anew (hashes, no addresses); needs uv on the PATH
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) pyproject.toml -c requirements/build.txt -o requirements/base.txt
	$(COMPILE) pyproject.toml --extra dev -c requirements/build.txt -c requirements/base.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra dev --extra st -c requirements/build.txt -c requirements/dev.txt -o requirements/st.txt

.PHONY: clean
clean: ## Remove environments, caches and the demo's home
	-@test ! -x $(VENV)/bin/ragstone || $(VENV)/bin/ragstone --home .ragstone-demo stop >/dev/null 2>&1
	rm -rf $(VENV) .venv-st .ragstone-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
