#!/usr/bin/env bash
# A step of docker/Dockerfile: the services' code as one wheel.
#
#   scripts/image_wheel.sh FOLDER       needs requirements/images/wheel.txt
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From a copy: building leaves files behind.
cp -r pyproject.toml README.md LICENSE cli config_service gateway gen servicekit worker "$work"
"${PYTHON:-python3}" -m pip wheel --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --wheel-dir "$out" "$work"
