# Everything here sets itself up: a machine with Python 3.11 (or newer), its venv module and make is enough.
#
# Two virtual environments, because Crossbar needs an idna of 2017 and a websockets older than the newest: beside
# current tools pip may choose a Crossbar of years ago to make ends meet. WAMPY_CROSSBAR tells wampy where it is;
# set it yourself to use a Crossbar that you have, and .venv-crossbar is not made.

PYTHON ?= python3
# How long `make fuzz` runs, all in all.
FUZZ_SECONDS ?= 60
VENV := .venv
ROUTER_VENV := .venv-crossbar
PY := $(VENV)/bin/python
PIP_INSTALL := -m pip --disable-pip-version-check -qq install --upgrade --upgrade-strategy eager

READY := $(VENV)/.ready
VECTORS_READY := .vectors/.ready
ifdef WAMPY_CROSSBAR
ROUTER_READY :=
else
WAMPY_CROSSBAR := $(CURDIR)/$(ROUTER_VENV)/bin/crossbar
ROUTER_READY := $(ROUTER_VENV)/.ready
endif
export WAMPY_CROSSBAR

# One line instead of a traceback when this Python will not do.
need_python = $(if $(strip $(python_problem)),$(error $(python_problem)))
python_problem = $(shell sh .ci/python-problem '$(PYTHON)')
# A folder left half made by an interruption is made again.
make_venv = $(1)/bin/python -m pip --version >/dev/null 2>&1 || '$(PYTHON)' -m venv --clear $(1)

# What runs on gevent and on OS threads too in `make test`; only the libraries of green threads patch.
SEAM := tests/unit/backends
SCENARIOS := $(patsubst %,tests/integration/test_%.py,calls events registrations errors concurrency client_life \
    interruptions timeouts serializers session_api transports leaks blocking)
PATCHED := tests/integration/test_patched.py
THREADED := tests/integration/test_threads.py
# The files and folders that ARGS names, if any: then the scenarios are not what is asked for.
NAMED = $(strip $(foreach word,$(ARGS),$(wildcard $(firstword $(subst ::, ,$(word))))))

.PHONY: help demo test test-backends fuzz check lint types docs tox clean

help:
	@echo 'make demo    see wampy at work on a real router'
	@echo 'make test    run all tests, the scenarios and the backend on gevent and OS threads too (make test ARGS="-k name" passes arguments to pytest)'
	@echo 'make test-backends  run all tests on eventlet, on gevent and on OS threads'
	@echo 'make fuzz    fuzz all serializers for FUZZ_SECONDS=60, guided by coverage (Linux)'
	@echo 'make check   ruff, mypy and the documentation, warnings are errors'
	@echo 'make docs    build the documentation into docs/_build/html'
	@echo 'make tox     the tests on every supported Python that is found here, and the checks'
	@echo 'make clean   remove everything that these commands made'
	@echo 'PYTHON=...   use another Python than python3 (for the first set-up, or after make clean)'

demo: $(READY) $(ROUTER_READY)
	@$(PY) -m wampy demo

test: $(READY) $(ROUTER_READY) $(VECTORS_READY)
	@WAMPY_ASYNC_NAME=eventlet $(PY) -m pytest $(ARGS)
ifeq ($(NAMED),)
	@echo 'The backend and the scenarios, on gevent:'
	@WAMPY_ASYNC_NAME=gevent $(PY) -m pytest $(SEAM) $(SCENARIOS) $(PATCHED) $(ARGS) || [ $$? -eq 5 ]  # 5: ARGS choose none
	@echo 'The backend and the scenarios, on OS threads:'
	@WAMPY_ASYNC_NAME=threading $(PY) -m pytest $(SEAM) $(SCENARIOS) $(THREADED) $(ARGS) || [ $$? -eq 5 ]
endif

test-backends: $(READY) $(ROUTER_READY) $(VECTORS_READY)
	@WAMPY_ASYNC_NAME=eventlet $(PY) -m pytest $(ARGS)
	@WAMPY_ASYNC_NAME=gevent $(PY) -m pytest $(ARGS)
	@WAMPY_ASYNC_NAME=threading $(PY) -m pytest $(ARGS)

fuzz: $(READY)
	@$(PY) tests/fuzz/run_atheris.py $(FUZZ_SECONDS)

check: lint types docs

lint: $(READY)
	@$(PY) -m ruff check .

types: $(READY)
	@$(PY) -m mypy

docs: $(READY)
	@$(PY) -m sphinx -q -W --keep-going -b html docs docs/_build/html

tox: $(READY) $(ROUTER_READY) $(VECTORS_READY)
	@sh .ci/tox $(PY) $(ARGS)

clean:
	rm -rf $(VENV) $(ROUTER_VENV) .vectors .tox docs/_build build wampy.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): setup.cfg setup.py pyproject.toml
	$(need_python)
	@echo 'Setting up $(VENV): wampy and the tools (only the first time, about a minute) ...'
	@$(call make_venv,$(VENV))
	@$(PY) $(PIP_INSTALL) -e '.[dev]'
	@touch $@

$(ROUTER_READY): setup.cfg
	$(need_python)
	@echo 'Setting up $(ROUTER_VENV): the Crossbar router (only the first time, about a minute) ...'
	@$(call make_venv,$(ROUTER_VENV))
	@$(ROUTER_VENV)/bin/python $(PIP_INSTALL) 'crossbar>=26.10'
	@touch $@

$(VECTORS_READY): .ci/fetch-vectors | $(READY)
	@echo 'Fetching the test vectors of the WAMP specification (only the first time) ...'
	@$(PY) .ci/fetch-vectors .vectors
