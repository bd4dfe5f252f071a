#!/usr/bin/env bash
# Make .venv hold exactly requirements.lock and this checkout; do nothing when it already does.
# PYTHON=... chooses the interpreter. Exit 2: something only a person can install is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv

# An active .venv must not be asked to rebuild itself.
PATH=${PATH//"$PWD/$venv/bin:"/}

# Content, not dates: a fresh clone has new dates. The folder counts because an environment cannot move.
packages() { { pwd -P; cat requirements.lock tools/setup.sh; } | sha256sum; }
medlab() { sha256sum <pyproject.toml; }

# A step is done when it has left a stamp of what it installed: an interrupted one left none.
is_done() { [ "$(cat "$venv/stamp-$1" 2>/dev/null)" = "$($1)" ]; }
mark_done() { "$1" >"$venv/stamp-$1"; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

candidates() {
    if [ -n "${PYTHON:-}" ]; then echo "$PYTHON"; return; fi
    printf '%s\n' python3.14 python3.13 python3.12 python3.11 python3 python
}

# A Python that can make environments wins over a newer one that cannot.
choose_python() {
    local python
    for python in $(candidates); do
        if new_enough "$python" && has_venv "$python"; then echo "$python"; return; fi
    done
    for python in $(candidates); do
        if new_enough "$python"; then echo "$python"; return; fi
    done
    return 1
}

venv_package() { "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'; }

find_python() {
    local python
    python=$(choose_python) || {
        if [ -n "${PYTHON:-}" ]; then
            echo "medlab: PYTHON=$PYTHON is not Python 3.11 or newer; name another" >&2
            exit 2
        fi
        tools/apt.sh "medlab needs Python 3.11 or newer" python3-venv >&2 || exit 2
        python=$(choose_python) || {
            echo "medlab: this system's Python is older than 3.11; install a newer one, then: make PYTHON=/path/to/python3" >&2
            exit 2
        }
    }
    has_venv "$python" ||
        tools/apt.sh "$python cannot make virtual environments" "$(venv_package "$python")" >&2 || exit 2
    echo "$python"
}

pip() { $venv/bin/python -m pip --disable-pip-version-check "$@"; }

install_packages() {
    local python
    python=$(find_python)
    echo "medlab: setting up .venv with $("$python" -V) (once, about a minute)"
    # From nothing each time: what an interrupted setup left, or an older lock, cannot stay behind.
    "$python" -m venv --clear $venv
    pip install -qq --no-deps --require-hashes -r requirements.lock
    mark_done packages
}

install_medlab() {
    pip install -qq --no-deps --no-build-isolation --editable .
    mark_done medlab
    echo "medlab: .venv is ready"
}

if ! [ -x $venv/bin/python ] || ! is_done packages; then install_packages; fi
if ! is_done medlab; then install_medlab; fi
