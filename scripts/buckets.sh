#!/usr/bin/env bash
# Makes .venv/buckets, which adds to .venv the file systems of object stores and servers that
# speak their protocols, and runs tests/buckets in it. Everywhere else those tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv/buckets
stamp=$({ .venv/bin/python -V; cat requirements/buckets.txt; } | cksum)
if [ "$(cat $venv/stamp 2>/dev/null)" != "$stamp" ]; then
    .venv/bin/python -m venv --clear $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements/buckets.txt
    site='import sysconfig; print(sysconfig.get_path("purelib"))'
    echo "import site; site.addsitedir('$(.venv/bin/python -c "$site")')" \
        >"$($venv/bin/python -c "$site")/zz_main.pth"
    echo "$stamp" >$venv/stamp
fi
# The clusters of some of them need the broker's program, which .venv has.
PATH=$PWD/.venv/bin:$PATH $venv/bin/python -m pytest tests/buckets "$@"
