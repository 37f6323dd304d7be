# Two small images from one file: `model_fetcher` (prepares weights) and `llm_gateway` (serves them, without torch). Two large
# ones for the overlays: `llm_gateway_transformers` and `llm_gateway_vllm`, with engines that load published weights.
#
#   docker compose build
#
# Any Python 3.11 image on a Debian works as PYTHON_IMAGE; an empty TORCH_INDEX_URL takes torch from pip's usual index, which
# must then have its CPU build: builders end by importing it, since one for CUDA could not be without a GPU's libraries.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# --- what both builders start from: a virtual environment without pip, filled by the image's own pip -----------------
FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /venv
WORKDIR /build

FROM builder AS gateway_builder
COPY requirements/gateway.txt .
# The bytecode is compiled here: the root is read-only at run time, and importing from source costs seconds.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m pip --python /venv/bin/python install --quiet --no-deps --compile -r gateway.txt
# OpenVINO's GPU and NPU plugins, its readers for formats that are not its own, and headers: a quarter of the image.
RUN cd /venv/lib/python3*/site-packages \
    && rm -rf openvino/include openvino/cmake openvino/libs/cache.json \
       openvino/libs/libopenvino_intel_[gn]pu_* openvino/libs/libopenvino_tensorflow_* \
       openvino/libs/libopenvino_[gjop]*_frontend.so.* openvino_genai/include

# Images with engines that load published weights: torch for processors, or for GPUs, whichever index it comes from.
FROM builder AS torch_builder
ARG GATEWAY_TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ARG GATEWAY_CUDA=false
ENV PIP_INSTALL="python -m pip --python /venv/bin/python install --quiet --no-deps --compile"

FROM torch_builder AS transformers_builder
COPY requirements/gateway_transformers.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -n "$GATEWAY_TORCH_INDEX_URL" ]; then \
        $PIP_INSTALL --index-url "$GATEWAY_TORCH_INDEX_URL" "$(grep '^torch==' gateway_transformers.txt)"; \
    fi \
    && if [ "$GATEWAY_CUDA" = true ]; then cat gateway_transformers.txt; \
       else grep -vE '^(nvidia|cuda|triton)' gateway_transformers.txt; fi > wanted.txt \
    && $PIP_INSTALL -r wanted.txt && /venv/bin/python -c 'import torch'

FROM torch_builder AS vllm_builder
COPY requirements/gateway_vllm.txt .
RUN --mount=type=cache,target=/root/.cache/pip $PIP_INSTALL -r gateway_vllm.txt

FROM builder AS fetcher_builder
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
COPY requirements/fetcher.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    pip_install="python -m pip --python /venv/bin/python install --quiet --no-deps --compile" \
    && { [ -z "$TORCH_INDEX_URL" ] || $pip_install --index-url "$TORCH_INDEX_URL" "$(grep '^torch==' fetcher.txt)"; } \
    && $pip_install -r fetcher.txt && /venv/bin/python -c 'import torch'
RUN cd /venv/lib/python3*/site-packages \
    && rm -rf torch/include torch/share torch/lib/*_test.so openvino/include openvino/cmake \
       openvino/libs/libopenvino_intel_[gn]pu_* openvino/libs/cache.json \
    && find scipy sklearn sympy networkx -type d -name tests -prune -exec rm -rf {} +

# --- what both images start from -------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
# /models belongs to the user, so that a fresh named volume does too.
RUN groupadd --gid 10001 preheat \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin preheat \
    && install --directory --owner=10001 --group=10001 /models
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MODEL_STORE=/models
WORKDIR /app
COPY model_store model_store
COPY machine machine
COPY profiles profiles

FROM runtime AS gateway_runtime
COPY llm_gateway llm_gateway
COPY healthcheck healthcheck
COPY front_door front_door
# A clone made with a strict umask has files that only their owner may read.
RUN python -m compileall -q . && find . ! -perm -a+r -exec chmod a+rX {} +
CMD ["python", "-m", "llm_gateway"]

# The shells of Debian's go last, since every RUN needs one: nothing is started by a shell, so nobody should find one. In
# the two large images they stay, for libraries that call compilers and drivers' tools in ways of their own.
FROM gateway_runtime AS llm_gateway
COPY --from=gateway_builder /venv /venv
RUN rm -f /bin/sh /bin/dash /bin/bash /bin/rbash
USER 10001:10001

FROM gateway_runtime AS llm_gateway_transformers
COPY --from=transformers_builder /venv /venv
USER 10001:10001

FROM gateway_runtime AS llm_gateway_vllm
# Triton, which vLLM computes with, compiles the launchers of its kernels with a C compiler when it first meets a GPU.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY --from=vllm_builder /venv /venv
USER 10001:10001

FROM runtime AS model_fetcher
COPY --from=fetcher_builder /venv /venv
COPY model_fetcher model_fetcher
COPY demo_model/__init__.py demo_model/__init__.py
COPY demo_model/weights demo_model/weights
RUN python -m compileall -q . && find . ! -perm -a+r -exec chmod a+rX {} +
RUN rm -f /bin/sh /bin/dash /bin/bash /bin/rbash
USER 10001:10001
ENTRYPOINT ["python", "-m", "model_fetcher"]
