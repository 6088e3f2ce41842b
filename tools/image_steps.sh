#!/usr/bin/env bash
# Does what the Dockerfile does in a scratch directory, where no container engine is at hand, and asks the
# result whether it is whole. Exit code 0: the steps work.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/app"
git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents -t "$scratch/app"
cd "$scratch/app"
# What .dockerignore leaves out is not there either.
grep -v -e '^#' -e '^$' .dockerignore | while read -r pattern; do rm -rf "${scratch:?}/app/"$pattern; done

echo "browser packages"
npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
echo "Python packages"
tools/image_packages.sh "$scratch/environment"
echo "the result"
export FTPORTAL_HOME=$scratch/home PATH=$scratch/environment/bin:$PATH
ftportal manage check
ftportal doctor
