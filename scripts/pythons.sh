#!/usr/bin/env bash
# Runs the unit tests of what clients install, and of both ends of its wires, with each other Python that
# is here: in .sie/pythons, with what is locked. Names those that are not here.
set -euo pipefail
cd "$(dirname "$0")/.."

# find VERSION: the first that starts; pyenv has commands for versions that are not chosen.
find() {
    local candidate
    for candidate in "python$1" ~/.pyenv/versions/"$1".*/bin/python; do
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

ran=0
for version in 3.11 3.12 3.13; do
    python=$(find "$version")
    if [ -z "$python" ]; then
        echo "pythons: no Python $version" >&2
        continue
    fi
    venv=.sie/pythons/$version
    stamp=$({ "$python" -V; cat requirements/lock.txt; } | cksum)
    if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
        "$python" -m venv --clear "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r requirements/lock.txt
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            --no-build-isolation --editable .
        echo "$stamp" >"$venv/stamp"
    fi
    echo "pythons: $("$venv/bin/python" -V)"
    PYTHONPATH=.:gen:sdk/src "$venv/bin/python" -m pytest -q -p no:cacheprovider \
        tests/unit/sdk tests/unit/gateway tests/unit/servicekit "$@"
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ]
