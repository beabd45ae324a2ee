#!/usr/bin/env bash
# Makes .venv/clients, in which tests run clients of others as they are published. Does nothing
# when nothing changed. Where they cannot be had, the tests that need them are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv/clients
stamp=$({ .venv/bin/python -V; cat requirements/clients.txt; } | cksum)
if [ "$(cat $venv/stamp 2>/dev/null)" = "$stamp" ]; then exit 0; fi

echo "setting up $venv with clients of others, which the tests run (once, some minutes)"
if .venv/bin/python -m venv --clear $venv &&
    $venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements/clients.txt; then
    echo "$stamp" >$venv/stamp
else
    rm -rf $venv
    echo "clients: requirements/clients.txt cannot be installed, their tests are skipped" >&2
fi
