.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
UV := $(VENV)/bin/uv
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements/uv.txt requirements/build.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes --requirement requirements/uv.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes --build-constraints requirements/build.txt requirements/uv.txt requirements/build.txt requirements/dev.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: install
install: $(VENV)/.installed ## Set up everything the other targets need, from hashed locks

.PHONY: lock
lock: ## Resolve the locks anew (hashes, no addresses)
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) pyproject.toml -c requirements/build.txt -o requirements/base.txt
	$(COMPILE) pyproject.toml --extra dev -c requirements/build.txt -c requirements/base.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra st -c requirements/build.txt -c requirements/base.txt -o requirements/st.txt
