#!/usr/bin/env bash
# Installs what runs, without the development tools, into a new virtual environment: image_packages.sh DIRECTORY
# The image's build and tools/image_steps.sh both use it. TORCH_ARGS chooses the build of torch, as in the Makefile.
set -euo pipefail

environment=$1
python3 -m venv "$environment"
pip() { "$environment/bin/python" -m pip --disable-pip-version-check --no-cache-dir --quiet "$@"; }

torch=$(sed -n 's/^ *"\(torch==[0-9.]*\)",$/\1/p' pyproject.toml)
# shellcheck disable=SC2086 - several words on purpose
pip install "$torch" ${TORCH_ARGS:-}
pip install --no-deps --require-hashes -r requirements/runtime.txt
# Editable: pages, static files and the demo stand beside the packages, not inside them.
pip install --no-deps --no-build-isolation -e .
