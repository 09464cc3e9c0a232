# make demo and make test each work as the only command on a fresh clone: they make the environment they need.
VENV ?= .venv
PLAIN ?= .venv-plain
ENCODERS ?= .venv-encoders
BIN := $(VENV)/bin
OUT ?= demo
DEPENDENCIES := pyproject.toml constraints.txt scripts/make_environment.sh
# One thread a process, since the tests run in as many processes as there are cores; each file in one of them, since its
# fixtures would be made in every process else, the demo's among them. In the order of tests/conftest.py.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder
QUICK := not slow and not data and not gpu
ENCODER_TESTS = $(shell grep -rl --include="test_*.py" "mark.encoders" tests)
# Which tests `make test` runs; all where it is empty.
TESTS ?=
# Containers often forbid Python to keep what it compiles; every process would then compile PyTorch anew, for 7 seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test encoders check unit docs clean

demo: $(VENV)/demo.ready
	$(BIN)/aunet demo $(OUT)

test: $(VENV)/dev.ready $(PLAIN)/plain.ready encoders
	AUNET_PLAIN=$(abspath $(PLAIN)) $(PYTEST) -m "$(TESTS)"

# The tests marked `encoders`; in $(VENV), which has no timm, they are skipped.
encoders: $(ENCODERS)/encoders.ready
	OMP_NUM_THREADS=1 $(ENCODERS)/bin/pytest -n auto -m encoders $(ENCODER_TESTS)

check: $(VENV)/dev.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/vulture
	$(BIN)/typos
	$(MAKE) docs
	$(MAKE) unit

unit: $(VENV)/dev.ready
	$(PYTEST) -m "$(QUICK)"

docs: $(VENV)/dev.ready
	$(BIN)/zensical build --clean --strict

clean:
	rm -rf $(VENV) $(PLAIN) $(ENCODERS) build dist site

$(VENV)/demo.ready: $(DEPENDENCIES)
	scripts/make_environment.sh $(VENV) train,demo
	touch $@

$(VENV)/dev.ready: $(DEPENDENCIES)
	scripts/make_environment.sh $(VENV) train,demo,dev,docs
	touch $@ $(VENV)/demo.ready

# What `pip install aunet` gives: no PyTorch.
$(PLAIN)/plain.ready: $(DEPENDENCIES)
	scripts/make_environment.sh $(PLAIN)
	touch $@

# With timm, and the torchvision that it needs.
$(ENCODERS)/encoders.ready: $(DEPENDENCIES)
	scripts/make_environment.sh $(ENCODERS) train,encoders,encoders-dev
	touch $@
