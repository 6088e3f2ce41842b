#!/usr/bin/env bash
# Writes requirements/*.txt and package-lock.json anew from pyproject.toml and package.json.
# For every Python and platform that is supported, by markers. Options are passed to uv, e.g. --upgrade or
# --upgrade-package django.
set -euo pipefail

tools=build/lock-tools
[ -x "$tools/bin/uv" ] || {
    .venv/bin/python -m venv "$tools"
    "$tools/bin/pip" install --quiet uv==0.13.9
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compile TITLE FILE OPTION…: pins with hashes, less torch and what only its CUDA build needs.
compile() {
    local title=$1 file=$2
    shift 2
    cp "$file" "$work/compiled.txt" 2>/dev/null || true # what is pinned stays, unless asked otherwise
    "$tools/bin/uv" pip compile --quiet --universal --no-header --strip-extras --generate-hashes \
        --no-emit-index-url --no-emit-find-links --output-file "$work/compiled.txt" "$@" pyproject.toml
    {
        echo "# $title, pinned with hashes. Made by \`make lock\`; do not edit."
        echo "# torch is not here: its build differs by machine (CPU, CUDA);" \
            "\`make\` installs the version pinned in pyproject.toml first."
        # A requirement is its first line and the indented ones after it. The path of the constraints is of no use.
        awk '/^[^ #]/ { drop = /^(torch|triton|nvidia-|cuda-)/ } !drop && !/^    #   -c /' "$work/compiled.txt"
    } >"$work/final.txt"
    mv "$work/final.txt" "$file"
}

compile "Every package of a development machine" requirements/lock.txt --extra local --extra providers --extra dev "$@"
grep -v '^ ' requirements/lock.txt | sed 's/ \\$//' >"$work/constraints.txt"
compile "What runs, without the development tools" requirements/runtime.txt --extra local --extra providers \
    --constraint "$work/constraints.txt"

npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --no-audit --no-fund
if grep -q '"resolved"' package-lock.json; then
    echo "package-lock.json names download addresses: use an npm that knows --omit-lockfile-registry-resolved" >&2
    exit 1
fi
