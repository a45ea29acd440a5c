# Two commands do all the set-up on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check install --quiet -c constraints.txt
# What pip's index gives, which for Linux may be gigabytes with CUDA; another build (docs/install.md):
# make run TORCH="torch==2.13.0+cpu", and PIP_EXTRA_INDEX_URL in the environment.
TORCH ?= torch==2.13.0
CONFIG ?= stages.yaml

RESULTS ?= benchmarks/results
RUN = $(if $(wildcard .venv/bin/python),.venv/bin/python,$(PYTHON))
OTHER_CORE = $(if $(shell grep -m 1 avx512f /proc/cpuinfo 2>/dev/null),Haswell,Nehalem)
ELSEWHERE ?= OPENBLAS_CORETYPE=$(OTHER_CORE) ATEN_CPU_CAPABILITY=default \
    ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2 \
    GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4
ON_GPU = PYTHONPATH=build/types $(RUN) benchmarks/speed.py --sizes 64,256 --width 128 --levels 5

.PHONY: run test test-elsewhere test-refinenet faults fast lint types links docs site bench bench-gpu bench-method clean

run: .venv/.demo
	.venv/bin/scoremix-pipeline run $(CONFIG)

test: .venv/.dev lint types
	.venv/bin/python -m pytest -q -n 2 --dist worksteal --durations=80 --durations-min=4

# The tests of floating-point results (marker numeric), with the kernels that an older processor
# would use for matrix products, loops, convolutions and the C library's functions. OpenBLAS has
# its Haswell kernels for every processor with AVX2 and without AVX-512; such a machine tries
# Nehalem's, so that they are never its own.
test-elsewhere: .venv/.dev
	$(ELSEWHERE) .venv/bin/python -m pytest -q -n 2 --dist worksteal \
	    -m "numeric and not slow and not faults"

# Builds that are killed, refused, cut off: all of them, two at a time; most of an hour on two cores.
faults: .venv/.dev
	.venv/bin/python -m pytest -q -rs -n 2 --dist worksteal -m faults tests

# The pipeline's tests over the published network; `make test` has them over the U-Net.
test-refinenet: .venv/.dev
	SCOREMIX_TINY_NETWORK=refinenet .venv/bin/python -m pytest -q -n 2 --dist worksteal \
	    -m "not faults" tests/pipeline tests/stages

fast: .venv/.dev
	.venv/bin/python -m pytest -q -m "not slow and not faults"

lint: .venv/.dev
	.venv/bin/ruff check pipeline stages models manifests tests benchmarks examples
	.venv/bin/ruff format --check pipeline stages models manifests tests benchmarks examples

# mypy does not follow the editable install's import hook: it reads the folders through links.
types: .venv/.dev links
	.venv/bin/mypy

links:
	mkdir -p build/types/scoremix
	for folder in pipeline stages models manifests; do \
	    ln -sfn ../../../$$folder build/types/scoremix/$$folder; done
	for file in __init__.py __main__.py py.typed; do \
	    ln -sfn ../../../pipeline/toplevel/$$file build/types/scoremix/$$file; done

# Files that are derived from the code; a test holds them.
docs: .venv/.dev
	.venv/bin/python -m scoremix.pipeline.docs docs

# README and docs as a site in build/site, by mkdocs-material; a broken link or anchor ends it.
site: .venv/bin/python
	$(PIP) mkdocs-material
	.venv/bin/python deploy/site.py build/site-docs
	.venv/bin/mkdocs build --strict --quiet

# Speed against the yardstick, and what is around the network (an hour or so; nothing else should run).
bench: .venv/.dev
	.venv/bin/python benchmarks/speed.py --pixels --out $(RESULTS)/speed-cpu
	.venv/bin/python benchmarks/around.py --out $(RESULTS)/around
	.venv/bin/python benchmarks/verify.py --out $(RESULTS)/verify

# The same on a GPU, with the full-size network; where there is no .venv, with PYTHON's own packages,
# and scoremix need not be installed.
bench-gpu: links
	$(ON_GPU) --out $(RESULTS)/speed-gpu --pixels
	$(ON_GPU) --out $(RESULTS)/speed-gpu-bfloat16 --precision bfloat16 --steady 300
	$(ON_GPU) --out $(RESULTS)/speed-gpu-graphs --precision bfloat16 --steady 300 --compile graphs

# Every method on the bundled digits, with the network that `make run` trains (about 10 min).
bench-method: .venv/.dev
	.venv/bin/python benchmarks/method_table.py --source digits --fraction 0.167 \
	    --lengths 750 --rows 900 --out benchmarks/results/methods-digits

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python setup.cfg constraints.txt
	$(PIP) $(TORCH)
	$(PIP) -e '.[demo]'
	touch $@

.venv/.dev: .venv/.demo
	$(PIP) -e '.[demo,dev]'
	touch $@

clean:
	rm -rf build runs .venv
