#!/usr/bin/env bash
# A step of docker/Dockerfile: an environment with what an image needs, and nothing to build with.
#
#   scripts/image_venv.sh IMAGE FOLDER      IMAGE: one of requirements/images/*.txt
set -euo pipefail
requirements=$(cd "$(dirname "$0")/../requirements" && pwd)/images/$1.txt
venv=$2

"${PYTHON:-python3}" -m venv "$venv"
# image_install.sh compiles, everything at once.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
    --require-hashes -r "$requirements"
