#!/usr/bin/env bash
# Make .venv hold exactly requirements.lock and this checkout; do nothing when it already does.
# PYTHON=... chooses the interpreter. Exit 2: something only a person can install is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
# An active .venv must not be asked to rebuild itself.
PATH=${PATH//"$PWD/$venv/bin:"/}
stamp=$venv/medlab-setup

# Content, not dates: a fresh clone has new dates. The folder counts because an environment cannot move.
wanted() { { pwd -P; cat requirements.lock pyproject.toml tools/setup.sh; } | sha256sum; }

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

if [ -x $venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$(wanted)" ]; then exit 0; fi

python=$(find_python)
echo "medlab: setting up .venv with $("$python" -V) (once, a few minutes)"
# From nothing each time: what an interrupted setup left, or an older lock, cannot stay behind.
"$python" -m venv --clear $venv
pip() { $venv/bin/python -m pip --disable-pip-version-check "$@"; }
pip install -qq --no-deps --require-hashes -r requirements.lock
pip install -qq --no-deps --no-build-isolation --editable .
wanted >$stamp
echo "medlab: .venv is ready"
