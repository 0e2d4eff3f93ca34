#!/bin/sh
# Refreshes constraints.txt: the newest versions that pyproject.toml allows, in a fresh environment.
# Run it with the oldest supported Python (3.11), then `make test`, then commit both.
set -eu

cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT INT TERM

python3.11 -m venv "$fresh"
"$fresh/bin/python" -m pip install --upgrade --quiet '.[worker,dev]'
{
    sed -n '/^#/p' constraints.txt
    # `+cpu` goes, so that one file serves the CPU and the CUDA build of torch; so does what only
    # the CUDA build needs, which torch itself pins.
    "$fresh/bin/python" -m pip freeze --all --exclude muscope --exclude pip |
        sed -e 's/+cpu$//' -e '/^nvidia-/d' -e '/^triton/d' -e '/^cuda-/d'
} >"$fresh/constraints.txt"
mv "$fresh/constraints.txt" constraints.txt
