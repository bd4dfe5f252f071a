#!/usr/bin/env bash
# Make .venv hold exactly requirements.lock and this checkout; do nothing when it already does.
# Exit 2: something only a person can install is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv

# Content, not dates: a fresh clone has new dates. The folder counts because an environment cannot move.
packages() { { pwd -P; cat requirements.lock tools/setup.sh; } | sha256sum; }
medlab() { sha256sum <pyproject.toml; }

# A step is done when it has left a stamp of what it installed: an interrupted one left none.
is_done() { [ "$(cat "$venv/stamp-$1" 2>/dev/null)" = "$($1)" ]; }
mark_done() { "$1" >"$venv/stamp-$1"; }

pip() { $venv/bin/python -m pip --disable-pip-version-check "$@"; }

install_packages() {
    local python
    python=$(tools/python.sh)
    echo "medlab: setting up .venv with $("$python" -V) (once: several GB, some minutes)"
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
