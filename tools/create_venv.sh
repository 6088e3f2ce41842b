#!/usr/bin/env bash
# Makes .venv with the first Python that is new enough: $PYTHON, or what is found.
set -euo pipefail

wanted='import sys; sys.exit(sys.version_info < (3, 11))'
for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
    if "$python" -c "$wanted" 2>/dev/null; then
        [ -x .venv/bin/python ] && .venv/bin/python -c "$wanted" 2>/dev/null && exit 0
        echo "making .venv with $("$python" --version)"
        if ! message=$("$python" -m venv --clear .venv 2>&1); then
            rm -rf .venv
            echo "make: $python cannot make a virtual environment: install its venv module" \
                "(on Debian: apt install python3-venv). It said: $message" >&2
            exit 2
        fi
        exit 0
    fi
done
echo "make: ftportal needs Python 3.11 or newer and found $(python3 --version 2>&1 || echo none):" \
    "install one, or name it with PYTHON=/path/to/python3.11" >&2
exit 2
