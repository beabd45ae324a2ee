#!/usr/bin/env bash
# A step of docker/Dockerfile: the services' own code into an environment of image_venv.sh. Takes pip
# away, and compiles the rest, since nothing can be written beside it later.
#
#   scripts/image_install.sh WHEEL FOLDER
set -euo pipefail
wheel=$1
python=$2/bin/python

"$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps "$wheel"
"$python" -m pip uninstall --quiet --yes pip setuptools 2>/dev/null
"$python" -m compileall -q "$2"/lib/python*/site-packages || true # some carry files of other Pythons
