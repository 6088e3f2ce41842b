#!/usr/bin/env bash
# Writes requirements/lock.txt and package-lock.json anew from pyproject.toml and package.json.
set -euo pipefail

tools=build/lock-tools
python=.venv/bin/python
[ -x "$tools/bin/pip-compile" ] || { "$python" -m venv "$tools" && "$tools/bin/pip" install --quiet pip-tools==7.6.2; }

compiled=$(mktemp)
trap 'rm -f "$compiled"' EXIT
"$tools/bin/pip-compile" --quiet --no-header --strip-extras --generate-hashes --allow-unsafe \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
    --extra local --extra dev --output-file "$compiled" "$@" pyproject.toml

{
    echo "# Every package of a development machine, pinned with hashes. Made by \`make lock\`; do not edit."
    echo "# torch is not here: its build differs by machine (CPU, CUDA);" \
        "\`make\` installs the version pinned in pyproject.toml first."
    # A requirement is its first line and the indented ones after it; torch and what only its CUDA build needs go.
    awk '/^[^ #]/ { drop = /^(torch|triton|nvidia-|cuda-)/ } !drop' "$compiled"
} >requirements/lock.txt

npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --no-audit --no-fund
if grep -q '"resolved"' package-lock.json; then
    echo "package-lock.json names download addresses: use an npm that knows --omit-lockfile-registry-resolved" >&2
    exit 1
fi
