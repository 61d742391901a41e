# Begin with `make demo` and `make test`.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --no-sync --quiet
# Bytecode is compiled here: a job then starts in a third of the time, even if the environment is read-only.
SYNC := $(UV) sync --frozen --quiet --compile-bytecode
CORES ?= all
# injected faults that run beside the others, since a run of few scans uses one core
OTHER_FAULTS := $(addprefix tests/faults/,test_kills.py test_rights.py test_two_runs.py test_working_files.py)

.PHONY: demo test test-faults test-container lint env uv docs site site-serve benchmark benchmark-pages screenshots demo-weights brainmask-weights

demo: uv  ## run the workflow on a small simulated cohort
	@$(SYNC) --no-dev --inexact
	$(RUN) python scripts/tools/simulate_cohort.py demo/bids
	$(RUN) snakemake --directory demo --cores $(CORES)

test: env  ## run every test that needs neither root nor a cluster
	$(RUN) pytest -n 2 --dist loadfile

test-faults: env  ## inject some hundred faults into runs (half an hour on two cores), and print two tables of them
	@other=$$(mktemp); \
	$(RUN) pytest --all-faults $(OTHER_FAULTS) >$$other 2>&1 & second=$$!; \
	$(RUN) pytest tests/faults --all-faults $(addprefix --ignore=,$(OTHER_FAULTS)); first=$$?; \
	wait $$second; second=$$?; cat $$other; rm $$other; exit $$((first | second))

test-container: env  ## build the container image with buildah and run it (as root; a quarter of an hour)
	LESIONFLOW_TEST_CONTAINER=1 $(RUN) pytest tests/container

lint: env  ## check code, rules, imports, types and generated pages
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile rules
	$(RUN) mypy scripts
	cd scripts && $(abspath $(UV)) run --no-sync --quiet --project .. lint-imports --config ../pyproject.toml --no-cache
	$(RUN) python scripts/tools/write_docs.py --check
	d=$$(mktemp -d) && $(RUN) snakemake --lint --directory $$d --config cohort=$(CURDIR)/config/scans.example.tsv; s=$$?; rm -rf $$d; exit $$s

docs: env  ## write the generated pages and figures of docs/
	$(RUN) python scripts/tools/write_docs.py

site: env  ## build the documentation site in site/; fails if a link or an anchor is broken
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict

site-serve: env  ## show the site at http://127.0.0.1:8000, and build it again after each change
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs serve

benchmark: env  ## compare the workflow with a baseline and a lower bound on this machine; writes docs/speed.md
	PYTHONPATH=tests $(RUN) python scripts/tools/benchmark.py benchmark

screenshots: demo env  ## write the screenshots of the report in docs/
	PYTHONPATH=tests $(RUN) python scripts/tools/draw_screenshots.py demo/results

benchmark-pages: demo env  ## measure the report of 5, 200 and 2,000 scans in a browser; writes docs/pages.md
	PYTHONPATH=tests $(RUN) python scripts/tools/benchmark_pages.py demo/results

demo-weights: env  ## train the demo ensemble again from its seed; anatomies=DIR adds heads from label maps
	$(RUN) python scripts/tools/train_demo.py --out resources/demo-cmb --seed 1 $(if $(anatomies),--anatomies "$(anatomies)")
	$(RUN) python scripts/tools/evaluate_demo.py --ensemble resources/demo-cmb --seed 2 $(if $(anatomies),--anatomies "$(anatomies)")

brainmask-weights: env  ## train the brain mask again on a folder of whole-head label maps: anatomies=DIR
	@test -d "$(anatomies)" || { echo "anatomies is not a folder of label maps: make brainmask-weights anatomies=DIR"; exit 1; }
	$(RUN) python scripts/tools/train_brainmask.py "$(anatomies)" --seed 1
	$(RUN) python scripts/tools/evaluate_brainmask.py "$(anatomies)"

env: uv
	@$(SYNC)

uv: $(filter .uv%,$(UV))

.uv/bin/uv:
	python3 -m venv .uv || { echo "python3 -m venv does not work: install your system's python3-venv, or uv"; exit 1; }
	.uv/bin/pip install --quiet uv
