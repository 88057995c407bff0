# Everything from a fresh clone; needs Python 3.11 to 3.13, and make. `make` alone lists the targets.

# What constraints/ has a file of.
VERSIONS = 3.11 3.12 3.13
# The interpreter the environment is made of: the first of these that runs and is of one of VERSIONS.
# An environment that is there stays what it is, until another PYTHON is named.
PYTHON ?=
PYTHONS = $(VERSIONS:%=python%)
VENV ?= .venv
BIN = $(VENV)/bin
THERE = $(if $(wildcard $(VENV)/.installed-*),$(BIN)/python)
# pyenv puts a python3.12 on the path that does not run unless that version is chosen.
NAMED = $(if $(PYTHON),$(filter $(PYTHONS),$(PYTHON)),$(PYTHONS))
PYENVS = $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/*/bin
PYENV = $(foreach name,$(NAMED),$(wildcard $(PYENVS)/$(name)))
CANDIDATES = $(or $(PYTHON),$(THERE) $(PYTHONS) python3 python) $(PYENV)

# Whose types are checked.
TYPED = animclip_jax input_pipeline configs benchmarks tests

# What make demo-search searches with, and where it puts its videos and the index.
DEMO_RUN ?= runs/quickstart/animated
DEMO ?= runs/demo-search
PORT ?= 8000

.PHONY: help setup quickstart demo-search test test-quick test-all lint types format clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo '  make PYTHON=python3.12 TARGET   with that Python; .venv is made again if it is of another'

setup: ## make the environment, .venv
	@$(FIND_PYTHON); $(INSTALL)

quickstart: setup ## train and evaluate the drawn world, write runs/quickstart/report.html
	$(BIN)/animclip train --config=configs/quickstart.py --sweep --workdir=runs/quickstart
	$(BIN)/animclip report runs/quickstart

# Whole scenes are captioned there, so a cut ends no segment.
demo-search: setup ## search drawn videos in the browser, with the model of make quickstart; or MODEL=... VIDEOS=... your own
ifneq ($(MODEL)$(VIDEOS),)
	@test -n "$(MODEL)" -a -d "$(VIDEOS)" || { echo "make: wanted both, such as MODEL=openai/clip-vit-base-patch32 VIDEOS=folder" >&2; exit 1; }
	$(BIN)/animclip index "$(VIDEOS)" --model "$(MODEL)" --out "$(DEMO)/index-of-yours"
	$(BIN)/animclip serve "$(DEMO)/index-of-yours" --open --port $(PORT)
else
	@test -d $(DEMO_RUN) || { echo "make: no $(DEMO_RUN): run make quickstart first" >&2; exit 1; }
	$(BIN)/python -m input_pipeline.drawn.films $(DEMO)/videos
	test -d $(DEMO)/model || $(BIN)/animclip export $(DEMO_RUN) --out $(DEMO)/model
	$(BIN)/animclip index $(DEMO)/videos --model $(DEMO)/model --out $(DEMO)/index --no-shots
	$(BIN)/animclip serve $(DEMO)/index --open --port $(PORT)
endif

test: setup ## run all tests except the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

test-quick: setup ## run the tests that need no compilation and no process, in a minute
	$(BIN)/python -m pytest -n 2 --dist worksteal -rN --quick -m 'not slow and not long'

test-all: setup ## run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: setup ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)

types: setup ## check types alone
	$(BIN)/mypy $(TYPED)

format: setup ## rewrite the files in the style that lint checks
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## remove what make made, but not runs/
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Shell: sets $python and $version ("3.11"), or ends with what is missing.
define FIND_PYTHON
found=; ask='import sys; print("%d.%d" % sys.version_info[:2])'; \
for python in $(CANDIDATES); do \
	version=$$("$$python" -c "$$ask" 2>/dev/null) || version=; \
	case " $(VERSIONS) " in *" $$version "*) break;; esac; \
	found="$$found $$python=$${version:-none}"; version=; \
done; \
if [ -z "$$version" ]; then \
	echo "make: needs Python 3.11 to 3.13, found:$$found" >&2; \
	echo "make: name one by: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 1; \
fi
endef

# Shell: brings $(VENV) up to date. The stamp, written last, says that an installation went to its
# end, of which Python and in which folder; without it everything is made again.
define INSTALL
tag=$$(echo "py$$version" | tr -d .); \
stamp=$(VENV)/.installed-$$tag; constraints=constraints/$$tag.txt; \
if [ -x $(BIN)/python ] && [ "$$(cat $$stamp 2>/dev/null)" = "$(CURDIR)" ]; then \
	if [ ! setup.py -nt $$stamp ] && [ ! $$constraints -nt $$stamp ]; then exit 0; fi; \
else \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "make: $$python has no venv module; on Debian: apt install python$$version-venv" >&2; \
		exit 1; \
	fi; \
	if [ -e $(VENV) ] && [ ! -e $(VENV)/pyvenv.cfg ]; then \
		echo "make: $(VENV) is no Python environment: remove it, or name another: make VENV=..." >&2; \
		exit 1; \
	fi; \
	"$$python" -m venv --clear $(VENV) || exit 1; \
fi; \
rm -f $$stamp; \
echo "Installing into $(VENV) from $$constraints (Python $$version, a minute or two)"; \
$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $$constraints -e '.[dev]' \
	|| { echo "make: the installation failed; make setup tries again" >&2; exit 1; }; \
echo "$(CURDIR)" > $$stamp
endef
