#!/usr/bin/env bash
# Makes build/docs of docs/, in an environment of its own. Fails where a link or an anchor leads
# nowhere.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv/docs
stamp=$({ .venv/bin/python -V; cat requirements/docs.txt; } | cksum)
if [ "$(cat $venv/stamp 2>/dev/null)" != "$stamp" ]; then
    .venv/bin/python -m venv --clear $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements/docs.txt
    echo "$stamp" >$venv/stamp
fi
$venv/bin/mkdocs build --quiet --strict
echo "build/docs/index.html"
