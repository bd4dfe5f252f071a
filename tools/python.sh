#!/usr/bin/env bash
# Print the path of the newest Python, 3.11 or later, that can make virtual environments; PYTHON=... chooses.
# Installs the venv module where that is allowed; otherwise prints the line to run and exits 2.
set -euo pipefail
cd "$(dirname "$0")/.."

# An active .venv must not be asked to rebuild itself.
PATH=${PATH//"$PWD/.venv/bin:"/}

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
    command -v "$python"
}

find_python
