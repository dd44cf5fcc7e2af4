# Everything here sets itself up: a machine with Python 3.11 (or newer), its venv module and make is enough.
#
# Two virtual environments, because Crossbar needs an idna of 2017 and a websockets older than the newest: beside
# current tools pip may choose a Crossbar of years ago to make ends meet. WAMPY_CROSSBAR tells wampy where it is;
# set it yourself to use a Crossbar that you have, and .venv-crossbar is not made.

PYTHON ?= python3
# How long `make fuzz` runs, all in all.
FUZZ_SECONDS ?= 60
# How long `make soak` runs; the number that chance begins with, to have the faults of another run again.
SECONDS = 180
SEED =
VENV := .venv
ROUTER_VENV := .venv-crossbar
# A third one, with what is measured side by side and nothing else, always the newest of it.
BENCH_VENV := .venv-bench
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

BENCH_READY := $(BENCH_VENV)/.ready
BENCH_PY := $(BENCH_VENV)/bin/python
# What `make bench` measures; each left out means all, and five rounds.
BENCH_OPTIONS = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ROWS),--rows $(ROWS)) $(if $(PEERS),--peers $(PEERS)) \
    $(if $(TRANSPORTS),--transports $(TRANSPORTS)) $(if $(SERIALIZERS),--serializers $(SERIALIZERS))

# What runs on gevent and on OS threads too in `make test`; only the libraries of green threads patch.
SEAM := tests/unit/backends
SCENARIOS := $(patsubst %,tests/integration/test_%.py,calls events registrations errors concurrency client_life \
    interruptions timeouts serializers session_api transports leaks blocking otel)
PATCHED := tests/integration/test_patched.py
THREADED := tests/integration/test_threads.py
# The files and folders that ARGS names, if any: then the scenarios are not what is asked for.
NAMED = $(strip $(foreach word,$(ARGS),$(wildcard $(firstword $(subst ::, ,$(word))))))

.PHONY: help demo test test-backends fuzz soak bench bench-docs check lint types docs tox clean

help:
	@echo 'make demo    see wampy at work on a real router'
	@echo 'make test    run all tests, the scenarios and the backend on gevent and OS threads too (make test ARGS="-k name" passes arguments to pytest)'
	@echo 'make test-backends  run all tests on eventlet, on gevent and on OS threads'
	@echo 'make fuzz    fuzz all serializers for FUZZ_SECONDS=60, guided by coverage (Linux)'
	@echo 'make soak    load it with random faults for SECONDS=180, and account for every call (SEED= repeats the faults)'
	@echo 'make bench   measure it beside autobahn-python, a quarter of an hour (ROUNDS=1 ROWS=seq,conc TRANSPORTS=websocket'
	@echo '             SERIALIZERS=json PEERS=wampy,autobahn measure a part of it; make bench-docs renews the page only)'
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

soak: $(READY) $(ROUTER_READY)
	@PYTHONPATH=tests $(PY) -m soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

bench: $(BENCH_READY) $(ROUTER_READY)
	@$(BENCH_PY) -W ignore -m benchmarks $(BENCH_OPTIONS)

bench-docs: $(BENCH_READY)
	@$(BENCH_PY) -W ignore -m benchmarks.docs

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
	rm -rf $(VENV) $(ROUTER_VENV) $(BENCH_VENV) .vectors .tox docs/_build build wampy.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

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

$(BENCH_READY): setup.cfg
	$(need_python)
	@echo 'Setting up $(BENCH_VENV): wampy and autobahn-python (only the first time, about a minute) ...'
	@$(call make_venv,$(BENCH_VENV))
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) -e '.[bench]'
	@touch $@

$(VECTORS_READY): .ci/fetch-vectors | $(READY)
	@echo 'Fetching the test vectors of the WAMP specification (only the first time) ...'
	@$(PY) .ci/fetch-vectors .vectors
