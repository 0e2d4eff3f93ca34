# Two images from one file: `server` (no torch) and `worker` (CPU by default).
#
#   docker build --target server -t muscope-server .
#   docker build --target worker -t muscope-worker .
#   docker build --target worker --build-arg TORCH_INDEX=https://pypi.org/simple -t muscope-worker-cuda .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON} AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MUSCOPE_DATA_DIR=/var/lib/muscope
RUN useradd --uid 10001 --create-home muscope \
    && install -d -o muscope -g muscope -m 0700 /var/lib/muscope /var/lib/muscope/checkpoints
COPY constraints.txt /constraints.txt
COPY --from=build /wheels /wheels
WORKDIR /var/lib/muscope

FROM base AS server
RUN pip install -c /constraints.txt /wheels/muscope-*.whl
USER muscope
EXPOSE 8765
# Asks as a browser on the host would: the Host header has to be on the allow-list.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/api/v1/health', timeout=2)"]
CMD ["muscope", "server"]

FROM base AS worker
# PyTorch's CPU index by default; PyPI's torch for Linux is the CUDA build. Alone and without
# dependencies, so that everything else comes from PyPI at the pinned versions.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-deps -c /constraints.txt --index-url "${TORCH_INDEX}" torch
RUN pip install -c /constraints.txt "$(echo /wheels/muscope-*.whl)[worker]"
USER muscope
CMD ["muscope", "worker"]
